"""AV1: AV1 Bitstream & Decoding Process Specification, and its configuration record (AV1 in ISOBMFF, 2.3)."""

from memx.formats.video.codecs.bits import Bits
from memx.formats.video.codecs.coding import Coding, NotKnown

_SEQUENCE_HEADER = 1  # obu_type
_PROFILES = ("Main", "High", "Professional")
_SRGB = (1, 13, 0)
"""Primaries of BT.709, transfer of sRGB, identity matrix: such samples are not subsampled (5.5.2)."""


def coding(data: bytes) -> Coding:
    """What FFmpeg says of the configuration record `data`. Raises NotKnown where it has no sequence header."""
    if len(data) < 4 or data[0] != 0x81:
        raise NotKnown("AV1 without a configuration record")
    at = 4
    while at < len(data):
        kind, extended, sized = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + extended
        length = len(data) - at
        if sized:
            length, at = _leb128(data, at)
        if kind == _SEQUENCE_HEADER:
            return _sequence_header(Bits(data[at : at + length]))
        at += length
    raise NotKnown("AV1 without a sequence header")


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """4.10.5: a number, and where it ends."""
    value = 0
    for number in range(8):
        if at >= len(data):
            break
        value |= (data[at] & 127) << 7 * number
        at += 1
        if not data[at - 1] & 128:
            return value, at
    raise NotKnown("AV1 with an endless size")


def _sequence_header(bits: Bits) -> Coding:
    """5.5.1."""
    profile = bits.take(3)
    bits.skip(1)
    if profile >= len(_PROFILES):
        raise NotKnown("AV1 of an unknown profile")
    said = Coding("av1", profile=_PROFILES[profile])
    if bits.take(1):
        said.level = bits.take(5)
    else:
        _operating_points(bits, said)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    said.width, said.height = bits.take(across) + 1, bits.take(down) + 1
    _tools(bits)
    said.pix_fmt = _color(bits, profile)
    return said


def _operating_points(bits: Bits, said: Coding) -> None:
    if bits.take(1):
        raise NotKnown("AV1 with timing information")
    delays = bits.take(1)
    for number in range(bits.take(5) + 1):
        bits.skip(12)
        level = bits.take(5)
        if number == 0:
            said.level = level
        if level > 7:
            bits.skip(1)
        if delays and bits.take(1):
            bits.skip(4)


def _tools(bits: Bits) -> None:
    """The switches between the sizes and the colors; a reduced header has fewer, and is a still picture."""
    if bits.take(1):
        bits.skip(7)
    bits.skip(3)
    bits.skip(4)
    ordered = bits.take(1)
    if ordered:
        bits.skip(2)
    choose = bits.take(1)
    forced = 2 if choose else bits.take(1)
    if forced > 0 and not bits.take(1):
        bits.skip(1)
    if ordered:
        bits.skip(3)
    bits.skip(3)


def _color(bits: Bits, profile: int) -> str:
    """5.5.2: the pixel format."""
    depth = 8
    if bits.take(1):
        depth = 12 if profile == 2 and bits.take(1) else 10
    wide = "" if depth == 8 else f"{depth}le"
    gray = profile != 1 and bits.take(1)
    described = tuple(bits.take(8) for _ in range(3)) if bits.take(1) else (2, 2, 2)
    if gray:
        return "gray" + wide
    if described == _SRGB:
        return "gbrp" + wide
    bits.skip(1)  # dav1d's pixel formats do not tell full range
    if profile == 0:
        return "yuv420p" + wide
    if profile == 1:
        return "yuv444p" + wide
    if depth != 12:
        return "yuv422p" + wide
    return ("yuv420p" if bits.take(1) else "yuv422p") + wide if bits.take(1) else "yuv444p" + wide
