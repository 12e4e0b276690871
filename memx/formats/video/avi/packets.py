"""Packets from chunks: what FFmpeg's demuxer and parsers make of each."""

from collections.abc import Callable, Iterator
from functools import lru_cache

from memx.formats.video.assembly import LINE_END, line_begin, packet_line
from memx.formats.video.avi.apart import Apart
from memx.formats.video.avi.chunks import Chunk, Chunks
from memx.formats.video.avi.framing import Piece
from memx.formats.video.avi.index import KeyFrames
from memx.formats.video.avi.streams import Stream
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.packets import BIDIRECTIONAL, KEY

_MOST_SIZES = 1 << 10

Pace = tuple[
    str,
    int,
    int,
    Callable[[int], tuple[int | str, int]],
    bool,
    Callable[[bytes, int, int], int] | None,
    KeyFrames | None,
    bool,
]
"""How the packets of a stream go on, once FFmpeg would have described its streams.

How their lines begin; the largest that is not parted; bytes of a unit of time; by their size what they last, and how
far they lead; whether they are shown in the order of decoding; what looks at them, or else the index that knows key
frames; and whether all are key frames.
"""


class Demuxer:
    """Packets of the streams, their times completed: `packets` first, then `lines`, then `ending`.

    `queue` is for the packets that were looked at to describe the streams. `cut` is whether the file ends inside a
    chunk.
    """

    def __init__(self, chunks: Chunks | Apart, streams: list[Stream], keys: dict[int, KeyFrames], size: int) -> None:
        self._chunks = chunks
        self._left = iter(chunks)
        self._streams = streams
        self._keys = keys
        self._size = size
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
        streams, file_size = self._streams, self._size
        paces = [self._pace(stream) for stream in streams]
        for chunk in self._left:
            index, size, begin, data, at = chunk
            stream, pace = streams[index], paces[index]
            if begin + size > file_size:
                self._rest = self._of_chunk(chunk)
                return
            if pace is None or not 0 < size <= pace[1]:
                yield from map(packet_line, self._of_chunk(chunk))
                continue
            line, _, unit, step_of, shown, look, keys, key = pace
            time = stream.offset // unit
            if look is not None:
                said = look(data, at, size)
                if said < 0:
                    said = self._look(stream, chunk, size)
                if said == BIDIRECTIONAL and shown:
                    paces[index] = None  # pictures are reordered, whatever the headers say
                    yield from map(packet_line, self._of_chunk(chunk))
                    continue
                key = key or said == KEY
            elif keys is not None:
                key = keys.look(stream.offset) or key
            elif stream.frames is not None and not stream.frames.take_whole(size, time, begin, data[at : at + 4]):
                yield from map(packet_line, self._of_chunk(chunk))
                continue
            step, length = step_of(size)
            stream.offset += length
            yield (
                f'{line}{time if shown else "null"},"dts":{time},"duration":{step},'
                f'"size":{size},"pos":{begin}{LINE_END[key]}'
            )
        self._rest = self._flush()

    def ending(self) -> Iterator[Packet]:
        """What is left: of a chunk that is cut off, and of frames that others would have followed."""
        yield from self._rest
        yield from self._flush()

    def _pace(self, stream: Stream) -> Pace | None:
        """The pace of a stream; None where packets need others to tell their times."""
        clock, counter, index = stream.seen.clock, stream.counter, stream.index
        if (clock.delay and clock.in_order) or clock.first_dts == NO_TIME:
            return None
        step = lru_cache(_MOST_SIZES)(lambda size: (self._step(stream, size) or "null", counter.length(size)))
        unit, all_keys = counter.sample_size or 1, clock.intra_only or not (stream.look or index in self._keys)
        # what FFmpeg does not take for in order has no time at which it is shown
        return line_begin(index), stream.most, unit, step, clock.in_order, stream.look, self._keys.get(index), all_keys

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
