"""The bytes of uncompressed sound as numbers."""

import sys
from typing import TYPE_CHECKING, Any

from memx.formats.audio.headers import Pcm

if TYPE_CHECKING:
    from numpy.typing import NDArray

MARGIN = 8
"""Bytes before and behind a block, since samples of three bytes are read as four; floats stay aligned."""


def full_scale(kind: str) -> float:
    """The amplitude that counts 1.0, in the numbers that `Decoder` gives."""
    if kind[1] == "f":
        return 1.0
    return 2.0 ** {"|u1": 7, "|i1": 7, "<i2": 15, ">i2": 15, "alaw": 15, "mulaw": 15}.get(kind, 31)


class Decoder:
    """Makes numbers of bytes. What it gives is overwritten by what it gives next."""

    def __init__(self, pcm: Pcm) -> None:
        self._pcm = pcm
        self._table: NDArray[Any] | None = None
        self._planes: NDArray[Any] | None = None

    def __call__(self, buffer: memoryview, length: int) -> "NDArray[Any]":
        """The samples in `length` bytes of `buffer` behind its margin, of shape (channels, samples)."""
        import numpy as np

        kind, channels, count = self._pcm.kind, self._pcm.channels, length * 8 // self._pcm.bits
        if kind == "<i2" and channels == 2 and sys.byteorder == "little":
            return self._pairs(np.frombuffer(buffer, np.int32, count // 2, MARGIN))
        if kind[1:] == "i3":
            # four bytes from three to three, one of them a neighbour's: the sample times 256 once that is cleared
            begin = MARGIN - (kind[0] == "<")
            block = np.array(np.ndarray((count,), f"{kind[0]}i4", buffer, begin, (3,)), np.int32) & -256
        elif kind == "|u1":
            block = (np.frombuffer(buffer, np.uint8, count, MARGIN) ^ 128).view(np.int8)
        elif kind.endswith("law"):
            if self._table is None:
                self._table = np.array(mu_law() if kind == "mulaw" else a_law(), np.int16)
            block = np.take(self._table, np.frombuffer(buffer, np.uint8, count, MARGIN))
        else:
            block = np.frombuffer(buffer, kind, count, MARGIN)
        return block.reshape(-1, channels).T

    def _pairs(self, pairs: "NDArray[Any]") -> "NDArray[Any]":
        """Both halves of 32 bits: that costs half of what stepping over every other sample does."""
        import numpy as np

        if self._planes is None or self._planes.shape[1] < len(pairs):
            self._planes = np.empty((2, len(pairs)), np.int16)
        planes = self._planes[:, : len(pairs)]
        np.copyto(planes[0], pairs, casting="unsafe")
        np.right_shift(pairs, 16, out=planes[1], casting="unsafe")
        return planes


def mu_law() -> list[int]:
    """The amplitudes of the 256 codes, in 16 bits (ITU-T G.711, table 2: all bits are inverted)."""
    codes = [code ^ 255 for code in range(256)]
    magnitudes = [(((code & 15) * 2 + 33) << (code >> 4 & 7)) - 33 for code in codes]
    return [(-4 if code & 128 else 4) * magnitude for code, magnitude in zip(codes, magnitudes, strict=True)]


def a_law() -> list[int]:
    """The amplitudes of the 256 codes, in 16 bits (ITU-T G.711, table 1: even bits are inverted)."""
    codes = [code ^ 0x55 for code in range(256)]
    magnitudes = [
        ((code & 15) * 2 + 33) << (code >> 4 & 7) - 1 if code & 0x70 else (code & 15) * 2 + 1 for code in codes
    ]
    return [(8 if code & 128 else -8) * magnitude for code, magnitude in zip(codes, magnitudes, strict=True)]
