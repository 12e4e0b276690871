"""H.265: ISO/IEC 23008-2, and its configuration record, ISO/IEC 14496-15, 8.3.3.1."""

from memx.formats.video.codecs.bits import Bits, without_emulation
from memx.formats.video.codecs.coding import Coding, NotKnown
from memx.formats.video.codecs.h264 import SHAPES

_SEQUENCE = 33  # nal_unit_type of a sequence parameter set
_PROFILES = {1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Rext"}
_EXTENDED = 255
_SUBSAMPLING = {0: (1, 1), 1: (2, 2), 2: (2, 1), 3: (1, 1)}
"""Across and down, by chroma_format_idc (table 6-1)."""


def coding(data: bytes, full_range: bool | None = None) -> Coding:
    """What FFmpeg says of the configuration record `data`; `full_range` is the container's word.

    Raises NotKnown where it has not one sequence parameter set, or one that is not understood.
    """
    found = [unit for kind, unit in _units(data) if kind == _SEQUENCE]
    if len(found) != 1:
        raise NotKnown("H.265 without one sequence parameter set")
    return _sequence_parameters(found[0], full_range)


def _units(data: bytes) -> list[tuple[int, bytes]]:
    """Type and bytes of the NAL units in a record."""
    if len(data) < 23 or data[0] not in (0, 1) or data[:3] in (b"\0\0\0", b"\0\0\1"):
        raise NotKnown("H.265 without a configuration record")
    units, at = [], 23
    for _ in range(data[22]):
        kind, count = data[at] & 63 if at < len(data) else 0, int.from_bytes(data[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(data[at : at + 2], "big")
            unit = data[at + 2 : at + 2 + length]
            if len(unit) < length or length < 4:
                raise NotKnown("H.265 with a configuration record that ends early")
            units.append((kind, without_emulation(unit)))
            at += 2 + length
    return units


def _sequence_parameters(unit: bytes, full_range: bool | None) -> Coding:
    """7.3.2.2."""
    bits = Bits(unit[2:])
    bits.skip(4)
    layers = bits.take(3) + 1
    bits.skip(1)
    profile, level = _profile_tier_level(bits, layers)
    bits.unsigned()
    chroma = bits.unsigned()
    if chroma not in _SUBSAMPLING or (chroma == 3 and bits.take(1)):
        raise NotKnown("H.265 with separate color planes")
    width, height = bits.unsigned(), bits.unsigned()
    across, down = _SUBSAMPLING[chroma]
    if bits.take(1):
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        width, height = width - across * (left + right), height - down * (top + bottom)
    depth = bits.unsigned() + 8
    if bits.unsigned() + 8 != depth and chroma:
        raise NotKnown("H.265 with different depths of luma and chroma")
    if width <= 0 or height <= 0 or depth not in (8, 9, 10, 12):
        raise NotKnown("H.265 pictures of no known kind")
    order_bits = bits.unsigned() + 4
    delay = 0
    for _ in range(layers if bits.take(1) else 1):
        bits.unsigned()
        delay = bits.unsigned()  # that of the highest layer counts
        bits.unsigned()
    said = Coding("hevc", profile=profile, level=level, width=width, height=height, delay=delay)
    _tools(bits, chroma, order_bits)
    full, matrix = _usability(bits, said) if bits.take(1) else (None, None)
    said.pix_fmt = _pix_fmt(chroma, depth, full_range if full is None else full, matrix)
    return said


def _profile_tier_level(bits: Bits, layers: int) -> tuple[str | None, int]:
    """7.3.3."""
    bits.skip(3)
    profile, compatible = bits.take(5), bits.take(32)
    if profile == 0:
        profile = next((number for number in range(1, 32) if compatible >> 31 - number & 1), 0)
    bits.skip(48)
    level = bits.take(8)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers - 1)]
    if layers > 1:
        bits.skip(2 * (8 - (layers - 1)))
    for has_profile, has_level in present:
        bits.skip(88 * has_profile + 8 * has_level)
    return _PROFILES.get(profile), level


def _tools(bits: Bits, chroma: int, order_bits: int) -> None:
    """What stands between the sizes and the usability information."""
    for _ in range(6):
        bits.unsigned()
    if bits.take(1) and bits.take(1):
        _scaling_lists(bits, chroma)
    bits.skip(2)
    if bits.take(1):
        bits.skip(8)
        bits.unsigned()
        bits.unsigned()
        bits.skip(1)
    _short_term_sets(bits)
    if bits.take(1):
        for _ in range(min(bits.unsigned(), 32)):
            bits.skip(order_bits + 1)
    bits.skip(2)


def _scaling_lists(bits: Bits, chroma: int) -> None:
    """7.3.4."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.take(1):
                bits.unsigned()
                continue
            if size > 1:
                bits.signed()
            for _ in range(min(64, 1 << 4 + 2 * size)):
                bits.signed()


def _short_term_sets(bits: Bits) -> None:
    """7.3.7: the short-term reference picture sets, of which only the sizes are kept."""
    count = bits.unsigned()
    if count > 64:
        raise NotKnown("H.265 with too many reference picture sets")
    size = 0
    for number in range(count):
        if number and bits.take(1):
            bits.skip(1)
            bits.unsigned()
            kept = 0
            for _ in range(size + 1):
                used = bits.take(1)
                kept += used or bits.take(1)
            size = kept
            continue
        negative, positive = bits.unsigned(), bits.unsigned()
        if negative > 16 or positive > 16:
            raise NotKnown("H.265 with too many references")
        size = negative + positive
        for _ in range(size):
            bits.unsigned()
            bits.skip(1)


def _usability(bits: Bits, said: Coding) -> tuple[bool | None, int | None]:
    """E.2.1: fills `aspect` and `rate`; full range and matrix, None where they are not said."""
    full, matrix = None, None
    if bits.take(1):
        shape = bits.take(8)
        if shape == _EXTENDED:
            said.aspect = (bits.take(16), bits.take(16))
        elif shape < len(SHAPES):
            said.aspect = SHAPES[shape]
    if bits.take(1):
        bits.skip(1)
    if bits.take(1):
        bits.skip(3)
        full = bool(bits.take(1))
        if bits.take(1):
            bits.skip(16)
            matrix = bits.take(8)
    if bits.take(1):
        bits.unsigned()
        bits.unsigned()
    bits.skip(3)
    if bits.take(1):
        for _ in range(4):
            bits.unsigned()
    if bits.take(1):
        ticks, scale = bits.take(32), bits.take(32)
        if ticks and scale:
            said.rate = (scale, ticks)
    return full, matrix


def _pix_fmt(chroma: int, depth: int, full_range: bool | None, matrix: int | None) -> str:
    wide = "" if depth == 8 else f"{depth}le"
    if chroma == 0:
        return "gray" + wide
    if chroma == 3 and matrix == 0 and depth != 9:
        return "gbrp" + wide
    if chroma == 1 and depth == 8 and full_range:
        return "yuvj420p"
    return f"yuv{ {1: '420', 2: '422', 3: '444'}[chroma] }p{wide}"
