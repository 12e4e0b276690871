"""A file of this format as a whole: its boxes walked once, and what that tells of every stream.

Where the file does not say a thing outright it is found as FFmpeg finds it: rates, bit rates, durations, what of an
edit list counts. References to sections are to ISO/IEC 14496-12.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, islice
from typing import TYPE_CHECKING

from memx.errors import CorruptFile
from memx.formats.base import BelongsTo
from memx.formats.video.isobmff.boxes import Box, Space, box_at, child
from memx.formats.video.isobmff.edits import EditedSamples, Entry, Span
from memx.formats.video.isobmff.fragments import Index, Run, TrackFragments, pauses, read_index, runs, sums
from memx.formats.video.isobmff.model import Movie, Track
from memx.formats.video.isobmff.movie import MovieReader
from memx.formats.video.isobmff.tables import SampleTable, durations, sizes
from memx.formats.video.isobmff.times import reduced, rescale

if TYPE_CHECKING:
    from memx.formats.video.rates import Intervals

_MOST_BOXES = 1 << 24
_FIRST = 99
"""So many frames of tables tell the rate of all, where their durations vary."""
_KNOWN = 4
"""So many fragments are kept, as parsed."""


class Film:
    """What is in `space`; `limit` is the length of the longest text that is read.

    Raises CorruptFile, TruncatedFile, or BelongsTo("video") where only FFmpeg knows. `found_movie` is false where
    there is no `moov` box: then nothing else is known.
    """

    def __init__(self, space: Space, limit: int) -> None:
        self.space = space
        self.movie = Movie()
        self.found_movie = False
        self.fragments = False
        """Whether there is any."""
        self.fragments_later = False
        """Whether they follow samples of tables, and FFmpeg reads none before these."""
        self.tables: dict[int, SampleTable] = {}
        self.edited: dict[int, EditedSamples] = {}
        self.rates: dict[int, Fraction] = {}
        """The rate of all frames of a stream, where the tables tell it."""
        self.intervals: dict[int, Intervals] = {}
        """Those between frames, where they vary."""
        self._advanced = True
        self._reader = MovieReader(self.movie, limit)
        self._indexes: dict[int, Index] = {}
        self._complete = False
        self._times: dict[int, TrackFragments] = {}
        self._known_runs: dict[int, list[Run]] = {}
        self._first_fragment = 0
        self._walk()
        if self.found_movie:
            self._finish()

    @property
    def broken(self) -> CorruptFile | None:
        """What is wrong with the movie box; nothing behind that place is known."""
        if self.found_movie and not self.movie.tracks:
            return self._reader.broken or CorruptFile("the moov box describes no track")
        return self._reader.broken

    def _walk(self) -> None:
        """The outermost boxes; all of them, unless a segment index says where the fragments are."""
        space, at, found_data = self.space, 0, False
        for _ in range(_MOST_BOXES):
            found = box_at(space, at, space.end)
            if found is None:
                break
            box, at = found
            if box.kind == b"moof" and self.found_movie:
                if not self.fragments:
                    self.fragments, self._first_fragment = True, box.at
                    self._times = {track.id: TrackFragments(self.movie, track) for track in reversed(self.movie.tracks)}
                self._sum_up(box)
            else:
                self._box(box)
            found_data = found_data or box.kind == b"mdat"
            if self.found_movie and found_data and self._complete:
                self._find_fragments(at)
                break
        for walked in self._times.values():
            walked.track.duration = walked.duration

    def _find_fragments(self, at: int) -> None:
        """Where fragments begin that FFmpeg reads only when it comes to them, all samples of the tables before."""
        for _ in range(0 if self.fragments else _MOST_BOXES):
            found = box_at(self.space, at, self.space.end)
            if found is None:
                break
            box, at = found
            if box.kind == b"moof":
                self.fragments = self.fragments_later = True
                self._first_fragment = box.at
                break

    def _box(self, box: Box) -> None:
        if box.kind == b"ftyp":
            self._reader.file_type(self.space, box)
        elif box.kind == b"moov" and not self.found_movie:
            self._reader.read(self.space, box)
            self.found_movie = True
            for track in self.movie.tracks:
                if not track.attached:
                    self._build(track)
        elif box.kind == b"sidx" and self.found_movie:
            self._segment_index(box)
        elif box.kind in (b"udta", b"meta", b"uuid"):
            if box.kind == b"meta" and any(child(self.space, box, b"iinf", skip) for skip in (0, 4)):
                raise BelongsTo("video", "pictures as items")
            self._reader.read(self.space, Box(b"root", box.at, box.at, box.end))

    def _segment_index(self, box: Box) -> None:
        """8.16.3. Where it leads up to the end of the file FFmpeg reads fragments only when it comes to them."""
        index, space = read_index(self.space, box), self.space
        track = None if index is None else self._track(index.track_id)
        if index is None or track is None:
            return
        self._indexes[track.id] = index.merge(self._indexes.get(track.id))
        self._ends(track, index.duration)
        trailer = space.number(space.end - 4, 4) if space.end >= 4 else 0
        if index.end in (space.end, space.end - trailer):
            self._complete = self._complete or index.adjoins
            for other in self.movie.tracks:
                if other.id not in self._indexes and not other.attached:
                    self._ends(other, rescale(track.duration, other.time_scale, track.time_scale))

    def _ends(self, track: Track, time: int) -> None:
        """Takes the word of a segment index for when a track ends."""
        track.duration = track.media_end = time
        if track.id in self._times:
            self._times[track.id].duration = self._times[track.id].end = time

    def _track(self, number: int) -> Track | None:
        return next((track for track in self.movie.tracks if track.id == number), None)

    def _build(self, track: Track) -> None:
        """What the tables of a track come to."""
        chunks, stts = (table.count if table is not None else 0 for table in (track.stco, track.stts))
        if not chunks and not stts:
            track.stsc = None
        sized = track.sample_size or (track.sizes is not None and track.sample_count)
        if (chunks and not (stts and track.stsc and (track.sample_size or track.sample_count))) or (
            track.sample_count and not (chunks and sized)
        ):
            track.broken = True
        track.time_scale = track.time_scale or self.movie.time_scale or 1
        self._measure_times(track)
        if track.broken:
            return
        if not stts:
            self._advanced = False
        table = SampleTable(track, self.space.end)
        self._offset(track)
        if not table.count:
            return
        self.tables[track.index] = table
        if not table.in_chunks:
            track.data_size = _total(track)
            if track.duration > 0 and not table.broken:
                stored = _total(track, table.count) if table.count != track.sample_count else track.data_size
                track.bit_rate = stored * 8 * track.time_scale // track.duration
            if track.fixed_size:
                track.data_size = 0  # beside fragments FFmpeg counts the samples whose sizes a table gives
        if track.edits and self._advanced and not table.broken:
            self.edited[track.index] = EditedSamples(self.movie, track, table)
        if track.kind == "video":
            self._picture_times(track, table)

    def _measure_times(self, track: Track) -> None:
        """Number of frames, duration, and whether samples of data are worth anything."""
        total = 0
        for count, duration in durations(track.stts):
            track.frames += count
            track.pauses = track.pauses or not duration
            total += count * duration
        if total:
            track.duration = min(track.duration, total)
            track.fps_frames, track.fps_duration = track.frames, total
        elif track.stts is not None and track.stts.count and track.kind == "data":
            track.discarded = True
        track.media_end = total

    def _offset(self, track: Track) -> None:
        """What a simple edit list means for fragments: where the media begin in the movie's time."""
        empty = begin = 0
        for number, edit in enumerate(track.edits):
            if number == 0 and edit.time == -1:
                empty = edit.duration
            elif number == (1 if empty or track.edits[0].time == -1 else 0) and edit.time >= 0:
                begin = edit.time
        simple = len(track.edits) == 1 + (empty > 0)
        if begin > 0 and simple and not self._advanced and track.codec == "aac":
            track.padding = begin
        if (empty or begin) and self.movie.time_scale:
            track.time_offset = begin - rescale(empty, track.time_scale, self.movie.time_scale)

    def _picture_times(self, track: Track, table: SampleTable) -> None:
        first = next(self.shown(track), None)
        if track.start_time is None and first is not None:
            track.start_time = first[1] + track.dts_shift + first[4]
        constant = _constant(track, table.count)
        rate = None
        if constant is not None:
            rate = reduced(track.time_scale, constant)
        elif not table.in_chunks:
            from memx.formats.video.rates import Intervals  # rarely needed

            intervals = self.intervals[track.index] = Intervals(Fraction(1, track.time_scale))
            for sample in islice(table.samples(0), _FIRST):
                intervals.add(sample[1])
            rate = intervals.rate(0)
        if rate is not None:
            self.rates[track.index] = rate

    def spans(self, track: Track) -> Iterator[Span]:
        """The samples of the tables of a track, its edit list applied; each span has to be used up before the next."""
        edited, table = self.edited.get(track.index), self.tables.get(track.index)
        if edited is not None:
            yield from edited.spans()
        elif table is not None:
            moved = 0 if self._advanced or table.in_chunks else track.time_offset
            yield Span(None, table.samples(0), -moved)

    def shown(self, track: Track) -> Iterator[Entry]:
        """The same, one by one."""
        return chain.from_iterable(self.spans(track))

    def _sum_up(self, moof: Box) -> None:
        """Adds a fragment to what is known of its tracks."""
        for run in self._runs(moof):
            walked = self._times.get(run.track_id)
            if walked is None or not walked.takes(run):
                continue
            walked.account(run, self.space.end)
            duration, size, early = sums(self.space, run)
            walked.index_time = self._index_time(walked.track, moof)
            walked.finish(run, walked.begin(run), duration)
            track = walked.track
            track.dts_shift = max(track.dts_shift, early)
            track.data_size += size
            track.fps_duration += duration
            track.fps_frames += run.count
            track.offsets = track.offsets or run.fields[3]
            track.pauses = track.pauses or pauses(self.space, run)

    def _runs(self, moof: Box) -> list[Run]:
        """The runs of a fragment; those of the last few are kept, for the other tracks."""
        found = self._known_runs.get(moof.at)
        if found is None:
            if len(self._known_runs) >= _KNOWN:
                del self._known_runs[next(iter(self._known_runs))]
            found = self._known_runs[moof.at] = runs(self.space, moof, self.movie)
        return found

    def _index_time(self, track: Track, moof: Box) -> int | None:
        index = self._indexes.get(track.id)
        return None if index is None else index.time_at(moof.at, track)

    def fragmented(self, track: Track) -> Iterator[Entry]:
        """The samples of the fragments of a track, in the order of the fragments."""
        if not self.fragments:
            return
        walked, space, at = TrackFragments(self.movie, track), self.space, self._first_fragment
        for _ in range(_MOST_BOXES):
            found = box_at(space, at, space.end)
            if found is None:
                return
            box, at = found
            if box.kind != b"moof":
                continue
            walked.index_time = self._index_time(track, box)
            for run in runs(space, box, self.movie):
                if walked.takes(run):
                    if self._complete and run.fields[3]:
                        track.dts_shift = max(track.dts_shift, sums(space, run)[2])
                    walked.account(run, space.end)
                    yield from walked.entries(space, run)

    def all_spans(self, track: Track) -> Iterator[Span]:
        """All samples of a track."""
        yield from self.spans(track)
        yield Span(self.fragmented(track), None, 0)

    def entries(self, track: Track) -> Iterator[Entry]:
        """All samples of a track, one by one."""
        return chain.from_iterable(self.all_spans(track))

    def steady(self, track: Track) -> bool:
        """Whether all samples of a track last as long, the last one too."""
        return len({duration for count, duration in durations(track.stts) if count}) < 2

    def _finish(self) -> None:
        """What only all of the boxes together tell."""
        for track in self.movie.tracks:
            if track.attached:
                continue
            if self.movie.defaults and track.fps_duration > 0:
                track.bit_rate = rescale(track.data_size, track.time_scale * 8, track.fps_duration)
        for track, bit_rate in zip(self.movie.tracks, self.movie.bit_rates, strict=False):
            track.bit_rate = bit_rate or track.bit_rate


def _total(track: Track, count: int | None = None) -> int:
    """The bytes of the first `count` samples, or of all."""
    if track.fixed_size or track.sizes is None:
        each = max(track.fixed_size, track.sample_size if 0 < track.fixed_size < track.sample_size else 0)
        return each * (track.sample_count if count is None else count)
    if count is None and track.size_bits >= 8:
        table = track.sizes
        return sum(map(sum, table.space.words(table.at, table.count, track.size_bits // 8)))
    return sum(islice(sizes(track), count))


def _constant(track: Track, count: int) -> int | None:
    """The duration that all samples but the last one have, or None."""
    first, seen = None, 0
    for number, duration in durations(track.stts):
        here = min(number, count - 1 - seen)
        if here <= 0 and first is not None:
            break
        if number and first is None:
            first = duration
        elif here > 0 and duration != first:
            return None
        seen += number
    return first
