"""Packets from chunks: what FFmpeg's demuxer and parsers make of each."""

import struct
from collections.abc import Callable, Iterator

from memx.formats.video.assembly import packet_line
from memx.formats.video.avi.apart import Apart
from memx.formats.video.avi.chunks import HEAD, Chunk, Chunks
from memx.formats.video.avi.framing import HeldFrames, MpegFrames, Piece
from memx.formats.video.avi.pace import FramesPace, HeldPace, IndexedPace, Pace, PicturesPace
from memx.formats.video.avi.streams import Stream
from memx.formats.video.avi.survey import KeyFrames
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.gathering import LINES
from memx.formats.video.packets import KEY, look_on
from memx.sources import Source

_MOST_ROWS = 1 << 12
_HEADER = struct.Struct("<4sI")
_NO_HEAD = bytes(HEAD)
Row = tuple[Callable[[int, bytes, int, str, int], str | None], int, int, str, int]
"""Of chunks with the same header: what makes a line of one; their bytes; their size, and what follows from that."""


class Demuxer:
    """Packets of the streams, their times completed: `packets` first, then `add_lines`, then `ending`.

    `queue` is for the packets that were looked at to describe the streams. `cut` is whether the file ends inside a
    chunk.
    """

    def __init__(
        self, source: Source, chunks: Chunks | Apart, streams: list[Stream], keys: dict[int, KeyFrames]
    ) -> None:
        self._source = source
        self._chunks = chunks
        self._left = iter(chunks)
        self._streams = streams
        self._keys = keys
        self._size = source.size or 0
        self._begin = max(stream.begin for stream in streams)
        """Bytes of a chunk that are read with its header."""
        self._rest: Iterator[Packet] = iter(())
        """Of the chunk that was stopped at."""
        self._paces: list[Pace | None] = []
        self._named: dict[bytes, int] = {}
        self._rows: dict[bytes, Row] = {}
        """By their headers, of chunks with these names."""
        self._more = True
        self.queue: list[Packet] = []
        self.cut = False

    def packets(self) -> Iterator[Packet]:
        """The packets of all chunks, completed one by one: slow, and right for all of them."""
        for chunk in self._left:
            self._rest = self._of_chunk(chunk)
            for packet in self._rest:  # which another may go on with: `yield from` would close it
                yield packet
        self._rest = self._flush()
        for packet in self._rest:
            yield packet

    def add_lines(self, lines: list[str]) -> bool:
        """Adds the lines of packets that `packets` did not give, up to one that is cut off; whether more may follow."""
        if not self._paces:
            self._paces = [self._pace(stream) for stream in self._streams]
            lines.extend(map(packet_line, self._rest))
        if isinstance(self._chunks, Chunks):
            self._run(self._chunks, lines)
        self._step(lines)
        return self._more

    def _run(self, chunks: Chunks, lines: list[str]) -> None:
        """Adds the lines of chunks up to one that is not as most are: the hot loop."""
        if self._named != chunks.usual:
            self._rows, self._named = {}, chunks.usual.copy()
        length, last, append, row_of = HEAD + self._begin, chunks.last, lines.append, self._rows.get
        at, taken, count, read = chunks.end + chunks.odd, None, -1, self._source.reads_at(length)
        try:
            for count in range(LINES):  # noqa: B007 - how many were read
                data = read(at)
                row = row_of(data[:8]) or self._row(data)
                if row is None:
                    break
                line_of, whole, size, middle, step = row
                if at + whole > last:
                    break
                line = line_of(at + 8, data, size, middle, step)
                if line is None:
                    break
                append(line)
                at += whole
                taken = size
        except OSError:
            pass  # who reads there again says what is wrong
        finally:
            if taken is not None:
                chunks.end, chunks.odd = at - (taken & 1), taken & 1
            self._source.was_read((count + 1) * length)

    def _row(self, data: bytes) -> Row | None:
        """What is known of chunks with the header in `data`; None where they are not as most are."""
        if len(data) < HEAD + self._begin:
            return None
        name, size = _HEADER.unpack_from(data)
        index = self._named.get(name)
        if index is None or (pace := self._paces[index]) is None or not 0 < size <= self._streams[index].most:
            return None
        row = pace.line, HEAD + size + (size & 1), size, *pace.steps[size]
        if len(self._rows) < _MOST_ROWS:
            self._rows[data[:HEAD]] = row
        return row

    def _step(self, lines: list[str]) -> None:
        """Adds the lines of the packets of one chunk, or comes to the end."""
        chunk = next(self._left, None)
        if chunk is None:
            self._leave()
            self._rest = self._flush()
            return
        index, size, begin, data, at = chunk
        stream, pace = self._streams[index], self._paces[index]
        if begin + size > self._size:
            self._leave()
            self._rest = self._of_chunk(chunk)
            return
        if pace is not None and size <= stream.most:
            middle, step = pace.steps[size]
            if not size:
                stream.offset += step
                return
            wanted = min(stream.begin, size)
            first = data[at : at + wanted] if at + wanted <= len(data) else self._source.read_at(begin, wanted)
            line = pace.line(begin, _NO_HEAD + first, size, middle, step)
            if line is not None:
                lines.append(line)
                return
        if pace is not None:
            pace.leave()
        lines.extend(map(packet_line, self._of_chunk(chunk)))
        if pace is None or not pace.resume():
            self._paces[index] = self._pace(stream)
            self._rows = {}

    def _leave(self) -> None:
        """There are no more lines."""
        self._more = False
        for pace in self._paces:
            if pace is not None:
                pace.leave()

    def ending(self) -> Iterator[Packet]:
        """What is left: of a chunk that is cut off, and of frames that others would have followed."""
        yield from self._rest
        yield from self._flush()

    def _pace(self, stream: Stream) -> Pace | None:
        """The pace of a stream; None where packets need others to tell their times."""
        clock, keys = stream.seen.clock, self._keys.get(stream.index)
        if clock.first_dts == NO_TIME or (clock.in_order and clock.delay and (clock.delay > 1 or not clock.parsed)):
            return None
        if isinstance(stream.frames, MpegFrames):
            return FramesPace(stream, stream.frames) if stream.frames.between else None
        if isinstance(stream.frames, HeldFrames):
            return HeldPace(stream, stream.frames) if stream.frames.held else None
        if stream.look is not None:
            return PicturesPace(
                stream, lambda begin, size: self._look(stream, (stream.index, size, begin, b"", 0), size)
            )
        if keys is not None and not clock.intra_only:
            return IndexedPace(stream, keys)
        return Pace(stream)

    def _of_chunk(self, chunk: Chunk) -> Iterator[Packet]:
        index, whole, begin, _, _ = chunk
        stream, done = self._streams[index], 0
        if not whole:
            stream.offset += stream.counter.length(0)
        while done < whole:
            size = min(whole - done, stream.most)
            there = min(size, self._size - begin - done)
            self.cut = there < size
            if there <= 0:
                return
            for packet in self._part(stream, chunk, done, there):
                packet.corrupt = self.cut
                yield packet
            stream.offset += stream.counter.length(there)
            done += size

    def _part(self, stream: Stream, chunk: Chunk, done: int, size: int) -> Iterator[Packet]:
        counter, clock, pos = stream.counter, stream.seen.clock, chunk[2] + done
        time = stream.offset // counter.sample_size if counter.sample_size else stream.offset
        if stream.frames is not None:
            for piece in stream.frames.feed(size, time, pos, lambda at, n: self._chunks.read(chunk, done + at, n)):
                yield self._frame(stream, piece)
            return
        packet = Packet(stream.index, NO_TIME, time, 0, size, pos, key=True)
        if stream.index in self._keys:
            packet.key = self._keys[stream.index].look(stream.offset)
        if stream.look is not None:
            packet.kind = self._look(stream, chunk, size)
            packet.key = packet.kind == KEY
        elif clock.parsed:
            packet.kind = 0
        clock.complete(packet, self.queue)
        yield packet

    def _look(self, stream: Stream, chunk: Chunk, size: int) -> int:
        """What kind of picture is in a chunk, `size` bytes of which are there; as much is read as tells it."""
        assert stream.look is not None  # what the caller has seen to
        data, at = chunk[3:]
        said = stream.look(data, at, size)
        return max(0, look_on(stream.look, lambda _, length: self._chunks.payload(chunk, length), chunk[2], size, said))

    def _frame(self, stream: Stream, piece: Piece) -> Packet:
        """A frame that was put together."""
        clock = stream.seen.clock
        if not stream.bit_rate and stream.frames is not None:
            stream.seen.coding.bit_rate = stream.frames.bit_rate or None
        rate, base = stream.seen.coding.sample_rate, clock.base
        duration = piece.samples * base.denominator // (rate * base.numerator)
        packet = Packet(stream.index, NO_TIME, piece.time, duration, piece.size, piece.pos, key=True, kind=0)
        packet.offset = piece.offset
        clock.complete(packet, self.queue)
        return packet

    def _flush(self) -> Iterator[Packet]:
        for stream in self._streams:
            if stream.frames is not None:
                for piece in stream.frames.flush():
                    yield self._frame(stream, piece)
