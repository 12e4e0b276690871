"""Packets from chunks: what FFmpeg's demuxer and parsers make of each."""

from collections.abc import Callable, Iterator
from functools import lru_cache

from memx.formats.video.assembly import LINE_END, line_begin, packet_line
from memx.formats.video.avi.apart import Apart
from memx.formats.video.avi.chunks import BEGIN, Chunk, Chunks
from memx.formats.video.avi.framing import Frames, Piece
from memx.formats.video.avi.index import KeyFrames
from memx.formats.video.avi.streams import Stream
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.packets import BIDIRECTIONAL, KEY, OTHER
from memx.sources import Source

_MOST_SIZES = 1 << 10
_ALWAYS, _BIDIRECTIONAL, _NEVER = (True, True, True), (False, False, True), (False, False, False)
"""Kinds of pictures whose time of decoding is when they are shown."""

Pace = tuple[
    str,
    int,
    int,
    tuple[str, int],
    Callable[[int], tuple[str, int]] | None,
    tuple[bool, bool, bool],
    Callable[[bytes, int, int], int] | None,
    KeyFrames | None,
    Frames | None,
    bool,
]
"""How the packets of a stream go on, once FFmpeg would have described its streams.

How their lines begin; the largest that is not parted; bytes of a unit of time; what stands in their lines between
`dts` and `size`, and how far they lead, or what tells both by their size; which kinds are shown when they are decoded;
what looks at them, or else the index that knows key frames, or what puts frames together; and whether all are key
frames.
"""


class Demuxer:
    """Packets of the streams, their times completed: `packets` first, then `lines`, then `ending`.

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
        self._rest: Iterator[Packet] = iter(())
        """Of the chunk that was stopped at."""
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

    def lines(self) -> Iterator[str]:
        """The records of the packets that `packets` did not give, up to one that is cut off: the hot loop.

        What goes the common way is done here; all else is done by `_of_chunk`.
        """
        yield from map(packet_line, self._rest)
        streams, file_size, read, ends = self._streams, self._size, self._source.read_at, LINE_END
        paces = [self._pace(stream) for stream in streams]
        for chunk in self._left:
            index, size, begin, data, at = chunk
            stream, pace = streams[index], paces[index]
            if begin + size > file_size:
                self._rest = self._of_chunk(chunk)
                return
            if pace is None or size > pace[1]:
                yield from map(packet_line, self._of_chunk(chunk))
                continue
            line, _, unit, (middle, length), step_of, shown, look, keys, frames, key = pace
            if step_of is not None:
                middle, length = step_of(size)
            if not size:
                stream.offset += length
                continue
            time, kind = stream.offset // unit, OTHER
            if look is not None:
                if at + BEGIN > len(data):
                    data, at = read(begin, BEGIN if size > BEGIN else size), 0
                kind = look(data, at, size)
                if kind < 0:
                    kind = self._look(stream, chunk, size)
                if kind == BIDIRECTIONAL and shown is _ALWAYS:  # pictures are reordered, whatever the headers say
                    yield from map(packet_line, self._of_chunk(chunk))
                    paces[index] = self._pace(stream)
                    continue
                key = key or kind == KEY
            elif keys is not None:
                key = keys.look(stream.offset) or key
            elif frames is not None and not frames.take_whole(size, time, begin, data[at : at + 4]):
                yield from map(packet_line, self._of_chunk(chunk))
                continue
            stream.offset += length
            yield f'{line}{time if shown[kind] else "null"},"dts":{time}{middle}{size},"pos":{begin}{ends[key]}'
        self._rest = self._flush()

    def ending(self) -> Iterator[Packet]:
        """What is left: of a chunk that is cut off, and of frames that others would have followed."""
        yield from self._rest
        yield from self._flush()

    def _pace(self, stream: Stream) -> Pace | None:
        """The pace of a stream; None where packets need others to tell their times."""
        clock, counter, index = stream.seen.clock, stream.counter, stream.index
        if clock.first_dts == NO_TIME or (clock.in_order and clock.delay and (clock.delay > 1 or not clock.parsed)):
            return None
        # what FFmpeg does not take for in order has no time at which it is shown
        shown = _NEVER if not clock.in_order else _BIDIRECTIONAL if clock.delay else _ALWAYS

        @lru_cache(_MOST_SIZES)
        def step_of(size: int) -> tuple[str, int]:
            return f',"duration":{self._step(stream, size) or "null"},"size":', counter.length(size)

        varies = None if counter.one_by_one and clock.measure is None else step_of
        unit, all_keys = counter.sample_size or 1, clock.intra_only or not (stream.look or index in self._keys)
        looks = stream.look, self._keys.get(index), stream.frames
        return line_begin(index), stream.most, unit, step_of(1), varies, shown, *looks, all_keys

    def _step(self, stream: Stream, size: int) -> int:
        """How long a packet of `size` bytes lasts, in units of time."""
        clock = stream.seen.clock
        if stream.frames is not None:
            rate = stream.seen.coding.sample_rate
            return stream.frames.samples * clock.base.denominator // (rate * clock.base.numerator)
        frame = clock.frame_duration(Packet(stream.index, NO_TIME, NO_TIME, 0, size, None, key=True))
        if frame is None:
            return 0
        return frame.numerator * clock.base.denominator // (frame.denominator * clock.base.numerator)

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
        said, have = stream.look(data, at, size), 0
        while said < 0 and -said > have:
            head = self._chunks.payload(chunk, -said)
            if len(head) <= have:
                return 0
            have = len(head)
            said = stream.look(head, 0, size)
        return max(said, 0)

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
