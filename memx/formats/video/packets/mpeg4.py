"""The kinds of MPEG-4 pictures: ISO/IEC 14496-2, 6.2.5."""

from memx.formats.video.codecs import mpeg4
from memx.formats.video.packets.coding import Coding, NotKnown

_PICTURE_START = b"\0\0\1\xb6"
BEGIN = 5
"""Bytes of a packet that tell its kind, where no headers stand before its picture."""
MOST_HEADER = 1 << 12
"""So much of a packet is looked at for its first picture."""
_KINDS = (1, 0, 2, 0)
"""By vop_coding_type: I, P, B, S."""


def coding(headers: bytes) -> Coding:
    """What the headers say, which stand in the container, or before the first picture. NotKnown without any."""
    found = mpeg4.configuration(headers)
    if found is None or not found.width or not found.height:
        raise NotKnown("MPEG-4 video without a header")
    return Coding.of("mpeg4", found)


class Pictures:
    """Tells the kind of each packet by the header of its first picture."""

    def __init__(self) -> None:
        self._last = 1

    def look(self, data: bytes, at: int, size: int) -> int:
        """0: another, 1: a key frame, 2: a B picture; -n: n bytes of the packet are needed."""
        if data.startswith(_PICTURE_START, at) and at + 4 < len(data) and size > 4:
            found = at
        else:
            end = at + min(size, MOST_HEADER)
            found = data.find(_PICTURE_START, at, end - 1)
            if found < 0:
                # further than what was read, or all that may be looked at
                return self._last if len(data) >= end else -min(size, MOST_HEADER, max(64, 4 * (len(data) - at)))
            if found + 4 >= len(data):
                return -(found + 5 - at)
        self._last = _KINDS[data[found + 4] >> 6]
        return self._last
