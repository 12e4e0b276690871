"""MPEG-4 part 2: the video object layer (ISO/IEC 14496-2, 6.2.2, 6.2.3); H.263's picture header (ITU-T H.263, 5.1)."""

from fractions import Fraction

from memx.formats.video.codecs.bits import Bits
from memx.formats.video.codecs.picture import PictureFormat

_PROFILE_NAMES = (
    "Simple Profile|Simple Scalable Profile|Core Profile|Main Profile|N-bit Profile|Scalable Texture Profile|"
    "Simple Face Animation Profile|Basic Animated Texture Profile|Hybrid Profile|Advanced Real Time Simple Profile|"
    "Code Scalable Profile|Advanced Coding Profile|Advanced Core Profile|Advanced Scalable Texture Profile|"
    "Simple Studio Profile|Advanced Simple Profile"
)
_PROFILES = _PROFILE_NAMES.split("|")
_ASPECTS = ((0, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33))
_EXTENDED = 15
_SIMPLE, _ADVANCED_SIMPLE = 1, 17
_H263_SIZES = {1: (128, 96), 2: (176, 144), 3: (352, 288), 4: (704, 576), 5: (1408, 1152)}


def configuration(data: bytes) -> PictureFormat | None:
    """The format that the headers before the first picture tell; None where there is no video object layer."""
    found = PictureFormat(pix_fmt="yuv420p")
    at = data.find(b"\0\0\1\xb0")
    if at >= 0 and at + 4 < len(data) and data[at + 4] != 0:
        profile, level = data[at + 4] >> 4, data[at + 4] & 15
        if profile == 0 and level == 8:
            level = 0
        elif data[at + 4] >> 4 == 15 and level > 7:
            profile = -1  # Fine Granularity Scalability
        found.profile = _PROFILES[profile] if profile >= 0 else None
        found.level = level
    for code in range(0x20, 0x30):
        at = data.find(bytes((0, 0, 1, code)))
        if at >= 0:
            return _layer(Bits(data[at + 4 : at + 260]), found)
    return None


def _layer(bits: Bits, found: PictureFormat) -> PictureFormat | None:
    bits.skip(1)
    kind = bits.take(8)
    version = bits.take(7) >> 3 if bits.flag() else 1
    aspect = bits.take(4)
    if aspect == _EXTENDED:
        found.aspect = (bits.take(8), bits.take(8))
    elif aspect < len(_ASPECTS):
        found.aspect = _ASPECTS[aspect]
    found.reorder = int(kind not in (_SIMPLE, _ADVANCED_SIMPLE))
    if bits.flag():  # vol_control_parameters
        bits.skip(2)
        found.reorder = 0 if bits.flag() else 1
        if bits.flag():
            bits.skip(79)
    shape = bits.take(2)
    if shape == 3 and version != 1:
        bits.skip(4)
    if shape != 0 or (kind == 0 and version > 5):
        return None
    bits.skip(1)
    resolution = bits.take(16)
    bits.skip(1)
    if bits.flag():
        step = bits.take(max(1, (resolution - 1).bit_length() if resolution > 1 else 1))
        if resolution and step:
            found.frame_rate = Fraction(resolution, step)
    elif resolution:  # pictures may come at every tick
        found.frame_rate = Fraction(resolution)
    bits.skip(1)
    found.width = bits.take(13)
    bits.skip(1)
    found.height = bits.take(13)
    return None if bits.over else found


def h263(data: bytes) -> PictureFormat | None:
    """The format in the header of an H.263 picture that has a standard size."""
    bits = Bits(data[:64])
    if bits.take(22) != 0x20:
        return None
    bits.skip(8 + 5)
    size = _H263_SIZES.get(bits.take(3))
    if size is None:
        return None
    return PictureFormat(width=size[0], height=size[1], pix_fmt="yuv420p", aspect=(12, 11))
