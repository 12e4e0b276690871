"""AC-3 and Enhanced AC-3: ETSI TS 102 366."""

from memx.formats.video.codecs.bits import Bits
from memx.formats.video.packets.coding import Coding, NotKnown

HEADER = 8
"""Bytes of a frame that are looked at."""
_RATES = (48000, 44100, 32000)
_BIT_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_BLOCK = 256  # samples
_LAYOUTS = {
    # acmod and lfeon: channels and name
    (1, 0): (1, "mono"),
    (2, 0): (2, "stereo"),
    (3, 0): (3, "3.0"),
    (4, 0): (3, "3.0(back)"),
    (5, 0): (4, "4.0"),
    (6, 0): (4, "quad(side)"),
    (7, 0): (5, "5.0(side)"),
    (2, 1): (3, "2.1"),
    (3, 1): (4, "3.1"),
    (5, 1): (5, "4.1"),
    (7, 1): (6, "5.1(side)"),
}


def coding(data: bytes) -> Coding:
    """AC-3 by the header of its first frame (4.3); Enhanced AC-3 (E.1.2) is NotKnown."""
    bits = Bits(data[:HEADER])
    if bits.take(16) != 0x0B77 or data[5] >> 3 > 8:
        raise NotKnown("AC-3 that does not begin with a frame")
    bits.skip(16)
    rate, size, shift = bits.take(2), bits.take(6), max(8, data[5] >> 3) - 8
    bits.skip(5)
    if rate == 3 or size >= 2 * len(_BIT_RATES) or bits.take(3):
        raise NotKnown("AC-3 of an unknown rate, or not the main service")
    mode = bits.take(3)
    if mode & 1 and mode != 1:
        bits.skip(2)
    if mode & 4:
        bits.skip(2)
    if mode == 2 and bits.take(2) == 2:
        raise NotKnown("AC-3 with Dolby surround")
    channels, layout = _LAYOUTS.get((mode, bits.take(1)), (0, None))
    if not channels:
        raise NotKnown("AC-3 with an unusual layout")
    said = Coding("ac3", sample_rate=_RATES[rate] >> shift, channels=channels, layout=layout, intra_only=True)
    said.bit_rate = _BIT_RATES[size >> 1] * 1000 >> shift
    said.sample_fmt, said.frame_samples = "fltp", 6 * _BLOCK
    return said
