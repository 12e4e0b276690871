"""MPEG audio that chunks part anywhere, put together in frames again, as FFmpeg's parser does.

A frame gets the time of the chunk in which it begins, where none before it did (`ff_fetch_timestamp`,
`mpegaudio_parse` of libavcodec). Only the headers of frames are read.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from memx.formats.video.clock import NO_TIME
from memx.formats.video.packets import mpegaudio

_SYNC = re.compile(rb"\xff[\xe0-\xff]")
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


class Frames:
    """Takes chunks, gives frames."""

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
        self._header = 0
        self._trust = 0
        self.samples = 0
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
                self._pending = 0
                self._frame, self._next, self._fetch = self._next, self._at + used, True
            else:
                self._pending += used
            self._at += used
            done += used

    @property
    def between(self) -> bool:
        """Whether a chunk would begin where a frame does, and nothing is left of the one before."""
        return not (self._left or self._pending or self._tail or self._at is None)

    def take_wholes(self, count: int, time: int, pos: int, header: bytes) -> None:
        """Takes `count` chunks that are a frame each, as most are; the last one has this time, place and header.

        Of all places only the differences count, and of the others nothing is asked any more: they take no room.
        """
        assert self._at is not None  # what the caller has seen to
        self._header = int.from_bytes(header, "big")
        found = mpegaudio.frame(self._header)
        end = self._at + (found.size if found is not None else 0)
        self._latest = (self._latest + count) % _RING
        self._ring[self._latest] = self._at, end, time, pos
        self._trust += count
        self._frame, self._next, self._at, self._fetch = self._next, end, end, True

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

    def _parse(self, begin: int, left: int, read: Callable[[int, int], bytes]) -> tuple[int, bool]:
        """How many bytes are used, and whether a frame ends with them."""
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
            data = self._tail + read(begin + at, min(left - at, wanted))
            base = at - len(self._tail)
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
