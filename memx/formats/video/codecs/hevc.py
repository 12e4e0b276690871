"""H.265: the sequence parameter set in an HEVC decoder configuration record.

ISO/IEC 14496-15, 8.3.3.1; ITU-T H.265, 7.3.2.2.
"""

from fractions import Fraction

from memx.formats.video.codecs.bits import Bits, unescaped
from memx.formats.video.codecs.picture import ASPECTS, PictureFormat, yuv

_PROFILES = {1: "Main", 2: "Main 10", 3: "Main Still Picture", 4: "Rext", 6: "Multiview Main", 9: "Scc"}
_SPS = 33
_EXTENDED_SAR = 255


def configuration(record: bytes, *, full_range: bool | None = None) -> PictureFormat | None:
    """The format that an `hvcC` record tells; None where it has no sequence parameter set."""
    at = 23
    for _ in range(record[22] if len(record) > 22 else 0):
        kind, count = record[at] & 63 if at < len(record) else 0, int.from_bytes(record[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            length = int.from_bytes(record[at : at + 2], "big")
            unit = record[at + 2 : at + 2 + length]
            if kind == _SPS and len(unit) > 2 and not (unit[0] & 1 or unit[1] >> 3):  # of the base layer
                return sequence(unit, full_range=full_range)
            at += 2 + length
            if at >= len(record):
                return None
    return None


def sequence(unit: bytes, *, full_range: bool | None = None) -> PictureFormat | None:
    """What a sequence parameter set of the base layer says (7.3.2.2.1); None where it breaks off."""
    bits = Bits(unescaped(unit[2:2048]))
    bits.skip(4)
    sub_layers = bits.take(3)
    bits.skip(1)
    profile, level = _profile_tier_level(bits, sub_layers)
    bits.ue()
    chroma = min(bits.ue(), 3)
    if chroma == 3:
        bits.skip(1)
    width, height = bits.ue(), bits.ue()
    crops = [bits.ue() for _ in range(4)] if bits.flag() else [0, 0, 0, 0]
    depth = 8 + bits.ue()
    bits.ue()
    if bits.over or not 0 < width <= 1 << 16 or not 0 < height <= 1 << 16:
        return None
    found = PictureFormat(level=level, profile=_PROFILES.get(profile), coded_width=width, coded_height=height)
    across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1)
    found.width, found.height = width - across * (crops[0] + crops[1]), height - down * (crops[2] + crops[3])
    if found.width <= 0 or found.height <= 0:
        found.width, found.height = width, height
    rgb = False
    if _skip_to_usability(bits, sub_layers, found):
        full_range, rgb = _usability(bits, found, full_range)
    full = bool(full_range) and chroma == 1
    found.pix_fmt = yuv(chroma, depth, full_range=full, rgb=rgb)
    return found


def _profile_tier_level(bits: Bits, sub_layers: int) -> tuple[int, int]:
    """general_profile_idc and general_level_idc (7.3.3)."""
    bits.skip(3)
    profile = bits.take(5)
    bits.skip(80)
    level = bits.take(8)
    present = [(bits.flag(), bits.flag()) for _ in range(sub_layers)]
    if sub_layers:
        bits.skip(2 * (8 - sub_layers))
    for has_profile, has_level in present:
        bits.skip(88 * has_profile + 8 * has_level)
    return profile, level


def _skip_to_usability(bits: Bits, sub_layers: int, found: PictureFormat) -> bool:
    """Steps over what stands between the bit depths and the VUI parameters; whether there are any."""
    order_bits = bits.ue() + 4
    for _ in range(sub_layers + 1 if bits.flag() else 1):
        _, found.reorder, _ = bits.ue(), bits.ue(), bits.ue()  # that of the highest layer counts
    for _ in range(6):
        bits.ue()
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.skip(2)
    if bits.flag():
        bits.skip(8)
        bits.ue(), bits.ue()
        bits.skip(1)
    if not _skip_reference_sets(bits):
        return False
    if bits.flag():
        for _ in range(min(bits.ue(), 32)):
            bits.skip(min(order_bits, 16) + 1)
    bits.skip(2)
    return bits.flag() and not bits.over


def _skip_scaling_lists(bits: Bits) -> None:
    """scaling_list_data (7.3.4)."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.flag():
                bits.ue()
                continue
            if size > 1:
                bits.se()
            for _ in range(min(64, 1 << (4 + 2 * size))):
                bits.se()


def _skip_reference_sets(bits: Bits) -> bool:
    """st_ref_pic_set for each of the sets (7.3.7); False where they are no such sets."""
    count = bits.ue()
    if count > 64:
        return False
    deltas = 0
    for number in range(count):
        if number and bits.flag():
            bits.skip(1)
            bits.ue()
            used = 0
            for _ in range(deltas + 1):
                if bits.flag() or bits.flag():  # used_by_curr_pic_flag, else use_delta_flag
                    used += 1
            deltas = used
        else:
            negative, positive = bits.ue(), bits.ue()
            if negative > 16 or positive > 16:
                return False
            for _ in range(negative + positive):
                bits.ue()
                bits.skip(1)
            deltas = negative + positive
    return not bits.over


def _usability(bits: Bits, found: PictureFormat, full_range: bool | None) -> tuple[bool | None, bool]:
    """The VUI parameters (E.2.1): shape of the pixels, rate; whether the range is full, and the colours are RGB."""
    rgb = False
    if bits.flag():
        code = bits.take(8)
        if code == _EXTENDED_SAR:
            found.aspect = (bits.take(16), bits.take(16))
        elif code < len(ASPECTS):
            found.aspect = ASPECTS[code]
    if bits.flag():
        bits.skip(1)
    if bits.flag():
        bits.skip(3)
        full_range = bits.flag()
        if bits.flag():
            bits.skip(16)
            rgb = bits.take(8) == 0
    if bits.flag():
        bits.ue(), bits.ue()
    bits.skip(3)
    if bits.flag():
        for _ in range(4):
            bits.ue()
    if bits.flag():
        units, scale = bits.take(32), bits.take(32)
        if units and scale and not bits.over:
            found.frame_rate = Fraction(scale, units)
    return full_range, rgb
