"""Movie fragments: `moof`, `traf`, `tfhd`, `tfdt`, `trun`, and segment indexes: `sidx`.

ISO/IEC 14496-12, 8.8 and 8.16.3.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, repeat

from memx.errors import CorruptFile
from memx.formats.video.isobmff.boxes import Box, Space, children
from memx.formats.video.isobmff.model import Movie, Track, TrackDefaults
from memx.formats.video.isobmff.times import rescale

_BASE, _DESCRIPTION, _DURATION, _SIZE, _FLAGS, _BASE_IS_MOOF = 0x01, 0x02, 0x08, 0x10, 0x20, 0x20000
"""Flags of `tfhd` (8.8.7.1)."""
_DATA_OFFSET, _FIRST_FLAGS = 0x01, 0x04
_PER_SAMPLE = (0x100, 0x200, 0x400, 0x800)
"""Flags of `trun` (8.8.8.1): duration, size, flags and composition offset of each sample."""
_NOT_SYNC = 0x01010000
"""sample_is_non_sync_sample, and sample_depends_on of 1 (8.8.3.1): no key frame."""
_MOST_RUNS = 1 << 16
_OVERLAP = 64
"""So many times over may samples without a table of sizes cover the file."""
_MOST_REFERENCES = 1 << 16

Entry = tuple[int, int, int, int, int, bool, bool]


@dataclass(slots=True)
class Run:
    """A `trun` and what it inherits: so many samples in a row of one track."""

    track_id: int
    description: int
    decode_time: int | None
    """Of `tfdt`."""
    begins: bool
    """Whether it is the first of its `traf`."""
    pos: int
    flags: int
    at: int
    """Where its table begins."""
    count: int
    duration: int
    size: int
    sample_flags: int
    first_flags: int

    @property
    def fields(self) -> list[bool]:
        """Which of duration, size, flags and offset each sample has."""
        return [bool(self.flags & flag) for flag in _PER_SAMPLE]


def runs(space: Space, moof: Box, movie: Movie) -> list[Run]:
    """The runs of a fragment, in their order. Raises CorruptFile where one belongs to no track that is declared."""
    found: list[Run] = []
    for traf in children(space, moof):
        if traf.kind == b"traf":
            _track_runs(space, moof, traf, movie, found)
    return found


def _track_runs(space: Space, moof: Box, traf: Box, movie: Movie, found: list[Run]) -> None:
    """Adds the runs of a `traf`."""
    header: tuple[int, int, TrackDefaults] | None = None
    decode_time, begins = None, True
    for box in children(space, traf):
        if box.kind == b"tfhd":
            header = _track_header(space, box, moof, movie, found)
            decode_time, begins = None, True
        elif box.kind == b"tfdt" and box.size >= 8:
            long = space.number(box.body, 1) > 0 and box.size >= 12
            decode_time = space.number(box.body + 4, 8 if long else 4)
        elif box.kind == b"trun":
            if header is None:
                raise CorruptFile("a run of samples belongs to no track that the movie declares", offset=box.at)
            run = _run(space, box, header, decode_time, begins=begins)
            begins = False
            if len(found) >= _MOST_RUNS:
                raise CorruptFile(f"a fragment has more than {_MOST_RUNS} runs", offset=box.at)
            found.append(run)


def _track_header(
    space: Space, box: Box, moof: Box, movie: Movie, before: list[Run]
) -> tuple[int, int, TrackDefaults] | None:
    """`tfhd`: the track, where its data begin, and what its samples have in common."""
    data = space.body(box, 40).ljust(40, b"\0")
    flags, track_id = int.from_bytes(data[1:4], "big"), int.from_bytes(data[4:8], "big")
    declared = movie.defaults.get(track_id)
    if declared is None:
        return None
    at, base = 8, moof.at
    if flags & _BASE:
        base, at = int.from_bytes(data[8:16], "big"), 16
    elif before and not flags & _BASE_IS_MOOF:  # where the data of the run before end
        base = before[-1].pos + total_size(space, before[-1])
    values = list(declared)
    for number, flag in enumerate((_DESCRIPTION, _DURATION, _SIZE, _FLAGS)):
        if flags & flag:
            values[number] = int.from_bytes(data[at : at + 4], "big")
            at += 4
    return track_id, base, TrackDefaults(*values)


def _run(
    space: Space, box: Box, header: tuple[int, int, TrackDefaults], decode_time: int | None, *, begins: bool
) -> Run:
    track_id, base, defaults = header
    data = space.body(box, 16).ljust(16, b"\0")
    flags, count = int.from_bytes(data[1:4], "big"), int.from_bytes(data[4:8], "big")
    at, first_flags = 8, defaults.flags
    if flags & _DATA_OFFSET:
        base += struct.unpack(">i", data[at : at + 4])[0]
        at += 4
    if flags & _FIRST_FLAGS:
        first_flags = int.from_bytes(data[at : at + 4], "big")
        at += 4
    each = 4 * sum(bool(flags & flag) for flag in _PER_SAMPLE)
    room = box.end - box.body - at
    count = min(count, max(0, room) // each if each else _most_without_table(space, defaults))
    return Run(
        track_id,
        defaults.description,
        decode_time,
        begins,
        base,
        flags,
        box.body + at,
        count,
        defaults.duration,
        defaults.size,
        defaults.flags,
        first_flags,
    )


def _most_without_table(space: Space, defaults: TrackDefaults) -> int:
    """So many samples of one size can lie in the file."""
    return space.end // max(1, defaults.size)


def total_size(space: Space, run: Run) -> int:
    """The bytes of all samples of a run."""
    return run.count * run.size if not run.fields[1] else sum(sum(c) for c in _columns(space, run, 1))


def _columns(space: Space, run: Run, column: int) -> Iterator[list[int]]:
    """The values of one of the four fields of each sample, which the run has, in windows."""
    each, place = sum(run.fields), sum(run.fields[:column])
    for window in space.words(run.at, each * run.count):
        yield window[place::each].tolist()


def sums(space: Space, run: Run) -> tuple[int, int, int]:
    """Of a run: its duration, its bytes, and by how much the earliest sample is shown before it is decoded."""
    duration = run.count * run.duration if not run.fields[0] else sum(sum(c) for c in _columns(space, run, 0))
    early = 0
    if run.fields[3]:
        for offsets in _columns(space, run, 3):
            early = max([early, *((1 << 32) - value for value in offsets if value >= 1 << 31)])
    return duration, total_size(space, run), min(early, (1 << 31) - 1)


def pauses(space: Space, run: Run) -> bool:
    """Whether a sample of a run lasts no time."""
    return any(0 in column for column in _columns(space, run, 0)) if run.fields[0] else not run.duration


class TrackFragments:
    """The decoding times of one track through its fragments."""

    def __init__(self, movie: Movie, track: Track) -> None:
        self._movie = movie
        self.track = track
        self.end = track.media_end
        """Where the last fragment ended, in the media's time."""
        self.duration = track.duration
        self.index_time: int | None = None
        """What a segment index said of the fragment that comes next."""
        self.last: int | None = None
        """The decoding time of the last sample."""
        self._next: int | None = None
        self._untold = 0

    def takes(self, run: Run) -> bool:
        """Whether the run is of this track, and of the description that counts."""
        track = self.track
        return run.track_id == track.id and (track.entry is None or run.description == track.entry + 1)

    def account(self, run: Run, file_end: int) -> None:
        """Raises CorruptFile where samples without a table of sizes have no bytes, or cover the file too often."""
        if not run.fields[1]:
            self._untold += run.count * run.size
            if not run.size or self._untold > _OVERLAP * file_end:
                raise CorruptFile("a fragment has more samples than the file can hold", offset=run.at)

    def begin(self, run: Run) -> int:
        """The decoding time of the first sample of a run."""
        if run.begins:
            self._next = None
        if self._next is not None:
            start = self._next
        elif run.decode_time is not None:
            start = run.decode_time
        elif self.index_time is not None:
            return self.index_time
        else:
            start = self.end
        return start - self.track.time_offset

    def finish(self, run: Run, start: int, duration: int) -> None:
        """Takes note of a run that lasts `duration` from the decoding time `start` on."""
        if run.count:
            self.end = self._next = start + duration + self.track.time_offset
            self.duration = max(self.duration, self.end)

    def entries(self, space: Space, run: Run) -> Iterator[Entry]:
        """The samples of a run: position, decoding time, size, duration, offset, key frame, discarded."""
        start = dts = self.begin(run)
        pos, before = run.pos, self.last
        for size, duration, offset, flags in _rows(space, run):
            discarded = before is not None and before >= dts
            yield pos, dts, size, duration, offset, not flags & _NOT_SYNC, discarded
            self.last = dts
            pos += size
            dts += duration
        self.finish(run, start, dts - start)


