"""Streams that lie apart in the file, read in the order of their times by an index, as FFmpeg does."""

from collections.abc import Iterator
from dataclasses import dataclass

from memx.formats.video.avi.chunks import Chunk
from memx.formats.video.avi.index import Entry, Fields, Index
from memx.formats.video.avi.streams import Stream
from memx.formats.video.avi.survey import Survey
from memx.sources import Source

_MICROSECONDS = 1_000_000
_LEAST_PIECE = 1024
_NEVER = 1 << 128


@dataclass(slots=True)
class _Cursor:
    """Where one stream stands: its entries behind the present one, where that begins, and what was not given of it."""

    stream: Stream
    entries: Iterator[Fields]
    end: int
    """The time of the last entry."""
    unit: tuple[int, int]
    """Microseconds of what the stream counts."""
    begin: int = 0
    left: int = 0

    def time(self) -> int:
        """Microseconds, rounded to the nearest; later than any other at the end."""
        offset = self.stream.offset
        if not self.left and offset > self.end:
            return _NEVER
        top, bottom = self.unit
        return (2 * top * offset + bottom) // (2 * bottom)


class Apart:
    """The chunks of the streams, by their times, up to one beyond the file; a parted one is given in its parts."""

    def __init__(self, source: Source, index: Index, found: Survey, streams: list[Stream]) -> None:
        self._source = source
        self._size = source.size or 0
        self._cursors = []
        for stream in streams:
            last = found.streams[stream.index].last
            if last is not None:
                entries, sample_size = index.entries(stream.index), stream.counter.sample_size
                if found.streams[stream.index].count == 1 and sample_size:
                    entries, last = _pieces(last, sample_size, self._size)
                unit = stream.seen.clock.base * _MICROSECONDS / max(1, sample_size)
                self._cursors.append(_Cursor(stream, entries, last.time, unit.as_integer_ratio()))

    def payload(self, chunk: Chunk, length: int) -> bytes:
        """The first `length` bytes of a chunk's payload, fewer where that is shorter, or the file ends."""
        return self._source.read_at(chunk[2], min(length, chunk[1]))

    def read(self, chunk: Chunk, at: int, length: int) -> bytes:
        """`length` bytes of a chunk's payload from `at` on, fewer where the file ends."""
        return self._source.read_at(chunk[2] + at, length)

    def __iter__(self) -> Iterator[Chunk]:
        cursors, size_of_file = self._cursors, self._size
        times = [cursor.time() for cursor in cursors]
        while times and (earliest := min(times)) < _NEVER:
            number = times.index(earliest)
            cursor = cursors[number]
            stream = cursor.stream
            if not cursor.left:
                for _, pos, size, _, time in cursor.entries:
                    if time >= stream.offset:
                        stream.offset, cursor.begin, cursor.left = time, pos + 8, size
                        break
                else:
                    return
            begin, size = cursor.begin, cursor.left
            if begin >= size_of_file:
                return
            if size > stream.most:
                size = stream.most
            cursor.begin, cursor.left = begin + size, cursor.left - size
            yield stream.index, size, begin, b"", 0
            times[number] = cursor.time()


def _pieces(entry: Entry, sample_size: int, file_size: int) -> tuple[Iterator[Fields], Entry]:
    """A stream that is one chunk is read in pieces; and the last of them."""
    step, size = sample_size, max(1, min(entry.size, file_size - entry.pos))
    while step < _LEAST_PIECE:
        step += step

    def piece(at: int) -> Entry:
        return Entry(entry.stream, entry.pos + at, min(step, size - at), True, entry.time + at)

    return map(piece, range(0, size, step)), piece((size - 1) // step * step)
