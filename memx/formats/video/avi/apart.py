"""Streams that lie apart in the file, read in the order of their times by an index, as FFmpeg does."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from memx.formats.video.avi.chunks import Chunk
from memx.formats.video.avi.index import Entry, Index, Survey
from memx.formats.video.avi.streams import Stream
from memx.formats.video.clock import rescale
from memx.sources import Source

_MICROSECONDS = 1_000_000
_LEAST_PIECE = 1024


@dataclass(slots=True)
class _Cursor:
    """Where one stream stands: its entries from the present one on, and what of that was not given yet."""

    stream: Stream
    entries: Iterator[Entry]
    last: Entry
    entry: Entry | None = None
    left: int = 0

    @property
    def ended(self) -> bool:
        return not self.left and self.stream.offset > self.last.time

    def time(self) -> int:
        """Microseconds."""
        unit = self.stream.seen.clock.base * _MICROSECONDS / max(1, self.stream.counter.sample_size)
        return rescale(self.stream.offset, Fraction(unit))


class Apart:
    """The chunks of the streams, by their times, up to one beyond the file; a parted one is given in its parts."""

    def __init__(self, source: Source, index: Index, found: Survey, streams: list[Stream]) -> None:
        self._source = source
        self._size = source.size or 0
        self._cursors = []
        for stream in streams:
            last = found.streams[stream.index].last
            if last is not None:
                entries = index.entries(stream.index)
                if found.streams[stream.index].count == 1 and stream.counter.sample_size:
                    entries, last = _pieces(last, stream.counter.sample_size, self._size)
                self._cursors.append(_Cursor(stream, entries, last))

    def payload(self, chunk: Chunk, length: int) -> bytes:
        """The first `length` bytes of a chunk's payload, fewer where that is shorter, or the file ends."""
        return self._source.read_at(chunk[2], min(length, chunk[1]))

    def read(self, chunk: Chunk, at: int, length: int) -> bytes:
        """`length` bytes of a chunk's payload from `at` on, fewer where the file ends."""
        return self._source.read_at(chunk[2] + at, length)

    def __iter__(self) -> Iterator[Chunk]:
        while True:
            going = [cursor for cursor in self._cursors if not cursor.ended]
            if not going:
                return
            cursor = min(going, key=_Cursor.time)
            stream = cursor.stream
            if not cursor.left:
                cursor.entry = next((entry for entry in cursor.entries if entry.time >= stream.offset), None)
                if cursor.entry is None:
                    return
                stream.offset, cursor.left = cursor.entry.time, cursor.entry.size
            assert cursor.entry is not None  # something is left of it
            begin = cursor.entry.pos + 8 + cursor.entry.size - cursor.left
            if begin >= self._size:
                return
            size = min(cursor.left, stream.most)
            cursor.left -= size
            yield stream.index, size, begin, b"", 0


def _pieces(entry: Entry, sample_size: int, file_size: int) -> tuple[Iterator[Entry], Entry]:
    """A stream that is one chunk is read in pieces; and the last of them."""
    step, size = sample_size, max(1, min(entry.size, file_size - entry.pos))
    while step < _LEAST_PIECE:
        step += step

    def piece(at: int) -> Entry:
        return Entry(entry.stream, entry.pos + at, min(step, size - at), True, entry.time + at)

    return map(piece, range(0, size, step)), piece((size - 1) // step * step)