def _rows(space: Space, run: Run) -> Iterator[tuple[int, int, int, int]]:
    """Size, duration, composition offset and flags of each sample."""
    has_duration, has_size, has_flags, has_offset = run.fields
    each = sum(run.fields)
    if not each:
        first = ((run.size, run.duration, 0, run.first_flags),) if run.count else ()
        yield from chain(first, repeat((run.size, run.duration, 0, run.sample_flags), run.count - 1))
        return
    first_flags: int | None = run.first_flags
    for window in space.words(run.at, each * run.count):
        columns = iter(range(each))
        rows = len(window) // each
        durations = window[next(columns) :: each] if has_duration else repeat(run.duration, rows)
        lengths = window[next(columns) :: each] if has_size else repeat(run.size, rows)
        flags: Iterable[int] = window[next(columns) :: each] if has_flags else repeat(run.sample_flags, rows)
        offsets = (_signed(value) for value in window[next(columns) :: each]) if has_offset else repeat(0, rows)
        if first_flags is not None and not has_flags:
            flags = [first_flags, *repeat(run.sample_flags, max(0, rows - 1))]
        first_flags = None
        yield from zip(lengths, durations, offsets, flags, strict=False)


def _signed(value: int) -> int:
    return value - (1 << 32) if value >= 1 << 31 else value


