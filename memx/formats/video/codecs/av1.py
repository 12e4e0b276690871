"""AV1 and VP9: their codec configuration records.

AV1 Codec ISO Media File Format Binding, 2.3.3; VP Codec ISO Media File Format Binding, "VP Codec Configuration Box".
"""

from memx.formats.video.codecs.picture import PictureFormat, yuv

_AV1_PROFILES = ("Main", "High", "Professional")


def av1(record: bytes, *, full_range: bool | None = None) -> PictureFormat | None:
    """What an `av1C` record says."""
    if len(record) < 4 or record[0] != 0x81:
        return None
    profile, level = record[1] >> 5, record[1] & 31
    high, twelve, grey, across, down = (record[2] >> bit & 1 for bit in (6, 5, 4, 3, 2))
    depth = (12 if twelve else 10) if high else 8
    name = _AV1_PROFILES[profile] if profile < len(_AV1_PROFILES) else None
    chroma = 0 if grey else 1 if across and down else 2 if across else 3
    return PictureFormat(profile=name, level=level, pix_fmt=yuv(chroma, depth))


def vp9(record: bytes) -> PictureFormat | None:
    """What a `vpcC` record of version 1 says."""
    if len(record) < 12 or record[0] != 1 or record[4] > 3:
        return None
    depth, chroma = record[6] >> 4, record[6] >> 1 & 7
    name = yuv(1 if chroma < 2 else min(chroma, 3), depth, rgb=record[9] == 0)
    return PictureFormat(profile=f"Profile {record[4]}", pix_fmt=name)
