"""Whether a container may be believed what it says of key frames.

Of some codecs FFmpeg's parsers tell key frames by the pictures alone. Reading into each picture would cost more than
all the rest, and most containers are right; who writes one that is not marks all pictures, or none. So the first ones
tell whether FFmpeg has to be asked.
"""

from collections.abc import Callable

from memx.formats.video.codecs import avc
from memx.formats.video.isobmff.edits import Entry
from memx.formats.video.isobmff.model import Track
from memx.formats.video.packets import KEY, NotKnown

_PARSED = frozenset(
    ("h264", "hevc", "vvc", "av1", "vp8", "vp9", "mpeg4", "mpeg2video", "h263", "h261", "png", "bmp", "gif")
)
"""Codecs that FFmpeg has a parser of: it looks at the pictures where a table of key frames is empty."""
HEAD = 1 << 12
"""So much of a picture is looked at."""


def check(track: Track, first: list[Entry], head: Callable[[Entry], bytes]) -> None:
    """NotKnown where one of the two `first` samples of a track is a key frame by the container alone, or not by it.

    Or where the container says none of all. `head` gives the first bytes of a sample, none where there are none. All
    is well where the first picture is said to be a key frame, and the second is not.
    """
    if track.sync_absent and track.codec in _PARSED:
        raise NotKnown(f"{track.codec} with an empty table of key frames")
    look = _LOOKS.get(track.codec or "")
    if look is None or not first or (first[0][5] and not (len(first) > 1 and first[1][5])):
        return
    doubted = first[1] if first[0][5] else first[0]
    data = head(doubted)
    is_key = look(track, data, doubted[2]) if data else None
    if is_key is not None and is_key != doubted[5]:
        raise NotKnown(f"{track.codec} with other key frames than the container says")


def _h264(track: Track, data: bytes, size: int) -> bool | None:
    from memx.formats.video.packets.h264 import Pictures

    found = avc.configuration(track.config) if track.config[:1] == b"\1" and len(track.config) > 7 else None
    if found is None:
        return None
    try:
        said = Pictures(track.config, found.references).look(data, 0, size)
    except NotKnown:
        return None
    return None if said < 0 else said == KEY


def _av1(_track: Track, data: bytes, _size: int) -> bool | None:
    from memx.formats.video.packets.av1 import begins_with_key

    return begins_with_key(data)


def _vpx(track: Track, data: bytes, size: int) -> bool | None:
    from memx.formats.video.packets.vpx import Vp8Pictures, Vp9Pictures

    pictures = Vp8Pictures() if track.codec == "vp8" else Vp9Pictures()
    said = pictures.look(data, 0, size)
    return None if said < 0 else said == KEY


_LOOKS: dict[str, Callable[[Track, bytes, int], bool | None]] = {
    "h264": _h264,
    "av1": _av1,
    "vp8": _vpx,
    "vp9": _vpx,
}
