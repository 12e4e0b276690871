"""AV1: the sequence header in its configuration record (AV1 Bitstream & Decoding Process, 5.5; AV1 in ISOBMFF, 2.3)."""

from collections.abc import Iterator

from memx.formats.video.codecs.bits import Bits
from memx.formats.video.codecs.picture import yuv
from memx.formats.video.packets.coding import Coding, NotKnown

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6  # obu_type
_PROFILES = ("Main", "High", "Professional")
_SRGB = (1, 13, 0)
"""Primaries of BT.709, transfer of sRGB, identity matrix: such samples are not subsampled (5.5.2)."""


def coding(record: bytes) -> Coding:
    """What FFmpeg says of a configuration record. NotKnown where it has no sequence header that is understood."""
    if len(record) < 4 or record[0] != 0x81:
        raise NotKnown("AV1 without a configuration record")
    return sequence(record[4:])


def sequence(units: bytes) -> Coding:
    """What FFmpeg says of the first sequence header among units (5.3). NotKnown where none is understood."""
    for kind, body in _units(units):
        if kind == _SEQUENCE_HEADER:
            return _sequence_header(Bits(body))
    raise NotKnown("AV1 without a sequence header")


def begins_with_key(units: bytes) -> bool | None:
    """Whether the first frame among units is a key frame (5.9.2); None where that is not told."""
    try:
        for kind, body in _units(units):
            if kind in (_FRAME_HEADER, _FRAME) and body:
                return not body[0] >> 7 and not body[0] >> 5 & 3  # not one that is shown again
    except NotKnown:
        pass
    return None


def _units(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The open bitstream units (5.3): type and body, of the last one what `data` has of it."""
    at = 0
    while at < len(data):
        kind, extended, sized = data[at] >> 3 & 15, data[at] >> 2 & 1, data[at] >> 1 & 1
        at += 1 + extended
        length = len(data) - at
        if sized:
            length, at = _leb128(data, at)
        yield kind, data[at : at + length]
        at += length


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
    if bits.flag() or profile >= len(_PROFILES) or bits.flag():
        raise NotKnown("AV1 of still pictures, of an unknown profile, or with timing information")
    said = Coding("av1", profile=_PROFILES[profile])
    delays = bits.flag()
    for number in range(bits.take(5) + 1):
        bits.skip(12)
        level = bits.take(5)
        if number == 0:
            said.level = level
        if level > 7:
            bits.skip(1)
        if delays and bits.flag():
            bits.skip(4)
    across, down = bits.take(4) + 1, bits.take(4) + 1
    said.width, said.height = bits.take(across) + 1, bits.take(down) + 1
    _skip_tools(bits)
    said.pix_fmt = _pixels(bits, profile)
    if bits.over or said.pix_fmt is None:
        raise NotKnown("AV1 with a sequence header that ends early")
    said.aspect = (1, 1)
    return said


def _skip_tools(bits: Bits) -> None:
    """The switches between the sizes and the colors."""
    if bits.flag():
        bits.skip(7)
    bits.skip(7)
    ordered = bits.flag()
    if ordered:
        bits.skip(2)
    forced = 2 if bits.flag() else bits.take(1)
    if forced > 0 and not bits.flag():
        bits.skip(1)
    if ordered:
        bits.skip(3)
    bits.skip(3)


def _pixels(bits: Bits, profile: int) -> str | None:
    """color_config, 5.5.2."""
    depth = 8
    if bits.flag():
        depth = 12 if profile == 2 and bits.flag() else 10
    gray = profile != 1 and bits.flag()
    described = tuple(bits.take(8) for _ in range(3)) if bits.flag() else None
    if gray:
        return yuv(0, depth)
    if described == _SRGB:
        return yuv(3, depth, rgb=True)
    bits.skip(1)
    chroma = (1, 3, 2)[profile]
    if profile == 2 and depth == 12:
        chroma = (1 if bits.flag() else 2) if bits.flag() else 3
    return yuv(chroma, depth)
