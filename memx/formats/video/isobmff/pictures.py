"""The format of a track's pictures: by its configuration record, or by the first bytes of its first picture.

What knows a codec is imported when that codec is met.
"""

from collections.abc import Callable

from memx.formats.video.codecs.picture import PictureFormat
from memx.formats.video.isobmff.model import Track

Head = Callable[[int], bytes]
"""Gives the first bytes of the first picture, at most so many."""

_FIXED_FORMATS = {
    **dict.fromkeys(("vp8", "h261", "flv1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "asv1", "yuv4"), "yuv420p"),
    "svq1": "yuv410p",
    "y41p": "yuv411p",
    "amv": "yuvj420p",
    "rpza": "rgb555le",
    "smc": "pal8",
    "v210": "yuv422p10le",
    "r210": "gbrp10le",
}
_RAW_FORMATS = {
    b"2vuy": "uyvy422",
    b"yuvs": "yuyv422",
    b"yuv2": "yuyv422",
    b"24BG": "bgr24",
    b"BGRA": "bgra",
    b"RGBA": "rgba",
    b"v308": "vyu444",
    b"v408": "uyva",
    b"v410": "v30xle",
    b"I420": "yuv420p",
    b"UYVY": "uyvy422",
    b"Y800": "gray",
}
_BY_DEPTH = {
    b"rle ": {16: "rgb555be", 24: "rgb24", 32: "argb"},
    b"raw ": {16: "rgb555be", 24: "rgb24", 32: "argb"},
    b"cvid": {24: "rgb24"},
}
"""Formats of QuickTime's own codecs, by the depth that the sample description gives."""
_PRORES = {b"apco": "Proxy", b"apcs": "LT", b"apcn": "Standard", b"apch": "HQ", b"ap4h": "4444", b"ap4x": "XQ"}
_WITHOUT_PICTURES = frozenset(("av1", "mpeg4"))
"""Codecs whose configuration FFmpeg takes for good before there was a picture."""


def picture_format(track: Track, head: Head | None) -> PictureFormat:
    """What is known of the pictures; nothing where there is none (`head` is None) to tell a decoder."""
    if head is None and track.codec not in _WITHOUT_PICTURES:
        return PictureFormat()
    configured = _CONFIGURED.get(track.codec or "")
    found = None if configured is None else configured(track)
    if found is None and head is not None:
        first = _FIRST_PICTURES.get(track.codec or "")
        found = _fixed(track) if first is None else first(track, head)
    return found or PictureFormat()


def _fixed(track: Track) -> PictureFormat:
    name = _FIXED_FORMATS.get(track.codec or "") or _RAW_FORMATS.get(track.format)
    return PictureFormat(pix_fmt=name or _BY_DEPTH.get(track.format, {}).get(track.depth))


def _h264(track: Track) -> PictureFormat | None:
    from memx.formats.video.codecs import avc

    return avc.configuration(track.config, full_range=track.full_range)


def _hevc(track: Track) -> PictureFormat | None:
    from memx.formats.video.codecs import hevc

    return hevc.configuration(track.config, full_range=track.full_range)


def _av1(track: Track) -> PictureFormat | None:
    from memx.formats.video.codecs import av1
    from memx.formats.video.packets import NotKnown
    from memx.formats.video.packets.av1 import coding

    found = av1.av1(track.config)
    try:
        if found is not None:  # whether they are red, green and blue only the sequence header says
            found.pix_fmt = coding(track.config).pix_fmt
    except NotKnown:
        pass
    return found


def _vp9(track: Track) -> PictureFormat | None:
    from memx.formats.video.codecs import av1

    return av1.vp9(track.config)


def _mpeg4(track: Track) -> PictureFormat | None:
    from memx.formats.video.codecs import mpeg4

    return mpeg4.configuration(track.config)


_CONFIGURED: dict[str, Callable[[Track], PictureFormat | None]] = {
    "h264": _h264,
    "hevc": _hevc,
    "av1": _av1,
    "vp9": _vp9,
    "mpeg4": _mpeg4,
}


def _mpeg4_picture(_track: Track, head: Head) -> PictureFormat | None:
    from memx.formats.video.codecs import mpeg4

    return mpeg4.configuration(head(1 << 10))


def _h263(_track: Track, head: Head) -> PictureFormat | None:
    from memx.formats.video.codecs import mpeg4

    return mpeg4.h263(head(16))


def _mpeg2(_track: Track, head: Head) -> PictureFormat | None:
    from memx.formats.video.packets import NotKnown, mpeg12

    try:
        said = mpeg12.coding(head(mpeg12.MOST_HEADER))
    except NotKnown:
        return None
    return PictureFormat(said.width, said.height, said.pix_fmt, said.profile, said.level, said.aspect, said.rate)


def _still(track: Track, head: Head) -> PictureFormat | None:
    from memx.formats.video.codecs import still

    look = {"mjpeg": still.jpeg, "png": still.png, "bmp": still.bmp}[track.codec or ""]
    return look(head(still.HEAD))


def _prores(track: Track, head: Head) -> PictureFormat:
    """ProRes (SMPTE RDD 36, 6.1.1): whether there is transparency stands in the header of a picture."""
    found = PictureFormat(profile=_PRORES.get(track.format), pix_fmt="yuv422p10le")
    if track.format in (b"ap4h", b"ap4x"):
        data = head(32)
        found.pix_fmt = "yuva444p12le" if len(data) == 32 and data[25] & 15 else "yuv444p12le"
    return found


_FIRST_PICTURES: dict[str, Callable[[Track, Head], PictureFormat | None]] = {
    "mpeg4": _mpeg4_picture,
    "h263": _h263,
    "mpeg2video": _mpeg2,
    "mjpeg": _still,
    "png": _still,
    "bmp": _still,
    "prores": _prores,
}
