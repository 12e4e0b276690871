"""MPEG audio: the frame header of ISO/IEC 11172-3, 2.4.1.3, and ISO/IEC 13818-3, 2.4.1."""

from typing import NamedTuple

from memx.formats.video.packets.coding import Coding

_BIT_RATES = {
    # MPEG-1, layers I, II and III; then MPEG-2, layer I, layers II and III
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44100, 48000, 32000)
HEADER = 4
"""Bytes of a frame's header."""
SAME = 0xFFE00000 | 3 << 19 | 3 << 17 | 3 << 10
"""The bits of a header that stay the same within a stream: synchronization, version, layer, rate."""


class Frame(NamedTuple):
    """A frame: its layer, bytes with the header, samples, samples a second, channels, bits a second."""

    layer: int
    size: int
    samples: int
    rate: int
    channels: int
    bit_rate: int


def frame(header: int) -> Frame | None:
    """The frame that the 32 bits `header` begin; None where they begin none, or one of free format."""
    version, layer = header >> 19 & 3, 4 - (header >> 17 & 3)
    index, rate_index = header >> 12 & 15, header >> 10 & 3
    if header >> 21 != 0x7FF or version == 1 or layer == 4 or index in (0, 15) or rate_index == 3:
        return None
    low = 0 if version == 3 else 1 if version == 2 else 2
    rate = _RATES[rate_index] >> low
    bit_rate = 1000 * _BIT_RATES[2 if low else 1, layer][index - 1]
    padding = header >> 9 & 1
    if layer == 1:
        size, samples = (12 * bit_rate // rate + padding) * 4, 384
    elif layer == 2:
        size, samples = 144 * bit_rate // rate + padding, 1152
    else:
        samples = 576 if low else 1152
        size = samples // 8 * bit_rate // rate + padding
    return Frame(layer, size, samples, rate, 1 if header >> 6 & 3 == 3 else 2, bit_rate)


class Packets:
    """How long packets of one frame each are; keeps the mean of their bit rates in `coding`, as FFmpeg does."""

    def __init__(self, coding: Coding, first: Frame) -> None:
        self._coding = coding
        self._samples = first.samples
        self._count = 0

    def look(self, data: bytes, at: int, size: int) -> int:
        """Samples; -n: n bytes of the packet, at `at` in `data`, are needed."""
        if size < 4:
            return self._samples
        if at + 4 > len(data):
            return -4
        found = frame(int.from_bytes(data[at : at + 4], "big"))
        if found is not None:
            self._samples = found.samples
            self._count += 1
            before = self._coding.bit_rate or 0
            self._coding.bit_rate = before + int((found.bit_rate - before) / self._count)
        return self._samples
