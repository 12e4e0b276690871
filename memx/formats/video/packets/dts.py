"""DTS Coherent Acoustics: ETSI TS 102 114, its core alone; what lies behind a core is not known."""

from memx.formats.video.codecs.bits import Bits
from memx.formats.video.packets.ac3 import LAYOUTS
from memx.formats.video.packets.coding import Coding, NotKnown

_SYNC = 0x7FFE8001
_BLOCK = 32  # samples
_RATES = (0, 8000, 16000, 32000, 0, 0, 11025, 22050, 44100, 0, 0, 12000, 24000, 48000, 96000, 192000)
_BIT_RATES = (
    32, 56, 64, 96, 112, 128, 192, 224, 256, 320, 384, 448, 512, 576, 640, 768, 896, 1024, 1152, 1280, 1344, 1408,
    1411.2, 1472, 1536, 1920, 2048, 3072, 3840,
)  # fmt: skip
"""Thousands of bits a second; what is above them is open, variable, or lossless."""
_MODES = (1, 2, 2, 2, 2, 3, 4, 5, 6, 7)
"""Arrangements of channels (table 5-4), as AC-3 numbers them."""


def coding(data: bytes, size: int) -> Coding:
    """The sound of a stream whose first packet, `size` bytes, begins with `data` (5.3.1)."""
    bits = Bits(data[:16])
    if bits.take(32) != _SYNC:
        raise NotKnown("DTS that does not begin with a core")
    whole, short, _, blocks, length = bits.take(1), bits.take(5), bits.take(1), bits.take(7) + 1, bits.take(14) + 1
    mode, rate, speed, reserved = bits.take(6), _RATES[bits.take(4)], bits.take(5), bits.take(1)
    bits.skip(4)
    extended = bits.take(4) & 1
    bits.skip(1)
    bass = bits.take(2)
    if not whole or short != _BLOCK - 1 or blocks % 8 or length < 96 or not rate or reserved or bass == 3:
        raise NotKnown("DTS with an odd header")
    if extended or size - 4 >= (length + 3) // 4 * 4:
        raise NotKnown("DTS with more than a core")
    said = Coding("dts", "DTS", sample_rate=rate, sample_fmt="fltp", intra_only=True)
    arranged = LAYOUTS.get((_MODES[mode], bass != 0)) if mode < len(_MODES) else None
    if arranged is None:
        raise NotKnown("DTS with an unusual layout")
    said.channels, said.layout = arranged
    said.bit_rate = round(_BIT_RATES[speed] * 1000) if speed < len(_BIT_RATES) else None
    said.frame_samples = blocks * _BLOCK
    return said
