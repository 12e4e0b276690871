"""Packets from chunks: what FFmpeg's demuxer and parsers make of each."""

from collections.abc import Iterator

from memx.formats.video.avi.apart import Apart
from memx.formats.video.avi.chunks import Chunk, Chunks
from memx.formats.video.avi.framing import Piece
from memx.formats.video.avi.index import KeyFrames
from memx.formats.video.avi.streams import Stream
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.packets import KEY

_LOOKED_AT = 64


class Demuxer:
    """Packets of the streams, their times completed.

    `queue` holds what was looked at to describe the streams; packets are taken from there first. `cut` is whether
    the last packet was cut off by the end of the file.
    """

    def __init__(self, chunks: Chunks | Apart, streams: list[Stream], keys: dict[int, KeyFrames], size: int) -> None:
        self._chunks = chunks
        self._streams = streams
        self._keys = keys
        self._size = size
        self.queue: list[Packet] = []
        self.cut = False

    def packets(self) -> Iterator[Packet]:
        """The packets of all chunks, in the order of the file."""
        for chunk in self._chunks:
            stream = self._streams[chunk.stream]
            if not chunk.size:
                stream.offset += stream.counter.length(0)
                continue
            done = 0
            while done < chunk.size:
                size = min(chunk.size - done, stream.most)
                there = min(size, self._size - chunk.begin - done)
                if there <= 0:
                    self.cut = True
                    return
                self.cut = there < size
                for packet in self._part(stream, chunk, done, there):
                    packet.corrupt = self.cut
                    yield packet
                stream.offset += stream.counter.length(there)
                done += size
        for stream in self._streams:
            if stream.frames is not None:
                for piece in stream.frames.flush():
                    yield self._frame(stream, piece)

    def _part(self, stream: Stream, chunk: Chunk, done: int, size: int) -> Iterator[Packet]:
        counter, clock, pos = stream.counter, stream.seen.clock, chunk.begin + done
        time = stream.offset // counter.sample_size if counter.sample_size else stream.offset
        if stream.frames is not None:
            for piece in stream.frames.feed(size, time, pos, lambda at, n: self._chunks.read(chunk, done + at, n)):
                yield self._frame(stream, piece)
            return
        packet = Packet(stream.index, NO_TIME, time, 0, size, pos, key=True)
        if stream.index in self._keys:
            packet.key = self._keys[stream.index].look(stream.offset)
        if stream.look is not None:
            self._look(stream, packet, chunk)
        elif clock.parsed:
            packet.kind = 0
        clock.complete(packet, self.queue)
        yield packet

    def _look(self, stream: Stream, packet: Packet, chunk: Chunk) -> None:
        assert stream.look is not None  # what the caller has seen to
        head = self._chunks.payload(chunk, min(_LOOKED_AT, packet.size))
        result = stream.look(head, 0, packet.size)
        while result < 0 and -result > len(head):
            longer = self._chunks.payload(chunk, -result)
            if len(longer) <= len(head):
                break
            head = longer
            result = stream.look(head, 0, packet.size)
        packet.kind = max(result, 0)
        packet.key = result == KEY

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
