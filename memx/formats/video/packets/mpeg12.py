"""MPEG-2 video, ISO/IEC 13818-2: the headers of its sequences, and the kinds of its pictures."""

from fractions import Fraction

from memx.formats.video.packets.coding import Coding, NotKnown, Ratio

_START = b"\0\0\1"
_PICTURE, _SEQUENCE, _EXTENSION = 0x00, 0xB3, 0xB5
_SEQUENCE_EXTENSION, _CODING_EXTENSION = 1, 8
_RATES: tuple[Ratio, ...] = (
    (0, 0),
    (24000, 1001),
    (24, 1),
    (25, 1),
    (30000, 1001),
    (30, 1),
    (50, 1),
    (60000, 1001),
    (60, 1),
    (15, 1),
    (5, 1),
    (10, 1),
    (12, 1),
    (15, 1),
)
"""Table 6-4; those from 15 on are none of the standard's: encoders write them, and FFmpeg takes them."""
_SHAPES: dict[int, Ratio] = {2: (4, 3), 3: (16, 9), 4: (221, 100)}
"""Display aspect ratios, table 6-3; 1 is square samples."""
_PROFILES = {0: "4:2:2", 1: "High", 2: "Spatially Scalable", 3: "SNR Scalable", 4: "Main", 5: "Simple"}
_PIXELS = {1: "yuv420p", 2: "yuv422p", 3: "yuv444p"}
_UNKNOWN_DELAY = 0xFFFF
MOST_HEADER = 1 << 12


def coding(data: bytes) -> Coding:
    """What FFmpeg says of a stream with the headers in `data`. NotKnown where they are not those of MPEG-2."""
    said = Coding("mpeg2video", fields=True)
    at, rate, bits, shape, extended, delay = data.find(_START), (0, 0), 0, 0, False, 0
    while 0 <= at < len(data) - 9:
        code, body = data[at + 3], data[at + 4 : at + 12]
        if code == _SEQUENCE:
            said.width, said.height = body[0] << 4 | body[1] >> 4, (body[1] & 15) << 8 | body[2]
            shape, index = body[3] >> 4, body[3] & 15
            rate = _RATES[index] if index < len(_RATES) else (0, 0)
            bits = body[4] << 10 | body[5] << 2 | body[6] >> 6
        elif code == _EXTENSION and body[0] >> 4 == _SEQUENCE_EXTENSION and rate != (0, 0):
            extended = True
            said.profile, said.level = _PROFILES.get(body[0] & 7), body[1] >> 4
            said.width |= (body[1] & 1) << 13 | (body[2] & 0x80) << 5
            said.height |= (body[2] >> 5 & 3) << 12
            said.pix_fmt = _PIXELS.get(body[1] >> 1 & 3)
            bits |= ((body[2] & 31) << 7 | body[3] >> 1) << 18
            said.delay = 1 - (body[5] >> 7)
            said.rate = Fraction(rate[0] * ((body[5] >> 5 & 3) + 1), rate[1] * ((body[5] & 31) + 1))
        elif code == _PICTURE:
            delay = (body[1] & 7) << 13 | body[2] << 5 | body[3] >> 3
            break
        at = data.find(_START, at + 3)
    if not extended or said.pix_fmt is None or not said.width or not said.height:
        raise NotKnown("MPEG video without the headers of MPEG-2")
    if bits and delay != _UNKNOWN_DELAY:
        said.bit_rate = 400 * bits
    if shape in _SHAPES:
        across, down = _SHAPES[shape]
        said.aspect = (across * said.height, down * said.width)
    elif shape == 1:
        said.aspect = (1, 1)
    return said


class Pictures:
    """Tells the kind of each packet by its first picture header (6.2.3)."""

    def __init__(self) -> None:
        self._last = 1

    def look(self, data: bytes, at: int, size: int) -> int:
        """0: no key frame, 1: a key frame, 2: a B picture; -n: n bytes of the packet are needed.

        The packet, `size` bytes, begins in `data` at `at`; what is not in `data` was not read.
        """
        end = at + min(size, MOST_HEADER)
        found = data.find(b"\0\0\1\0", at, end)
        if found < 0:
            read = len(data) - at
            return self._last if len(data) >= end else -min(size, MOST_HEADER, max(64, 4 * read))
        if found + 5 >= len(data):
            return self._last if found + 6 > at + size else -(found + 6 - at)
        self._last = _KINDS[data[found + 5] >> 3 & 7]
        return self._last


_KINDS = (0, 1, 0, 2, 0, 0, 0, 0)
"""By picture_coding_type (table 6-12): 1 is I, 2 is P, 3 is B."""
