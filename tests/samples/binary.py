"""Files of no known format."""

import random
from pathlib import Path


def build(folder: Path) -> Path:
    """Two and a half chunks of 1 MiB: noise, zeros, and half of one of text."""
    path = folder / "sample.bin"
    text = (b"memx reads metadata. " * (1 << 15))[: 1 << 19]
    path.write_bytes(random.Random(1).randbytes(1 << 20) + bytes(1 << 20) + text)
    return path


def build_small(folder: Path) -> Path:
    """The structure of the giant: zeros, and noise at the end; 8 MiB."""
    return _sparse(folder / "small.bin", 8 << 20)


def build_giant(folder: Path) -> Path:
    """4 GiB of which all but the last is a hole: every byte must pass through the digest."""
    return _sparse(folder / "giant.bin", 4 << 30)


def _sparse(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        file.seek(size - 4096)
        file.write(random.Random(2).randbytes(4096))
    return path
