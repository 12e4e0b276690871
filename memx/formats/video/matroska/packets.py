"""Packets from blocks: what FFmpeg's demuxer makes of each (RFC 9559, 10), and the record of it."""

from collections.abc import Iterator

from memx.errors import CorruptFile
from memx.formats.base import fault
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.matroska import lacing
from memx.formats.video.matroska.clusters import Block, Clusters
from memx.formats.video.matroska.tracks import Track
from memx.formats.video.packets import DROPPED, KEY
from memx.records import Record

_LOOKED_AT = 64
_MOST_LACES = 1 << 16
_MOST_TIME = (1 << 63) - 1


class Demuxer:
    """Packets of the tracks in a segment, their times completed.

    `scale` is that of the segment: nanoseconds of a unit. `queue` holds what was looked at to describe the
    streams; packets are taken from there first.
    """

    def __init__(self, clusters: Clusters, tracks: list[Track], scale: int) -> None:
        self._clusters = clusters
        self._tracks = tracks
        self._scale = scale
        self._blocks = clusters.blocks()
        self.queue: list[Packet] = []
        self.faults: list[Record] = clusters.faults

    def packets(self) -> Iterator[Packet]:
        """The packets of all blocks, completed one by one: slow, and right for all of them."""
        for block in self._blocks:
            yield from self._of_block(block)

    def _of_block(self, block: Block) -> Iterator[Packet]:
        try:
            for packet in self._frames(block):
                track = self._tracks[packet.stream]
                if packet.size and self._look(track, packet, block):
                    track.seen.clock.complete(packet, self.queue)
                    packet.pos = block.pos
                    yield packet
        except CorruptFile as exc:
            self.faults.append(fault(exc.code, exc.message, exc.offset))

    def _frames(self, block: Block) -> Iterator[Packet]:
        """A packet for each frame of a block, its times as far as the container says them; `pos` is its payload."""
        track: Track = block.track
        begin, sizes = 0, [block.size]
        if block.lacing:
            most = _MOST_LACES if block.lacing == lacing.XIPH else lacing.MOST_HEADER
            begin, sizes = lacing.sizes(block.lacing, self._clusters.payload(block, most), block.size, block.pos)
        count = len(sizes)
        duration = min(block.duration or 0, _MOST_TIME) or track.default_duration * count // self._scale
        time = self._time(track, block)
        key = block.key
        for number, size in enumerate(sizes):
            share = duration * (number + 1) // count - duration * number // count
            pts, dts = (NO_TIME, time) if track.decoding_times else (time, NO_TIME)
            yield Packet(track.index, pts, dts, share, size, block.begin + begin, key)
            if time != NO_TIME:
                time = time + share if share else NO_TIME
            begin += size
            key = False

    def _time(self, track: Track, block: Block) -> int:
        if block.time < 0 and self._clusters.time < -block.time:
            return NO_TIME
        cluster = self._clusters.time
        if track.scale != 1.0:
            cluster = int(cluster / track.scale)
        return cluster + block.time - track.shift

    def _look(self, track: Track, packet: Packet, block: Block) -> bool:
        """Completes a packet by its payload; whether it is one that FFmpeg gives."""
        encoding, clock = track.encoding, track.seen.clock
        assert packet.pos is not None  # where its payload lies
        offset, size = packet.pos - block.begin, packet.size
        if encoding.unpacker is not None:
            unpacked = encoding.unpacked(self._clusters.payload(block, offset + size)[offset:], 1 << 12)
            if unpacked is None:
                raise CorruptFile(f"the block at {block.pos} cannot be unpacked", offset=block.pos)
            head, packet.size = unpacked
        else:
            packet.size += len(encoding.lead)
            head = b""
        if track.look is not None:
            wanted = _LOOKED_AT
            if encoding.unpacker is None:
                head = self._head(track, block, offset, min(wanted, size))
            result = track.look(head, 0, packet.size)
            while result < 0 and result != DROPPED and -result > len(head):
                wanted = -result
                head = self._head(track, block, offset, min(wanted, size)) if encoding.unpacker is None else head
                if len(head) < min(wanted, packet.size):
                    break
                result = track.look(head, 0, packet.size)
            if result == DROPPED:
                return False
            self._apply(track, packet, max(result, 0))
        elif clock.parsed:
            packet.kind = 0
        return True

    def _head(self, track: Track, block: Block, offset: int, length: int) -> bytes:
        return track.encoding.lead + self._clusters.payload(block, offset + length)[offset:]

    def _apply(self, track: Track, packet: Packet, result: int) -> None:
        if not track.sounds:
            packet.kind, packet.key = result, result == KEY
            return
        packet.kind = 0
        rate, base = track.seen.coding.sample_rate, track.seen.clock.base
        if result > 0 and rate:
            packet.duration = result * base.denominator // (rate * base.numerator)
