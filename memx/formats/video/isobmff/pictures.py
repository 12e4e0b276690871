"""The format of a track's pictures: by its configuration record, or by the first bytes of its first picture.

What knows a codec is imported when that codec is met.
"""

from collections.abc import Callable

from memx.formats.video.codecs.picture import PictureFormat
from memx.formats.video.isobmff.model import Track
from memx.formats.video.packets import Coding, NotKnown

Head = Callable[[int], bytes]
"""Gives the first bytes of the first picture, at most so many."""

_FIXED_FORMATS = {
    **dict.fromkeys(("vp8", "h261", "flv1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2"), "yuv420p"),
    **dict.fromkeys(("asv1", "asv2", "yuv4"), "yuv420p"),
    **dict.fromkeys(("r210", "r10k", "avrp"), "gbrp10le"),
    "svq1": "yuv410p",
    "y41p": "yuv411p",
    "amv": "yuvj420p",
    "rpza": "rgb555le",
    "smc": "pal8",
    "v210": "yuv422p10le",
    "flashsv": "bgr24",
}
_TAGGED_FORMATS = {
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
    b"Hap1": "rgb0",
    b"Hap5": "rgba",
    b"HapY": "rgb0",
    b"ULRG": "gbrp",
    b"ULRA": "gbrap",
    b"ULY0": "yuv420p",
    b"ULY2": "yuv422p",
    b"ULY4": "yuv444p",
    b"ULH0": "yuv420p",
    b"ULH2": "yuv422p",
    b"ULH4": "yuv444p",
    b"SHQ0": "yuv420p",
    b"SHQ2": "yuv422p",
    b"SHQ4": "yuv444p",
}
_BY_DEPTH = {
    b"rle ": {**dict.fromkeys((2, 4, 8, 34, 36, 40), "pal8"), 16: "rgb555le", 24: "rgb24", 32: "argb"},
    b"raw ": {16: "rgb555be", 24: "rgb24", 32: "argb"},
    b"cvid": {24: "rgb24"},
}
"""Formats of QuickTime's own codecs, by the depth that the sample description gives."""
_PRORES = {b"apco": "Proxy", b"apcs": "LT", b"apcn": "Standard", b"apch": "HQ", b"ap4h": "4444", b"ap4x": "XQ"}
_STILLS = (b"\xff\xd8", b"\x89P", b"BM")
"""How JPEG, PNG and BMP begin."""
_UNITS = 1 << 12
"""So many bytes of a picture are looked at for what describes them all."""
_WITHOUT_PICTURES = frozenset(("av1", "hevc", "mpeg4"))
"""Codecs whose configuration FFmpeg takes for good before there was a picture."""


def picture_format(track: Track, head: Head | None) -> PictureFormat:
    """What is known of the pictures; nothing where there is none (`head` is None) to tell a decoder.

    NotKnown where FFmpeg's decoder may tell what is not known here.
    """
    if head is None and track.codec not in _WITHOUT_PICTURES:
        return PictureFormat()
    if track.encrypted and head is not None:
        _check_clear(track, head)
    configured = _CONFIGURED.get(track.codec or "")
    found = None if configured is None else configured(track)
    if head is None and found is not None and track.codec == "mpeg4":
        found.width, found.height, found.pix_fmt = 0, 0, None
    if found is None and head is not None:
        first = _FIRST_PICTURES.get(track.codec or "")
        found = _fixed(track) if first is None else first(track, head)
    return found or PictureFormat()


def _check_clear(track: Track, head: Head) -> None:
    """NotKnown where encryption leaves nothing of a picture that a decoder could look at."""
    if track.codec in ("av1", "vp9"):
        _FIRST_PICTURES[track.codec](track, head)
    elif track.codec not in ("h264", "hevc"):  # which name their units in the clear
        raise NotKnown(f"encrypted {track.codec}")


def _fixed(track: Track) -> PictureFormat:
    name = _FIXED_FORMATS.get(track.codec or "") or _TAGGED_FORMATS.get(track.format)
    name = name or _BY_DEPTH.get(track.format, {}).get(track.depth)
    if name is None:
        raise NotKnown(f"{track.codec} whose format only a decoder tells")
    return PictureFormat(pix_fmt=name)


def _h264(track: Track) -> PictureFormat | None:
    from memx.formats.video.codecs import avc

    return avc.configuration(track.config, full_range=track.full_range)


def _hevc(track: Track) -> PictureFormat | None:
    from memx.formats.video.codecs import hevc

    return hevc.configuration(track.config, full_range=track.full_range)


def _av1(track: Track) -> PictureFormat | None:
    from memx.formats.video.codecs import av1
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

    data = head(16)
    found = mpeg4.h263(data)
    if found is None and data[:2] == b"\0\0" and data[2:3] and data[2] >> 2 == 0x20:  # it begins a picture
        raise NotKnown("H.263 of an extended kind")
    return found


def _mpeg2(_track: Track, head: Head) -> PictureFormat:
    from memx.formats.video.packets import mpeg12

    return _of(mpeg12.coding(head(mpeg12.MOST_HEADER)))


def _still(track: Track, head: Head) -> PictureFormat | None:
    from memx.formats.video.codecs import still

    look = {"mjpeg": still.jpeg, "png": still.png, "bmp": still.bmp}[track.codec or ""]
    data = head(still.HEAD)
    found = look(data)
    if data[:2] in _STILLS and (found is None or found.pix_fmt is None):
        raise NotKnown(f"{track.codec} of a rare kind")
    return found


def _prores(track: Track, head: Head) -> PictureFormat:
    from memx.formats.video.packets import editing

    found = editing.prores(head(editing.PRORES_HEAD), 12 if track.format in (b"ap4h", b"ap4x") else 10)
    found.profile = _PRORES.get(track.format)
    return found


def _dv(_track: Track, head: Head) -> PictureFormat | None:
    from memx.formats.video.packets import editing

    return editing.dv(head(editing.DV_HEAD))


def _vc3(_track: Track, head: Head) -> PictureFormat | None:
    from memx.formats.video.packets import editing

    return editing.vc3(head(editing.VC3_HEAD))


def _av1_picture(_track: Track, head: Head) -> PictureFormat:
    from memx.formats.video.packets import av1

    return _of(av1.sequence(head(_UNITS)))


def _vp9_picture(_track: Track, head: Head) -> PictureFormat:
    from memx.formats.video.packets import vpx

    return _of(vpx.vp9(head(vpx.VP9_HEADER)))


def _of(said: Coding) -> PictureFormat:
    return PictureFormat(said.width, said.height, said.pix_fmt, said.profile, said.level, said.aspect, said.rate)


_FIRST_PICTURES: dict[str, Callable[[Track, Head], PictureFormat | None]] = {
    "mpeg4": _mpeg4_picture,
    "h263": _h263,
    "mpeg2video": _mpeg2,
    "mjpeg": _still,
    "png": _still,
    "bmp": _still,
    "prores": _prores,
    "dvvideo": _dv,
    "dnxhd": _vc3,
    "av1": _av1_picture,
    "vp9": _vp9_picture,
}
