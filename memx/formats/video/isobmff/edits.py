"""Edit lists applied to samples: which are shown, and when (ISO/IEC 14496-12, 8.6.6).

An edit shows a stretch of the media. As FFmpeg does it, the samples that have to be decoded before its first one are
kept and marked as discarded, and so are those behind its last one up to a key frame; decoding times run on from edit
to edit.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, repeat

from memx.formats.base import BelongsTo
from memx.formats.video.isobmff.model import Movie, Track
from memx.formats.video.isobmff.tables import Sample, SampleTable
from memx.formats.video.isobmff.times import rescale

Entry = tuple[int, int, int, int, int, bool, bool]
"""A sample as it is shown: that of `tables`, its decoding time moved, and whether it is discarded."""


@dataclass(frozen=True, slots=True)
class Span:
    """Samples in a row: `entries`, or `samples` that are all shown, and moved by `shift`."""

    entries: Iterator[Entry] | None
    samples: Iterator[Sample] | None
    shift: int

    def __iter__(self) -> Iterator[Entry]:
        if self.entries is not None:
            yield from self.entries
        for pos, dts, size, duration, offset, key in self.samples or ():
            yield pos, dts + self.shift, size, duration, offset, key, False


_MOST_TIME = (1 << 63) - 1
_MOST_STEPS = 1 << 22
"""Samples that may be looked at to find the beginnings of edits, besides some for each sample of the track."""
_FEW, _MOST_SHOWN = 8, 1 << 27
"""More than a few edits may not show so many samples between them."""
_FAR = 1 << 28
"""Samples that may be stepped over."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The samples of one edit: the first one kept, by what all decoding times move (None: they stand still at `at`)."""

    first: int
    shift: int | None
    at: int
    begin: int
    """The media time that the edit begins at."""
    end: int
    partial: bool
    """Whether the first sample of sound that is shown may begin before the edit."""