@dataclass(slots=True)
class Index:
    """What segment indexes say of one track."""

    positions: "array[int]"
    """Where fragments lie, ascending."""
    times: "array[int]"
    """When each begins to be shown, in `time_scale`."""
    track_id: int = 0
    time_scale: int = 1
    end: int = 0
    """Where what the last index knows of ends in the file."""
    adjoins: bool = False
    """Whether the first fragment follows the index at once."""
    duration: int = 0
    """When the last one ends."""

    def time_at(self, position: int, track: Track) -> int | None:
        """The time of the fragment at `position`, in the track's time."""
        place = bisect_left(self.positions, position)
        if place == len(self.positions) or self.positions[place] != position:
            return None
        return rescale(self.times[place], track.time_scale, self.time_scale)

    def merge(self, earlier: "Index | None") -> "Index":
        """This index, with what an `earlier` one of the same track said before."""
        fits = earlier is not None and earlier.time_scale == self.time_scale and earlier.end <= self.positions[0]
        if earlier is not None and fits and len(earlier.positions) < _MOST_REFERENCES:
            self.positions = earlier.positions + self.positions
            self.times = earlier.times + self.times
        return self


def read_index(space: Space, box: Box) -> Index | None:
    """The `sidx` box; None for versions that do not exist, for indexes of indexes, and where the file ends before it
    tells of a fragment. Raises CorruptFile.
    """
    data = space.body(box, 32).ljust(32, b"\0")
    if data[0] > 1 or (box.end == space.end and box.size < (44 if data[0] else 36)):
        return None
    track_id, scale = struct.unpack(">II", data[4:12])
    if not 0 < scale < 1 << 31:
        raise CorruptFile("a segment index has no time scale", offset=box.at)
    time, offset = struct.unpack(">QQ", data[12:28]) if data[0] else struct.unpack(">II", data[12:20])
    at = box.body + (28 if data[0] else 20)
    count = min(space.number(at + 2, 2), max(0, box.end - at - 4) // 12)
    pos = box.end + offset
    if not count or pos + time >= 1 << 62:
        raise CorruptFile("a segment index has no references", offset=box.at)
    positions, times = array("Q"), array("Q")
    for window in space.words(at + 4, 3 * count):
        for size, duration in zip(window[::3], window[1::3], strict=False):
            if size >> 31:
                return None
            positions.append(pos)
            times.append(time)
            pos += size
            time += duration
    return Index(positions, times, track_id, scale, pos, offset == 0, time)
