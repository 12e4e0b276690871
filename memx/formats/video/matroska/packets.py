"""Packets from blocks: what FFmpeg's demuxer makes of each (RFC 9559, 10), and the records of them."""

import struct
from collections.abc import Callable, Iterator

from memx.errors import CorruptFile
from memx.formats.base import fault
from memx.formats.video.assembly import LINES, line_pair, packet_line
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.matroska import lacing
from memx.formats.video.matroska.clusters import HEAD, MOST_FAULTS, Block, Clusters
from memx.formats.video.matroska.elements import SIMPLE_BLOCK
from memx.formats.video.matroska.tracks import Track
from memx.formats.video.packets import BIDIRECTIONAL, DROPPED, KEY
from memx.records import Record

_LOOKED_AT = 64
_UNPACKED = 1 << 12
_MOST_LACES = 1 << 16
_MOST_TIME = (1 << 63) - 1


_IN_ONE, _IN_TWO, _IN_THREE = (struct.Struct(f">{form}").unpack_from for form in ("BBBhB", "BHBhB", "BBHBhB"))
"""How simple blocks begin whose sizes take so many bytes: identifier, size, number of the track, time, flags."""

Look = Callable[[bytes, int, int], int]
"""See `memx.formats.video.packets`."""
Pace = tuple[tuple[str, str] | None, int, Track, tuple[str, str], str, int, int, int, Look | None, list[int] | None]
"""How the packets of a track go on, once FFmpeg would have described its streams: for most, by simple sums.

Their lines, where the container alone tells all of a packet, to be filled with `pts`, `dts`, `size` and `pos`; what is
taken off its times; then, for the others: the track; its lines, to be filled with `pts`, `dts`, `duration`, `size` and
`pos`; how long a packet lasts whose block does not say, nothing where `look` tells that; units of time in a second of
sound, and what a sample is of them (0: `look` gives no samples); what was taken off its beginning; what looks at
packets; and where pictures are reordered, the latest times, the least first. Of two lines the second is that of key
frames.
"""


