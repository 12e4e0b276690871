"""H.264: the sequence parameter set in an AVC decoder configuration record.

ISO/IEC 14496-15, 5.3.3.1; ITU-T H.264, 7.3.2.1.
"""

from fractions import Fraction

from memx.formats.video.codecs.bits import Bits, unescaped
from memx.formats.video.codecs.picture import ASPECTS, PictureFormat, yuv

_PROFILES = {
    44: "CAVLC 4:4:4",
    66: "Baseline",
    77: "Main",
    88: "Extended",
    100: "High",
    110: "High 10",
    118: "Multiview High",
    122: "High 4:2:2",
    128: "Stereo High",
    144: "High 4:4:4",
    244: "High 4:4:4 Predictive",
}
_INTRA = {110: "High 10 Intra", 122: "High 4:2:2 Intra", 244: "High 4:4:4 Intra"}
_WITH_CHROMA = frozenset((44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244))
_SPS = 7
_EXTENDED_SAR = 255


def configuration(record: bytes, *, full_range: bool | None = None) -> PictureFormat | None:
    """The format that an `avcC` record, or parameter sets behind start codes, tell; None where there is none.

    `full_range` is what the container says of the range of the samples' values, where the stream says nothing.
    """
    for unit in _units(record):
        if unit[:1] and unit[0] & 31 == _SPS:
            return sequence(unit, full_range=full_range)
    return None


def _units(record: bytes) -> list[bytes]:
    if record[:1] != b"\1":
        return [part for part in record.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if part]
    units, at = [], 6
    for _ in range(record[5] & 31 if len(record) > 5 else 0):
        length = int.from_bytes(record[at : at + 2], "big")
        units.append(record[at + 2 : at + 2 + length])
        at += 2 + length
    return units


def sequence(unit: bytes, *, full_range: bool | None = None) -> PictureFormat | None:
    """What a sequence parameter set says (7.3.2.1.1); None where it breaks off."""
    bits = Bits(unescaped(unit[1:1024]))
    profile, constraints, level = bits.take(8), bits.take(8), bits.take(8)
    bits.ue()
    chroma, luma_depth = _chroma(bits, profile)
    bits.ue()
    _skip_order_count(bits)
    references = bits.ue()
    bits.skip(1)
    columns, rows = bits.ue() + 1, bits.ue() + 1
    frames_only = bits.flag()
    if not frames_only:
        bits.skip(1)
    bits.skip(1)
    crops = [bits.ue() for _ in range(4)] if bits.flag() else [0, 0, 0, 0]
    if bits.over or columns > 1 << 12 or rows > 1 << 12:
        return None
    found = PictureFormat(level=_level(profile, constraints, level), profile=_profile(profile, constraints))
    found.coded_width, found.coded_height = 16 * columns, 16 * rows * (1 if frames_only else 2)
    across, down = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1) * (1 if frames_only else 2)
    found.width = found.coded_width - across * (crops[0] + crops[1])
    found.height = found.coded_height - down * (crops[2] + crops[3])
    if found.width <= 0 or found.height <= 0:  # FFmpeg ignores what would cut off all of it
        found.width, found.height = found.coded_width, found.coded_height
    found.crop_begins = bool(crops[0] or crops[2])
    found.references = references
    rgb = False
    if bits.flag():
        full_range, rgb = _usability(bits, found, full_range)
    found.pix_fmt = yuv(chroma or 1, luma_depth, full_range=bool(full_range), rgb=rgb)
    return found


def _chroma(bits: Bits, profile: int) -> tuple[int, int]:
    """chroma_format_idc and the bits of a luma sample."""
    if profile not in _WITH_CHROMA:
        return 1, 8
    chroma = bits.ue()
    if chroma == 3:
        bits.skip(1)
    depth = 8 + bits.ue()
    bits.ue()
    bits.skip(1)
    if bits.flag():
        for number in range(12 if chroma == 3 else 8):
            if bits.flag():
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return min(chroma, 3), depth


def _skip_scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.se()) % 256
        last = following or last


def _skip_order_count(bits: Bits) -> None:
    kind = bits.ue()
    if kind == 0:
        bits.ue()
    elif kind == 1:
        bits.skip(1)
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), 255)):
            bits.se()


def _usability(bits: Bits, found: PictureFormat, full_range: bool | None) -> tuple[bool | None, bool]:
    """The VUI parameters (E.1.1): shape of the pixels, rate; whether the range is full, and the colours are RGB."""
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
        bits.ue()
        bits.ue()
    if bits.flag():
        units, scale = bits.take(32), bits.take(32)
        if units and scale and not bits.over:
            found.frame_rate = Fraction(scale, 2 * units)
        bits.skip(1)
    found.reorder = _reorder(bits)
    return full_range, rgb


def _reorder(bits: Bits) -> int | None:
    """max_num_reorder_frames, from behind the timing information; None where it is not there."""
    decoders = [bits.flag() and _skip_decoder(bits) for _ in range(2)]
    bits.skip(2 if any(decoders) else 1)
    if not bits.left or not bits.flag():
        return None
    bits.skip(1)
    for _ in range(4):
        bits.ue()
    frames = bits.ue()
    bits.ue()
    return None if bits.over else min(frames, 16)


def _skip_decoder(bits: Bits) -> bool:
    """hrd_parameters (E.1.2)."""
    count = bits.ue() + 1
    bits.skip(8)
    for _ in range(min(count, 32)):
        bits.ue()
        bits.ue()
        bits.skip(1)
    bits.skip(20)
    return True


def _profile(profile: int, constraints: int) -> str | None:
    if profile == 66 and constraints & 0x40:
        return "Constrained Baseline"
    if constraints & 0x10 and profile in _INTRA:
        return _INTRA[profile]
    return _PROFILES.get(profile)


def _level(profile: int, constraints: int, level: int) -> int:
    """Level 1b has a number of its own in FFmpeg, as in table A-1."""
    return 9 if level == 11 and constraints & 0x10 and profile in (66, 77, 88) else level
