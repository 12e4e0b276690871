"""MPEG audio and AC-3 that chunks part anywhere, put together in frames again, as FFmpeg's parser does.

A frame gets the time of the chunk in which it begins, where none before it did (`ff_fetch_timestamp`,
`mpegaudio_parse`, `ff_aac_ac3_parse` of libavcodec). Only the headers of frames are read.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import NamedTuple

from memx.formats.video.clock import NO_TIME
from memx.formats.video.packets import ac3, mpegaudio

_SYNC = re.compile(rb"\xff[\xe0-\xff]")
_AC3_SYNC = re.compile(b"(?=%s|%s)" % (ac3.SYNC, ac3.SWAPPED))
_SCAN = 1 << 12
_RING = 4
"""So many chunks are remembered for their times."""
_MOST_HEADERS = 1 << 8
"""Headers of which is remembered what they begin."""


class Piece(NamedTuple):
    """A frame, or what stands for one: its bytes, the time and place of a chunk, and how far behind that it begins."""

    size: int
    time: int
    pos: int | None
    offset: int
    samples: int


_Known = tuple[int, int, int, int | None]
"""A chunk: where it begins and ends in all that was parsed, its time, and where it lies; a plain tuple, as there."""


class WholeFrames(dict[bytes, int]):
    """The sizes of frames of `samples`, by their headers; -1 for what begins none."""

    def __init__(self, samples: int) -> None:
        super().__init__()
        self.samples = samples

    def __missing__(self, header: bytes) -> int:
        found = mpegaudio.frame(int.from_bytes(header, "big")) if len(header) == mpegaudio.HEADER else None
        size = found.size if found is not None and found.samples == self.samples else -1
        if len(self) < _MOST_HEADERS:
            self[header] = size
        return size


class Frames(ABC):
    """Takes chunks, gives frames."""

    samples = 0
    """Those of a frame."""

    def __init__(self) -> None:
        self._ring: list[_Known] = [(0, 0, NO_TIME, None)] * _RING
        self._latest = 0
        self._at: int | None = None
        self._frame, self._next = 0, 0
        self._fetch = True
        self._time, self._offset = NO_TIME, 0
        self._pos: int | None = None
        self._left = 0
        self._pending = 0
        self._tail = b""
        self.bit_rate = 0
        """The mean of the frames."""

    def feed(self, size: int, time: int, pos: int, read: Callable[[int, int], bytes]) -> Iterator[Piece]:
        """The frames that end in a chunk of `size` bytes; `read` gives bytes of it: offset, length."""
        if self._at is None:
            self._at = self._next = pos
        done = 0
        while done < size:
            left = size - done
            if self._at + left != self._ring[self._latest][1]:
                self._latest = (self._latest + 1) % _RING
                self._ring[self._latest] = self._at, self._at + left, time, pos
            self._fetch_time()
            used, whole = self._parse(done, left, read)
            if whole:
                yield Piece(self._pending + used, self._time, self._pos, self._offset, self.samples)
                self._pending = max(0, -used)  # the next one began in what was used before
                self._frame, self._next, self._fetch = self._next, self._at + used, True
                used = max(0, used)
            else:
                self._pending += used
            self._at += used
            done += used

    def flush(self) -> Iterator[Piece]:
        """What is left of a frame at the end."""
        if self._pending:
            self._fetch_time()
            yield Piece(self._pending, self._time, self._pos, self._offset, self.samples)
            self._pending = 0

    def _fetch_time(self) -> None:
        if not self._fetch or self._at is None:
            return
        self._fetch = False
        self._time, self._pos, self._offset = NO_TIME, None, 0
        for begin, end, time, pos in self._ring:
            begins = self._frame < begin or (not self._frame and not self._next)
            if self._at >= begin and begins and end:
                self._time, self._pos, self._offset = time, pos, self._next - begin
                if self._at < end:
                    break

    @abstractmethod
    def _parse(self, begin: int, left: int, read: Callable[[int, int], bytes]) -> tuple[int, bool]:
        """How many bytes are used, and whether a frame ends with them; less than none: so many before it did."""

    def _take_latest(self, count: int, size: int, time: int, pos: int) -> None:
        """Notes `count` chunks, the last one of which has this size, time and place.

        Of all places only the differences count, and of the others nothing is asked any more: they take no room.
        """
        assert self._at is not None  # what the caller has seen to
        self._latest = (self._latest + count) % _RING
        self._ring[self._latest] = self._at, self._at + size, time, pos
        self._at += size


class MpegFrames(Frames):
    """Frames of MPEG audio, which are told by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self._header = 0
        self._trust = 0

    @property
    def between(self) -> bool:
        """Whether a chunk would begin where a frame does, and nothing is left of the one before."""
        return not (self._left or self._pending or self._tail or self._at is None)

    def take_wholes(self, count: int, time: int, pos: int, header: bytes) -> None:
        """Takes `count` chunks that are a frame each, as most are; the last one has this time, place and header."""
        self._header = int.from_bytes(header, "big")
        found = mpegaudio.frame(self._header)
        self._take_latest(count, 0 if found is None else found.size, time, pos)
        self._trust += count
        self._frame, self._next, self._fetch = self._next, self._at or 0, True

    def _parse(self, begin: int, left: int, read: Callable[[int, int], bytes]) -> tuple[int, bool]:
        """As in `Frames`."""
        at = 0
        while at < left:
            if self._left:
                step = min(left - at, self._left)
                at += step
                self._left -= step
                self._tail = b""
                if not self._left:
                    return at, True
            else:
                at = self._search(begin, at, left, read)
        return at, False

    def _search(self, begin: int, at: int, left: int, read: Callable[[int, int], bytes]) -> int:
        """Looks for the header of a frame from `at` on; where it ends, or the chunk does."""
        wanted = mpegaudio.HEADER - len(self._tail)
        while at < left:
            fresh = read(begin + at, min(left - at, wanted))
            if not fresh:
                return left  # the file has become shorter
            data, base = self._tail + fresh, at - len(self._tail)
            for match in _SYNC.finditer(data):
                start = match.start()
                header = data[start : start + mpegaudio.HEADER]
                found = mpegaudio.frame(int.from_bytes(header, "big")) if len(header) == mpegaudio.HEADER else None
                if found is not None:
                    end = base + start + mpegaudio.HEADER
                    self._take(int.from_bytes(header, "big"), found, strange=end > mpegaudio.HEADER)
                    self._tail = b""
                    return end
            at = base + len(data)
            self._tail = data[-(mpegaudio.HEADER - 1) :]
            if at > mpegaudio.HEADER:
                self._trust = -2
            wanted = _SCAN
        return at

    def _take(self, header: int, found: mpegaudio.Frame, *, strange: bool) -> None:
        if strange:
            self._trust = -2
        if self._header and (header ^ self._header) & mpegaudio.SAME:
            self._trust = -3
        self._header = header
        self._trust += 1
        self._left = found.size - mpegaudio.HEADER
        if self._trust > 0:
            self.samples = found.samples
            self.bit_rate += int((found.bit_rate - self.bit_rate) / self._trust)


