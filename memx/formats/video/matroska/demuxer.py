"""The records of packets as lines: those that are as most are by simple sums, the others one by one."""

import struct
from collections.abc import Callable

from memx.errors import CorruptFile, MemxError
from memx.formats.video.assembly import packet_line
from memx.formats.video.clock import NO_TIME, Clock
from memx.formats.video.gathering import LINES
from memx.formats.video.matroska import ebml, lacing
from memx.formats.video.matroska.clusters import HEAD, Clusters
from memx.formats.video.matroska.elements import BLOCK, BLOCK_DURATION, BLOCK_GROUP, REFERENCE_BLOCK, SIMPLE_BLOCK
from memx.formats.video.matroska.pace import Pace, pace_of
from memx.formats.video.matroska.packets import MOST_TIME, Packets
from memx.formats.video.matroska.tracks import Track

_GROUP_HEAD = 24
"""Bytes that hold the headers of a block group and of the block that it begins with, and the first of what is in it."""
_MOST_BEHIND = 64
"""Of a common block group so many bytes are behind its block at most."""


_IN_ONE, _IN_TWO, _IN_THREE = (struct.Struct(f">{form}").unpack_from for form in ("BBBhB", "BHBhB", "BBHBhB"))
"""How simple blocks begin whose sizes take so many bytes: identifier, size, number of the track, time, flags."""

Row = tuple[tuple[str, str] | None, int, Callable[..., str | None], Pace]
"""What the hot loop needs of a pace: `even`, `shift` and `line`; and itself."""


class Demuxer(Packets):
    """Packets of the tracks in a segment: `packets` first, then `add_lines`."""

    def __init__(self, clusters: Clusters, tracks: list[Track], scale: int) -> None:
        super().__init__(clusters, tracks, scale)
        self._paces: dict[int, Pace | None] | None = None
        """By the numbers of tracks; None before `add_lines`."""
        self._quick: dict[int, Row] = {}
        """Of those that are not None, by the byte that begins the body of a block."""

    def add_lines(self, lines: list[str]) -> bool:
        """Adds the records of packets that `packets` did not give, as lines of JSON; whether there may be more."""
        clusters, paces = self._clusters, self._paced()
        lines.extend(map(packet_line, self._frames_left))
        if self._run(lines) or self._run_others(lines):
            return True
        block = clusters.next_block()
        if block is None:
            return False
        track, time, key, laced, duration, size, pos, payload = block
        pace, time, line = paces[track.number], time + clusters.time, None
        if pace is not None and not laced and time >= 0:
            lasting = min(duration or 0, MOST_TIME)
            line = pace.line(clusters.data, clusters.start, time, key, size, pos, payload, lasting)
            if pace.over:
                self._set_pace(track, None)
        if line is not None:
            lines.append(line)
            return True
        lines.extend(map(packet_line, self._of_block(block)))
        if pace is None and track.seen.clock.kind == "subtitle":  # which begin at any time
            self._set_pace(track, pace_of(track, self._scale, clusters.read))
        return True

    def held_back(self) -> list[list[int]]:
        """Of each track whose pictures are reordered the times of those that are held back, the least first.

        Nothing else of the packets before it has a part in a packet that is as most are.
        """
        return [pace.window for pace in self._paced().values() if pace is not None and pace.window]

    @property
    def passed(self) -> list[int]:
        """How far each track of subtitles has come, but for those that go their pace; NO_TIME where none of it passed.

        A block that does not say when it is shown follows there.
        """
        return [clock.cur_dts if clock.first_dts != NO_TIME else NO_TIME for clock in self._subtitles()]

    def pass_by(self, held_back: list[list[int]], passed: list[int]) -> None:
        """Takes note of what another demuxer told: what it has `held_back`, and how far it `passed`."""
        for mine, times in zip(self.held_back(), held_back, strict=True):
            mine[:] = times
        for clock, time in zip(self._subtitles(), passed, strict=True):
            if time != NO_TIME:
                clock.cur_dts = time

    def forget_passed(self) -> None:
        """As if no subtitles had passed: those that do so from now on can be told then."""
        for clock in self._subtitles():
            if clock.first_dts != NO_TIME:
                clock.cur_dts = NO_TIME

    def _subtitles(self) -> list[Clock]:
        return [track.seen.clock for track in self._tracks if track.seen.clock.kind == "subtitle"]

    def go_on(self, begin: int, end: int | None) -> None:
        """Goes on at the cluster at `begin`, and up to `end`; None: up to the last one."""
        self._frames_left = iter(())
        self._clusters.begin_at(begin)
        self._clusters.end_at(end)

    def _paced(self) -> dict[int, Pace | None]:
        """How the packets of the tracks go on, by their numbers."""
        if self._paces is None:
            self._paces = {}
            for track in self._tracks:
                self._set_pace(track, pace_of(track, self._scale, self._clusters.read))
        return self._paces

    def _set_pace(self, track: Track, pace: Pace | None) -> None:
        """How the packets of a track go on from now on; None: they are completed one by one."""
        assert self._paces is not None  # it is set where they are made
        self._paces[track.number] = pace
        if track.number < 0x80:
            self._quick.pop(0x80 | track.number, None)
            if pace is not None:
                self._quick[0x80 | track.number] = pace.even, pace.shift, pace.line, pace

    def _run(self, lines: list[str]) -> bool:
        """Adds the lines of simple blocks: the hot loop. False where the next one is not as most are."""
        clusters, source, row_of, append = self._clusters, self._clusters.source, self._quick.get, lines.append
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
                    name, size, width, number, time, flags = _in_one_or_three(data, at - start)
                    pos = at + width
                row, time = row_of(number), time + base
                if row is None or name != SIMPLE_BLOCK or pos + size > limit or flags & 6 or time < 0:
                    break
                even, shift, line_of, _ = row
                if even is not None and size > 4:
                    time -= shift
                    append(even[flags > 0x7F] % (time, time, size - 4, pos))
                else:
                    line = line_of(data, start, time, flags > 0x7F, size - 4, pos, pos + 4)
                    if line is None:
                        break
                    append(line)
                at = pos + size
            else:
                return True
        except (struct.error, OSError):
            pass  # the file is shorter now, or cannot be read: who reads there again says so
        finally:
            source.was_read(HEAD * reads)
            clusters.at, clusters.data, clusters.start = at, data, start
        return False

    def _run_others(self, lines: list[str]) -> bool:
        """Adds the lines of block groups that begin with their block, and of laced blocks. False where none is next."""
        clusters, read, limit = self._clusters, self._clusters.source.read_at, self._clusters.limit
        first = at = clusters.at
        data, start = clusters.data, clusters.start
        try:
            while at < limit and len(lines) < LINES:
                if not start <= at <= start + len(data) - HEAD:
                    data, start = read(at, _GROUP_HEAD), at
                name, size, width, number, time, flags = _head(data, at - start)
                body, key, duration, following = at + width, flags > 0x7F, 0, b""
                end = after = body + size
                if name == BLOCK_GROUP and end <= limit:
                    name, size, width, number, time, flags = _head(data, body - start)
                    body += width
                    after = body + size
                    if name != BLOCK or not 0 <= end - after <= _MOST_BEHIND:
                        break
                    following = read(after, end - after + _GROUP_HEAD)
                    key, duration = _behind(following, end - after)
                elif name != SIMPLE_BLOCK or not flags & 6 or end > limit:
                    break
                row, time = self._quick.get(number), time + clusters.time
                if row is None or time < 0:
                    break
                if flags & 6:
                    told = self._laced(row[3], time, key, flags & 6, size - 4, body, duration)
                    if told is None:
                        break
                    lines.extend(told)
                else:
                    line = row[2](data, start, time, key, size - 4, body, body + 4, duration)
                    if line is None:
                        break
                    lines.append(line)
                at, data, start = end, following, after
                if not following:  # most blocks are not laced
                    break
        except (struct.error, OSError, MemxError):
            pass  # the file is shorter now, or cannot be read, or broken: who reads there again says so
        finally:
            clusters.at, clusters.data, clusters.start = at, data, start
        return at > first

    def _laced(self, pace: Pace, time: int, key: bool, laced: int, whole: int, pos: int, said: int) -> list[str] | None:
        """The lines of the packets in a block, `whole` bytes of it behind its head; None where they go another way."""
        begin, sizes = self._laces(laced, pos + 4, whole, pos)
        count = len(sizes)
        duration = said or pace.default_duration * count // self._scale
        if not pace.may_be_laced or 0 < duration < count:
            return None
        lines, at = [], pos + 4 + begin
        for size, share in zip(sizes, lacing.shares(duration, count), strict=True):
            lasting = share or pace.lasts(size, at)
            if lasting is None:
                return None
            if share:
                line = pace.line(b"", at, time, key, size, pos, at, share)
            else:
                line = pace.filled(time, key, size, pos, lasting) if lasting else ""
            if line is None:
                return None
            lines.append(line)
            time += lasting
            at += size
            key = False
        return lines