class Demuxer:
    """Packets of the tracks in a segment, their times completed: `packets` first, then `add_lines`.

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
        self._paces: dict[int, Pace | None] | None = None
        """By the numbers of tracks; None before `add_lines`."""
        self._quick: dict[int, Pace] = {}
        """Those that are not None, by the byte that begins the body of a block."""
        self.queue: list[Packet] = []
        self.faults: list[Record] = clusters.faults

    @property
    def cut(self) -> bool:
        """Whether the file ends inside a block."""
        return self._clusters.cut

    def packets(self) -> Iterator[Packet]:
        """The packets of all blocks, completed one by one: slow, and right for all of them."""
        for block in self._blocks:
            self._frames_left = self._of_block(block)
            for packet in self._frames_left:  # noqa: UP028 - `add_lines` may go on with it, and `yield from` would close it
                yield packet

    def add_lines(self, lines: list[str]) -> bool:
        """Adds the records of packets that `packets` did not give, as lines of JSON; whether there may be more."""
        clusters = self._clusters
        if self._paces is None:
            paces = self._paces = {track.number: self._pace(track) for track in self._tracks}
            self._quick = {0x80 | number: pace for number, pace in paces.items() if pace is not None and number < 0x80}
            lines.extend(map(packet_line, self._frames_left))
        self._run(lines)
        block = clusters.next_block()
        if block is None:
            return False
        track, time, key, laced, duration, size, pos, payload = block
        pace, time, line = self._paces[track.number], time + clusters.time, None
        if pace is not None and not laced and duration is None and time >= 0:
            line = self._line(pace, time, key, size, pos, payload)
        lines.extend(map(packet_line, self._of_block(block)) if line is None else (line,))
        return True

    def _run(self, lines: list[str]) -> None:
        """Adds the lines of simple blocks up to one that is not as most are: the hot loop."""
        clusters, source, pace_of, append = self._clusters, self._clusters.source, self._quick.get, lines.append
        read, reads, dense, base, limit = source.reads_at(HEAD), 0, clusters.step == HEAD, clusters.time, clusters.limit
        at, data, start, last = clusters.at, clusters.data, clusters.start, min(limit, (source.size or 0) - HEAD)
        stop = start + len(data) - HEAD
        try:
            for _ in range(LINES):
                if at >= last:
                    break
                if dense:
                    data, start, reads = read(at), at, reads + 1
                elif not start <= at <= stop:
                    data, start = clusters.load(at), at
                    stop = at + len(data) - HEAD
                name, size, number, time, flags = _IN_TWO(data, at - start)  # most sizes take two bytes
                if 0x4003 < size < 0x7FFF:
                    size, pos = size - 0x4000, at + 3
                else:
                    name, size, number, time, flags, width = _in_one_or_three(data, at - start)
                    pos = at + width
                pace, time = pace_of(number), time + base
                if pace is None or name != SIMPLE_BLOCK or pos + size > limit or flags & 6 or time < 0:
                    break
                even = pace[0]
                if even is not None and size > 4:
                    time -= pace[1]
                    append(even[flags > 0x7F] % (time, time, size - 4, pos))
                else:
                    clusters.data, clusters.start = data, start
                    line = self._line(pace, time, flags > 0x7F, size - 4, pos, pos + 4)
                    if line is None:
                        break
                    append(line)
                at = pos + size
        except (struct.error, OSError):
            pass  # the file is shorter now, or cannot be read: who reads there again says so
        finally:
            source.was_read(HEAD * reads)
            clusters.at, clusters.data, clusters.start = at, data, start

    def _line(self, pace: Pace, time: int, key: bool, size: int, pos: int, payload: int) -> str | None:
        """The line of a packet of `size` bytes, whose block's body is at `pos`, and its payload at `payload`.

        Empty where FFmpeg drops the packet. None, and nothing has happened, where it does not go the common way.
        """
        _, shift, track, line, lasting, units, parts, lead, look, window = pace
        if look is not None:
            clusters = self._clusters
            said = look(clusters.data, payload - clusters.start, size)
            if said < 0:
                said = self._look_further(look, (track, time, key, 0, None, size, pos, payload), said)
            if said == BIDIRECTIONAL and not units and window is None:
                self._revoke(track)  # pictures are reordered, whatever the headers say
                return None
            if not units:
                key = said == KEY
            elif said == DROPPED:
                return ""
            else:
                lasting = lasting or str(said * units // parts or "null")
        time -= shift
        dts: int | str = time
        if window is not None:
            window[0] = time
            window.sort()
            dts = window[0] if window[0] != NO_TIME else "null"
        return line[key] % (time, dts, lasting, size + lead, pos) if size + lead else ""

    def _revoke(self, track: Track) -> None:
        """Has the packets of a track be completed one by one from now on."""
        assert self._paces is not None  # there is a pace
        self._paces[track.number] = None
        self._quick.pop(0x80 | track.number, None)

    def _pace(self, track: Track) -> Pace | None:
        """The pace of a track; None where every packet has to be completed by itself."""
        clock, encoding, look = track.seen.clock, track.encoding, track.look
        reordered = clock.delay > 0
        if track.scale != 1.0 or track.decoding_times or encoding.unpacker is not None or clock.undecided:
            return None
        if (reordered and clock.in_order) or clock.first_dts == NO_TIME or (encoding.lead and look is not None):
            return None
        step = 0 if track.cut_anew else track.default_duration // self._scale
        if not step and not track.sounds:
            if clock.measure is not None:
                return None
            frame = clock.frame_duration(Packet(track.index, NO_TIME, NO_TIME, 0, 1, None, key=False))
            if frame:
                step = frame.numerator * clock.base.denominator // (frame.denominator * clock.base.numerator)
        units, parts = clock.base.denominator if track.sounds else 0, clock.sample_rate * clock.base.numerator
        if units and not parts:
            return None
        window, lead = clock.window() if reordered else None, len(encoding.lead)
        lasting = "" if units and look is not None and not step else str(step or "null")
        line = line_pair(track.index, "%s", "%s", all_keys=clock.intra_only)
        even = line_pair(track.index, "%d", lasting, all_keys=clock.intra_only)
        told = None if look is not None or window is not None or lead else even
        return told, track.shift, track, line, lasting, units, parts, lead, look, window

    def _look_further(self, look: Callable[[bytes, int, int], int], block: Block, said: int) -> int:
        """What `look` says once it has seen as much of a packet as it wants."""
        have = 0
        while said < 0 and said != DROPPED and -said > have:
            head = self._clusters.payload(block, -said)
            if len(head) <= have:
                return 0
            have = len(head)
            said = look(head, 0, block[5])
        return said if said >= 0 or said == DROPPED else 0

    def _of_block(self, block: Block) -> Iterator[Packet]:
        try:
            for packet in self._frames(block):
                track = self._tracks[packet.stream]
                if packet.size and self._look(track, packet, block):
                    packet.pos = block[6]
                    track.seen.clock.complete(packet, self.queue)
                    yield packet
        except CorruptFile as exc:
            if len(self.faults) < MOST_FAULTS:
                self.faults.append(fault(exc.code, exc.message, exc.offset))

    def _frames(self, block: Block) -> Iterator[Packet]:
        """A packet for each frame of a block, its times as far as the container says them; `pos` is its payload."""
        track: Track = block[0]
        _, block_time, key, laced, said, whole, pos, payload = block
        begin, sizes = 0, [whole]
        if laced:
            most = _MOST_LACES if laced == lacing.XIPH else lacing.MOST_HEADER
            begin, sizes = lacing.sizes(laced, self._clusters.payload(block, most), whole, pos)
        count = len(sizes)
        duration = min(said or 0, _MOST_TIME) or track.default_duration * count // self._scale
        time = self._time(track, block_time)
        for number, size in enumerate(sizes):
            share = duration * (number + 1) // count - duration * number // count
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
        wanted = _LOOKED_AT
        while True:
            if encoding.unpacker is None:
                head = encoding.lead + self._clusters.payload(block, offset + min(wanted, size))[offset:]
            said = track.look(head, 0, packet.size)
            if said >= 0 or said == DROPPED or -said <= wanted or len(head) < min(wanted, packet.size):
                break
            wanted = -said
        if said == DROPPED:
            return False
        self._apply(track, packet, max(said, 0))
        return True

    def _apply(self, track: Track, packet: Packet, said: int) -> None:
        if not track.sounds:
            packet.kind, packet.key = said, said == KEY
            return
        packet.kind = 0
        rate, base = track.seen.coding.sample_rate, track.seen.clock.base
        if said > 0 and rate and (packet.duration <= 0 or track.cut_anew):
            packet.duration = said * base.denominator // (rate * base.numerator)


def _in_one_or_three(data: bytes, at: int) -> tuple[int, int, int, int, int, int]:
    """How a simple block begins whose size takes one byte, or three, and where in it the number of its track stands.

    No identifier, 0, where it is another, or the size is unknown, or of less than a block.
    """
    name, size, number, time, flags = _IN_ONE(data, at)
    if 0x83 < size < 0xFF:
        return name, size - 0x80, number, time, flags, 2
    name, high, low, number, time, flags = _IN_THREE(data, at)
    size = (high & 0x1F) << 16 | low
    return name if high >> 5 == 1 and 3 < size < 0x1FFFFF else 0, size, number, time, flags, 4