class HeldFrames(Frames):
    """Frames of AC-3, each of which is held until the next begins: one that depends on it might follow."""

    samples = ac3.FRAME_SAMPLES

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    @property
    def held(self) -> tuple[int, int, int] | None:
        """Size, time and place of the frame that is held, where it is a chunk, and nothing else is known."""
        begin, end, time, pos = self._ring[self._latest]
        if self._left or self._tail or self._fetch or pos is None or self._at != end or self._next != begin:
            return None
        whole = self._pending == end - begin and not self._offset and (time, pos) == (self._time, self._pos)
        return (self._pending, time, pos) if whole else None

    def take_wholes(self, count: int, size: int, time: int, pos: int) -> None:
        """Takes `count` chunks that are a frame each; the last one, which is held, has this size, time and place."""
        self._frame, self._next = self._next, self._at or 0
        self._take_latest(count, size, time, pos)
        self._pending, self._time, self._pos = size, time, pos

    def _parse(self, begin: int, left: int, read: Callable[[int, int], bytes]) -> tuple[int, bool]:
        """As in `Frames`."""
        while self._left <= left:
            found = self._search(begin, left, read)
            if found is None:
                break
            start, frame = found
            self._count += 1
            self.bit_rate += int((frame.bit_rate - self.bit_rate) / self._count)
            if frame.depends or self._pending + start <= 0:
                self._left = frame.size + start
                continue
            self._left = frame.size + min(start, 0)
            return start, True
        self._left -= min(self._left, left)
        return left, False

    def _search(self, begin: int, left: int, read: Callable[[int, int], bytes]) -> tuple[int, ac3.Frame] | None:
        """Where the next frame begins, behind what is left of the one before, and what it is; None: not here."""
        at, wanted = self._left, ac3.HEADER - len(self._tail)
        while at < left:
            fresh = read(begin + at, min(left - at, wanted))
            if not fresh:
                break  # the file has become shorter
            data, base = self._tail + fresh, at - len(self._tail)
            for match in _AC3_SYNC.finditer(data, 0, max(0, len(data) - ac3.HEADER + len(ac3.SYNC))):
                frame = ac3.frame(data[match.start() : match.start() + ac3.HEADER])
                if frame is not None:
                    self._tail = b""
                    return base + match.start(), frame
            self._tail = data[-(ac3.HEADER - 1) :]
            at, wanted = at + len(fresh), _SCAN
        return None