def _head(data: bytes, at: int) -> tuple[int, int, int, int, int, int]:
    """How an element begins that may be a block, or a block group: identifier, size, and the bytes of both.

    If it is a block, the number of the track, the time and the flags follow. No identifier, 0, where the size takes
    more than three bytes, or is unknown, or less than that of a block.
    """
    name, size, number, time, flags = _IN_TWO(data, at)
    return (name, size - 0x4000, 3, number, time, flags) if 0x4003 < size < 0x7FFF else _in_one_or_three(data, at)


def _in_one_or_three(data: bytes, at: int) -> tuple[int, int, int, int, int, int]:
    """The same where the size does not take two bytes."""
    name, size, number, time, flags = _IN_ONE(data, at)
    if 0x83 < size < 0xFF:
        return name, size - 0x80, 2, number, time, flags
    name, high, low, number, time, flags = _IN_THREE(data, at)
    size = (high & 0x1F) << 16 | low
    return name if high >> 5 == 1 and 3 < size < 0x1FFFFF else 0, size, 4, number, time, flags


def _behind(data: bytes, length: int) -> tuple[bool, int]:
    """What the `length` bytes behind a block say in its group: whether it is a key frame, and its duration.

    CorruptFile where they are no whole elements.
    """
    at, key, duration = 0, True, 0
    while at < length:
        found = ebml.header(data, at)
        if found is None or found[2] is None or found[2] > min(length, len(data)):
            raise CorruptFile("no elements follow the block of a group")
        name, body, end = found[0], found[1], found[2]
        if name == BLOCK_DURATION:
            duration = min(int.from_bytes(data[body : min(body + 8, end)], "big"), MOST_TIME)
        elif name == REFERENCE_BLOCK:
            key = False
        at = end
    return key, duration
