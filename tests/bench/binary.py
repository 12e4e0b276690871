"""Anything else: entropy of each chunk, and the digest of the whole."""

import os
from pathlib import Path

from tests.bench.row import MIB, Peer, Row


def gibibyte(folder: Path) -> Path:
    """1 GiB, half of it noise."""
    path = folder / "gibibyte.bin"
    noise, text = os.urandom(1 << 20), b"all work and no play\n" * 50_000
    with path.open("wb") as out:
        for _ in range(512):
            out.write(noise)
            out.write((text + text)[: 1 << 20])
    return path


ROWS = (
    Row(
        "binary",
        "binary, 1 GiB, entropy and SHA-256",
        gibibyte,
        "stream {}",
        (Peer("openssl dgst -sha256 {}", 1.1, "openssl"),),
        peak=32 * MIB,
    ),
)
