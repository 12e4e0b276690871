"""Packets from blocks: what FFmpeg's demuxer makes of each (RFC 9559, 10)."""

from collections.abc import Iterator

from memx.errors import CorruptFile
from memx.formats.base import fault
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.matroska import lacing
from memx.formats.video.matroska.clusters import MOST_FAULTS, Block, Clusters
from memx.formats.video.matroska.tracks import Track
from memx.formats.video.packets import DROPPED, KEY, look_on
from memx.records import Record

_LOOKED_AT = 64
_UNPACKED = 1 << 12
_LACES, _MOST_LACES = 40, 1 << 16
"""Bytes that hold the sizes of a few frames, and of as many as there can be."""
MOST_TIME = (1 << 63) - 1


class Packets:
    """Packets of the tracks in a segment, their times completed one by one: slow, and right for all of them.

    `scale` is that of the segment: nanoseconds of a unit. `queue` holds what was looked at to describe the
    streams; their records come first.
    """

    def __init__(self, clusters: Clusters, tracks: list[Track], scale: int) -> None:
        self._clusters = clusters
        self._tracks = tracks
        self._scale = scale
        self._blocks = clusters.blocks()
        self._frames_left: Iterator[Packet] = iter(())
        """Of the block that `packets` stopped at."""
        self.queue: list[Packet] = []
        self.faults: list[Record] = clusters.faults
        self.odd = 0
        """How many blocks were completed one by one, with a part for those before them."""

    @property
    def cut(self) -> bool:
        """Whether the file ends inside a block."""
        return self._clusters.cut

    def packets(self) -> Iterator[Packet]:
        """The packets of all blocks."""
        for block in self._blocks:
            self._frames_left = self._of_block(block)
            for packet in self._frames_left:  # noqa: UP028 - another may go on with it, and `yield from` would close it
                yield packet

    def _laces(self, laced: int, payload: int, whole: int, pos: int) -> tuple[int, list[int]]:
        """Where in a payload its first frame begins, and the sizes of all; mostly a few bytes tell that."""
        read = self._clusters.read
        head = read(payload, min(_LACES, whole))
        try:
            return lacing.sizes(laced, head, whole, pos)
        except CorruptFile:
            most = _MOST_LACES if laced == lacing.XIPH else lacing.MOST_HEADER
            return lacing.sizes(laced, read(payload, min(most, whole)), whole, pos)

    def _of_block(self, block: Block) -> Iterator[Packet]:
        clock = block[0].seen.clock
        # but for subtitles: each of these tells all by itself where it says when it is shown
        alone = clock.kind == "subtitle" and clock.first_dts != NO_TIME and block[1] + self._clusters.time >= 0
        self.odd += not alone
        try:
            for packet in self._frames(block):
                track = self._tracks[packet.stream]
                if (packet.size or track.encoding.lead) and self._look(track, packet, block):
                    packet.pos = block[6]
                    track.seen.clock.complete(packet, self.queue)
                    yield packet
        except CorruptFile as exc:
            if len(self.faults) < MOST_FAULTS:
                self.faults.append(fault(exc.code, exc.message, exc.offset))
            self._clusters.resume(block[6])

    def _frames(self, block: Block) -> Iterator[Packet]:
        """A packet for each frame of a block, its times as far as the container says them; `pos` is its payload."""
        track: Track = block[0]
        _, block_time, key, laced, said, whole, pos, payload = block
        begin, sizes = 0, [whole]
        if laced:
            begin, sizes = self._laces(laced, payload, whole, pos)
        count = len(sizes)
        duration = min(said or 0, MOST_TIME) or track.default_duration * count // self._scale
        time = self._time(track, block_time)
        for size, share in zip(sizes, lacing.shares(duration, count), strict=True):
            pts, dts = (NO_TIME, time) if track.decoding_times else (time, NO_TIME)
            yield Packet(track.index, pts, dts, share, size, payload + begin, key)
            if time != NO_TIME:
                time = time + share if share else NO_TIME
            begin += size
            key = False

    def _time(self, track: Track, block_time: int) -> int:
        cluster = self._clusters.time
        if block_time < 0 and cluster < -block_time:
            return NO_TIME
        if track.scale != 1.0:
            cluster = int(cluster / track.scale)
        return cluster + block_time - track.shift

    def _look(self, track: Track, packet: Packet, block: Block) -> bool:
        """Completes a packet by its payload; whether it is one that FFmpeg gives."""
        encoding, clock = track.encoding, track.seen.clock
        assert packet.pos is not None  # where its payload lies
        offset, size, head = packet.pos - block[7], packet.size, b""
        if encoding.unpacker is not None:
            unpacked = encoding.unpacked(self._clusters.payload(block, offset + size)[offset:], _UNPACKED)
            if unpacked is None:
                raise CorruptFile(f"the block at {block[6]} cannot be unpacked", offset=block[6])
            head, packet.size = unpacked
        else:
            packet.size += len(encoding.lead)
        if track.look is None:
            packet.kind = 0 if clock.parsed else None
            return True

        def read(_begin: int, length: int) -> bytes:
            if encoding.unpacker is not None:
                return head
            return encoding.lead + self._clusters.payload(block, offset + min(length, size))[offset:]

        said = look_on(track.look, read, packet.pos, packet.size, -_LOOKED_AT)
        if said == DROPPED:
            return False
        self._apply(track, packet, said)
        return True

    def _apply(self, track: Track, packet: Packet, said: int) -> None:
        if not track.sounds:
            packet.kind, packet.key = said, said == KEY
            return
        packet.kind = 0
        rate, base = track.seen.coding.sample_rate, track.seen.clock.base
        if said > 0 and rate and (packet.duration <= 0 or track.cut_anew):
            packet.duration = said * base.denominator // (rate * base.numerator)
