"""The headers of an AVI file: AVI RIFF File Reference (Microsoft), "AVI RIFF Form"; OpenDML AVI File Format 1.02.

Chunks are read one behind the other, lists are entered: so FFmpeg does, and it finds what writers misplaced.
"""

import struct
from dataclasses import dataclass, field
from fractions import Fraction

from memx.errors import CorruptFile
from memx.formats.video.assembly import Tags
from memx.formats.video.packets import NotKnown
from memx.formats.video.window import Window
from memx.records import text

_FORMS = (b"AVI ", b"AVIX", b"AVI\x19")
_MOST_CHUNKS = 1 << 14
_MOST_STREAMS = 100
_MOST_FORMAT = 1 << 20
_MOST_UNKNOWN = 1_000_000
"""An unknown chunk longer than this is taken for damage."""
_MUST_USE_INDEX = 0x20
_STREAM_TEXTS = frozenset((b"strn", b"isbj", b"inam", b"iart", b"icop", b"icmt", b"ignr", b"ipod", b"isof"))
_NAMES = {
    "STRN": "title",
    "ISBJ": "subject",
    "INAM": "title",
    "IART": "artist",
    "ICOP": "copyright",
    "ICMT": "comment",
    "IGNR": "genre",
    "IPRD": "product",
    "ISFT": "software",
    "ICRD": "date",
    "ILNG": "language",
    "IPRT": "track",
    "ITRK": "track",
    "ISMP": "timecode",
    "ITCH": "encoded_by",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


@dataclass(slots=True)
class StreamHeader:
    """A stream: what its `strh` and `strf` chunks say, and where its index is."""

    kind: bytes
    handler: bytes
    base: Fraction
    start: int
    length: int
    sample_size: int
    format: bytes | None = None
    aspect: Fraction | None = None
    index: int | None = None
    """Where the body of its `indx` chunk begins."""
    tags: Tags = field(default_factory=Tags)


@dataclass(slots=True)
class Headers:
    """What stands before the media data; `movi` is where the list's type stands."""

    riff_end: int
    streams: list[StreamHeader] = field(default_factory=list)
    tags: Tags = field(default_factory=Tags)
    must_use_index: bool = False
    movi: int = 0
    movi_end: int = 0


def chunk(window: Window, at: int) -> tuple[bytes, int]:
    """Identifier and size of the chunk at `at`; both empty at the end of the file."""
    head = window.read(at, 8)
    return (head[:4], int.from_bytes(head[4:], "little")) if len(head) == 8 else (b"", 0)


class HeaderReader:
    """Reads the headers; text longer than `limit` bytes is left out, and says so."""

    def __init__(self, window: Window, limit: int) -> None:
        self._window = window
        self._limit = limit
        self._period = 0
        self._list_end = 0

    def read(self) -> Headers:
        """The headers. CorruptFile where there are none; NotKnown for what is left to FFmpeg."""
        head = self._window.read(0, 12)
        if head[:4] != b"RIFF" or head[8:] not in _FORMS:
            raise NotKnown("a form that is no AVI")
        found = Headers(8 + int.from_bytes(head[4:8], "little"))
        at = 12
        for _ in range(_MOST_CHUNKS):
            kind, size = chunk(self._window, at)
            if not kind:
                raise CorruptFile("there are no media data behind the headers", offset=min(at, self._window.size))
            body = at + 8
            if kind == b"LIST":
                if self._enter(found, body, size):
                    return found
                at = self._behind_list(body, size)
            else:
                at = body + self._take(found, kind, body, size)
        raise NotKnown("very many chunks before the media data")

    def _enter(self, found: Headers, body: int, size: int) -> bool:
        """Notes a list; whether it is that of the media data."""
        self._list_end = body + size
        kind = self._window.read(body, 4)
        if kind == b"movi":
            end = body + size + (size & 1)
            found.movi, found.movi_end = body, end if size else self._end_of(found)
            return True
        if kind == b"INFO" and size >= 4:
            read_info(self._window, body + 4, body + size, found.tags, self._limit)
        if kind == b"ncdt":
            raise NotKnown("the tags of a camera")
        return False

    def _behind_list(self, body: int, size: int) -> int:
        return body + size + (size & 1) if self._window.read(body, 4) == b"INFO" else body + 4

    def _end_of(self, found: Headers) -> int:
        return self._window.size if self._window.size >= found.riff_end > 8 or found.riff_end == 8 else found.riff_end

    def _take(self, found: Headers, kind: bytes, body: int, size: int) -> int:
        """Reads a chunk; how many bytes to step over."""
        streams = found.streams
        if kind == b"avih":
            words = self._words(body, size, 10)
            self._period, found.must_use_index = words[0], bool(words[3] & _MUST_USE_INDEX)
        elif kind == b"strh":
            self._stream(found, body, size)
            return size
        elif kind == b"strf" and streams:
            length = min(size, self._list_end - body) if body < self._list_end else size
            if streams[-1].format is None and length:
                streams[-1].format = self._window.read(body, min(length, _MOST_FORMAT))
            return length + (length & 1)
        elif kind == b"indx" and streams:
            streams[-1].index = body
            return size
        elif kind == b"vprp" and streams and size > 36:
            streams[-1].aspect = _shape(self._words(body, size, 9))
        elif kind == b"IDIT":
            _date(found.tags, self._window.read(body, min(size, 63)))
        elif kind in _STREAM_TEXTS and streams:
            self._text(streams[-1].tags, kind, body, size)
        elif kind == b"strd":
            if self._window.read(body, 4) == b"AVIF":
                raise NotKnown("the tags of a camera")
        elif kind in (b"amvh", b"strl"):
            raise NotKnown("a form that is no AVI")
        elif kind not in (b"idx1", b"dmlh", b"strf") and size > _MOST_UNKNOWN:
            raise NotKnown("a very long chunk among the headers")
        return size + (size & 1)

    def _words(self, body: int, size: int, count: int) -> tuple[int, ...]:
        data = self._window.read(body, 4 * count)
        if len(data) < 4 * count or size < 4 * count:
            raise CorruptFile(f"the header at {body - 8} ends early", offset=body)
        return struct.unpack(f"<{count}I", data)

    def _stream(self, found: Headers, body: int, size: int) -> None:
        data = self._window.read(body, 48)
        if data[:4] == b"pads":
            return
        if len(data) < 48 or len(found.streams) >= _MOST_STREAMS:
            raise CorruptFile(f"the header of a stream at {body - 8} ends early", offset=body)
        scale, rate, start, length, _, _, sample_size = struct.unpack("<7I", data[20:48])
        if not scale or not rate:
            scale, rate = (self._period, 1_000_000) if self._period else (1, 25)
        if start > 3600 * rate // scale:
            start = 0
        size_of_sample = 0 if sample_size >> 31 else sample_size
        base = Fraction(scale, rate)
        if max(base.numerator, base.denominator) >> 31:
            raise NotKnown("a stream with an odd time base")
        found.streams.append(StreamHeader(data[:4], data[4:8], base, start, length, size_of_sample))

    def _text(self, tags: Tags, kind: bytes, body: int, size: int) -> None:
        put(tags, kind, self._window, body, size + (size & 1), self._limit)


def put(tags: Tags, kind: bytes, window: Window, body: int, size: int, limit: int) -> None:
    """Sets the tag of a chunk, under FFmpeg's name for it."""
    name = text(kind.split(b"\0")[0])
    name = _NAMES.get(name.upper(), name)
    tags.put(name, {"bulk": True, "length": size} if size > limit else text(window.read(body, size).split(b"\0")[0]))


def read_info(window: Window, at: int, end: int, tags: Tags, limit: int) -> None:
    """An INFO list (RIFF, "INFO List Chunk"), up to where it breaks."""
    for _ in range(_MOST_CHUNKS):
        kind, size = chunk(window, at)
        if at > end - 8 or len(kind) < 4:
            return
        if at + size > end:
            raise NotKnown("a list of information that is not parted evenly")
        if any(kind):
            put(tags, kind, window, at + 8, size + (size & 1), limit)
        at += 8 + size + (size & 1)


def _shape(words: tuple[int, ...]) -> Fraction | None:
    """The shape of a sample, by the aspect and size in a Video Properties Header (OpenDML 1.02, 5.0)."""
    down, across = words[5] & 0xFFFF, words[5] >> 16
    width, height = words[6], words[7]
    return Fraction(across * height, down * width) if across and down and width and height else None


def _date(tags: Tags, data: bytes) -> None:
    """IDIT: when it was recorded, as `Mon Mar 10 15:04:43 2003` or `2003/03/10 ...`."""
    date = text(data.split(b"\0")[0])
    parts = date.split()
    if len(parts) >= 5 and len(parts[0]) == 3 and parts[1][:3].lower() in _MONTHS and parts[2].isdigit():
        month = _MONTHS.index(parts[1][:3].lower()) + 1
        if parts[4][:4].isdigit():
            tags.put("creation_time", f"{parts[4][:4]}-{month:02}-{int(parts[2]):02} {parts[3][:8]}")
    elif date[4:5] == date[7:8] == "/":
        tags.put("creation_time", f"{date[:4]}-{date[5:7]}-{date[8:]}")