class EditedSamples:
    """The samples of a track in the order and at the times of its edit list.

    Sets the track's `start_time` and `duration`. Raises BelongsTo("video") where an edit list leads to and fro in
    so many samples that only the whole index, expanded, would be fast.
    """

    def __init__(self, movie: Movie, track: Track, table: SampleTable) -> None:
        self._movie = movie
        self._track = track
        self._table = table
        self._shift = max(0, track.dts_shift)
        self._least: int = -1
        self._steps = _MOST_STEPS + 4 * table.count
        self._far = _FAR
        self._known: tuple[int, int] = (0, -_MOST_TIME)
        self.skipped = 0
        """Units of sound that the first edit leaves out."""
        self._stretches = self._plan()

    def __iter__(self) -> Iterator[Entry]:
        for span in self.spans():
            yield from span

    def _plan(self) -> list[Stretch]:
        track, end, empty = self._track, -self._shift, 0
        begin, shown, found = end, False, []
        first_sound = track.kind == "audio"
        for edit in track.edits if self._movie.time_scale else ():
            duration = rescale(edit.duration, track.time_scale, self._movie.time_scale)
            if (duration + edit.time) % (1 << 64) > _MOST_TIME:
                duration = 0
            counter, end = end, end + duration
            if end > _MOST_TIME:
                break
            if not shown and edit.time == -1:
                empty += duration
                continue
            partial = first_sound and not shown
            shown = True
            found.append(self._stretch(edit.time, duration, counter, partial=partial))
        track.start_time = empty
        track.duration = min(track.duration, end - begin)
        self._least -= empty
        if len(found) > _FEW and len(found) * self._table.count > _MOST_SHOWN:
            raise BelongsTo("video", "very many edits of many samples")
        if track.kind == "video" and self._least > 0:
            return [
                replace(s, shift=None if s.shift is None else s.shift - self._least, at=s.at - self._least)
                for s in found
            ]
        return found

    def _stretch(self, begin: int, duration: int, counter: int, *, partial: bool) -> Stretch:
        """Finds where an edit begins to keep samples, and where to show them."""
        track, search = self._track, begin
        if track.kind == "audio":
            search = max(search - track.time_scale, -track.dts_shift)
        first = self._closest(search)
        end, skipped = begin + duration, 0
        shift, vorbis = None, track.codec == "vorbis"
        for sample, step in self._stepped(first, duration):
            cts = sample[1] + track.dts_shift + sample[4]
            self._count_step()
            if begin <= cts < end:
                shift = counter - sample[1] if shift is None else shift
                if not self._least_shown(sample, shift):
                    break
            elif shift is None and partial and not vorbis and cts < begin < cts + step:
                skipped += begin - cts
                shift = counter - (begin - cts) - sample[1]
            elif shift is None and partial and not vorbis:
                skipped += step
            if self._ends(cts + step, end, key=sample[5]):
                break
        if partial:
            self.skipped = skipped
        return Stretch(first, shift, counter, begin, end, partial and not vorbis)

    def _least_shown(self, sample: Sample, shift: int) -> bool:
        """Takes note of the earliest time that anything is shown; whether a later sample can still be earlier."""
        shown = sample[1] + shift + sample[4] + self._shift
        self._least = shown if self._least < 0 else min(self._least, shown)
        return self._track.kind == "video" and not 0 <= self._least <= sample[1] + shift

    def _ends(self, after: int, end: int, *, key: bool) -> bool:
        return after >= end and (key or self._track.kind == "audio") and not self._table.has_offsets

    def _closest(self, search: int) -> int:
        """The last key frame decoded, and shown, at `search` or before; else the last sample; else the first."""
        wanted = search - self._shift
        hint, known = self._known
        start = hint if wanted >= known else 0
        best, best_time, last, last_time = None, None, None, None
        number = start
        for sample in self._from(start):
            self._count_step()
            if sample[1] > wanted:
                break
            if last is None or sample[1] != last_time:
                last, last_time = number, sample[1]
            if sample[5] and sample[1] + sample[4] <= wanted and (best is None or sample[1] != best_time):
                best, best_time = number, sample[1]
            number += 1
        if best is not None:
            self._known = (best, wanted)
            return best
        return 0 if last is None or self._table.has_offsets else last

    def _from(self, start: int) -> Iterator[Sample]:
        self._far -= start
        if self._far < 0:
            raise BelongsTo("video", "edits that lead far to and fro")
        return self._table.samples(start)

    def _count_step(self) -> None:
        self._steps -= 1
        if self._steps < 0:
            raise BelongsTo("video", "edits that lead to and fro in many samples")

    def _stepped(self, start: int, duration: int) -> Iterator[tuple[Sample, int]]:
        """Samples, and by what the next one is decoded later; for the last one that is `duration`."""
        samples = self._from(start)
        current = next(samples, None)
        while current is not None:
            following = next(samples, None)
            yield current, duration if following is None else following[1] - current[1]
            current = following

    def spans(self) -> Iterator[Span]:
        """The samples in their order; each span has to be used up before the next is asked for."""
        in_turn = self._durations_in_turn()
        for stretch in self._stretches:
            walk = _Walk(self._track, self._table, stretch)
            if in_turn is not None:
                yield Span(_lasting(walk.entries(None), in_turn), None, 0)
                continue
            first, last = self._inside(stretch)
            if stretch.shift is not None and last - first > _MANY:
                yield Span(walk.entries(first), None, 0)
                if not walk.ended:
                    yield Span(None, walk.samples(last), stretch.shift)
            yield Span(walk.entries(None), None, 0)

    def _durations_in_turn(self) -> Iterator[int] | None:
        """The durations of all samples, where FFmpeg goes through them in turn, whichever samples an edit shows.

        It does so in tracks without composition offsets; when they are used up packets have none.
        """
        stretches = self._stretches
        if self._table.has_offsets or self._table.in_chunks or (len(stretches) == 1 and not stretches[0].first):
            return None
        self._track.pauses = True
        return chain(self._table.durations(), repeat(0))

    def _inside(self, stretch: Stretch) -> tuple[int, int]:
        """Samples, from one to another, that are shown for certain, and do not end the edit."""
        track, table = self._track, self._table
        if table.in_chunks:
            return 0, 0
        first = table.decoded_before(stretch.begin - track.dts_shift - table.least_offset)
        last = table.decoded_before(stretch.end - track.dts_shift - table.most_offset - table.most_duration)
        return max(first, stretch.first), min(last, table.count - 1)


def _lasting(entries: Iterator[Entry], durations: Iterator[int]) -> Iterator[Entry]:
    return ((*entry[:3], duration, *entry[4:]) for entry, duration in zip(entries, durations, strict=False))


_MANY = 256
"""For fewer samples it does not pay to treat them apart."""


class _Walk:
    """The samples of one stretch, from its first one on."""

    def __init__(self, track: Track, table: SampleTable, stretch: Stretch) -> None:
        self.ended = False
        self._track = track
        self._table = table
        self._stretch = stretch
        self._rest = table.samples(stretch.first)
        self._current = next(self._rest, None)
        self._number = stretch.first

    def samples(self, until: int) -> Iterator[Sample]:
        """The samples up to number `until`, all of which are shown."""
        if self._current is not None and self._number < until:
            yield self._current
            yield from islice(self._rest, until - self._number - 1)
            self._current, self._number = next(self._rest, None), until

    def entries(self, until: int | None) -> Iterator[Entry]:
        """The samples up to number `until`, or up to the end of the edit, moved and marked."""
        stretch, dts_shift = self._stretch, self._track.dts_shift
        begin, end, shift, partial = stretch.begin, stretch.end, stretch.shift, stretch.partial
        sound = self._track.kind == "audio"
        once = self._table.has_offsets and not sound
        while self._current is not None and not self.ended and self._number != until:
            pos, dts, size, duration, offset, key = self._current
            self._current = following = next(self._rest, None)
            self._number += 1
            step = end - begin if following is None else following[1] - dts
            cts = dts + dts_shift + offset
            discarded = not begin <= cts < end and not (partial and cts < begin < cts + step)
            yield pos, stretch.at if shift is None else dts + shift, size, duration, offset, key, discarded
            if cts + step >= end and (key or sound):
                self.ended = not once
                once = False  # pictures shown before this key frame may follow it
