"""ISO base media files (mp4, mov, 3gp, fragmented too) read by their structure: no media data, no library."""

import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import islice, repeat
from typing import Any, ClassVar, Literal, TypeVar

from memx.errors import CorruptFile, MemxError, TruncatedFile
from memx.formats.base import BelongsTo, StreamReader
from memx.formats.extent import cut_off, without_movie
from memx.formats.signatures import is_isobmff, is_named_as_sound
from memx.formats.video.gathering import gathered
from memx.formats.video.isobmff import keys
from memx.formats.video.isobmff.boxes import Space
from memx.formats.video.isobmff.captions import repacked
from memx.formats.video.isobmff.chapters import chapter_records, read_chapter_tracks, read_timecodes
from memx.formats.video.isobmff.edits import Entry, Span
from memx.formats.video.isobmff.film import Film
from memx.formats.video.isobmff.interleaving import Dated, Interleaved
from memx.formats.video.isobmff.model import NO_TIME, Track
from memx.formats.video.isobmff.names import INTRA, LENGTHLESS
from memx.formats.video.isobmff.packets import packet_lines, packet_records, timed
from memx.formats.video.isobmff.streams import StreamDescriber, told_tags
from memx.formats.video.isobmff.times import COARSE, rescale
from memx.formats.video.packets import NotKnown
from memx.records import Record

CONTAINER = "mov,mp4,m4a,3gp,3g2,mj2"
"""FFmpeg's name of the format."""
_SECOND = 1_000_000
_P = TypeVar("_P", Record, str)
_TEXTS = ("subtitle", "data")
_REORDERED = frozenset(("h264", "hevc", "vvc"))
_HELD = frozenset(("ac3", "eac3"))
"""Codecs of which FFmpeg's parser gives out a packet when it has seen the next one."""
_FRAMES = {"ac3": 1536, "eac3": 1536, "mp3": 1152, "mp2": 1152, "aac": 1024}
"""Samples of a packet."""


class IsoStreamReader(StreamReader):
    """`stream`, `chapter` and `packet` records, as `memx.formats.video.library` gives them.

    - Tables are walked in windows; media data are read only for chapter titles, time codes, and the headers of first
      pictures that no configuration record describes.
    - In a summary there are no packets.
    - A file that ends early gives its packets up to there, and TruncatedFile.
    """

    format = "video"
    access: ClassVar[Literal["forward", "seek", "path"]] = "seek"

    def open(self) -> dict[str, Any]:
        """The `file` line gets `container`, `start_time_s`, `duration_s`, `bit_rate` and `tags`.

        Raises BelongsTo("audio") where there is no moving picture, BelongsTo("video") where FFmpeg has to be asked,
        CorruptFile, TruncatedFile or UnsupportedSource.
        """
        head, limit = self.source.read_at(0, 4096), self.options.max_value_bytes
        if not is_isobmff(head, ""):
            raise BelongsTo("video")  # whoever said that it is video may still be right
        named_as_sound = is_named_as_sound(head, os.path.splitext(self.source.path)[1].lower())
        self._space = Space(self.source)
        try:
            self._film = film = self._read(limit)
        except MemxError as exc:
            if self.options.format is None and named_as_sound:
                raise BelongsTo("audio") from exc
            if isinstance(exc, CorruptFile) and self._cut is not None:
                raise self._cut from exc
            raise
        kinds = {track.kind for track in film.movie.tracks if not track.attached}
        if self.options.format is None and "video" not in kinds and ("audio" in kinds or named_as_sound):
            raise BelongsTo("audio")
        self._look()
        self._firsts = {track.index: list(islice(film.entries(track), 2)) for track in film.movie.tracks}
        self._start, self._duration = self._timings()
        try:
            self._described = list(self._streams_described())
        except NotKnown as exc:
            raise BelongsTo("video", str(exc)) from exc
        size = self.source.size or 0
        return {
            "container": CONTAINER,
            "start_time_s": None if self._start is None else self._start / _SECOND,
            "duration_s": None if self._duration is None else self._duration / _SECOND,
            "bit_rate": int(size * 8.0 * _SECOND / self._duration) if self._duration else None,
            "tags": told_tags(film.movie.tags, limit),
        }

    def _read(self, limit: int) -> Film:
        film = Film(self._space, limit)
        if not film.found_movie:
            raise self._cut or without_movie(self.source)
        read_chapter_tracks(film, limit)
        read_timecodes(film)
        return film

    @cached_property
    def _cut(self) -> TruncatedFile | None:
        """The error of a file that ends before the last of its boxes."""
        return cut_off(self.source, "mov")

    def _look(self) -> None:
        """Finds out which packets FFmpeg looks at, and the rates of frames that tables do not tell, on these packets.

        Where it comes to the end of the file it goes on, to tell all packets, behind what it did not find there.
        """
        self._queued: dict[int, int] = {}
        self._passed = 0
        film, told = self._film, self._told
        rated = all(track.kind != "video" or track.index in film.rates for track in told)
        if rated and self._cut is None:
            return
        from memx.formats.video.isobmff.probing import Looked, look

        streams = {
            track.index: Looked(track, _scale(track), film.intervals.get(track.index), film.rates.get(track.index))
            for track in told
        }
        packets = [packet_records(film.all_spans(track), track.index, _scale(track), track) for track in told]
        if not look(streams, self._released(Interleaved(packets, *self._ends()))):
            self._passed = 1
        for index, stream in streams.items():
            if index not in film.rates:
                self._queued[index] = stream.queued
            if stream.rate is not None:
                film.rates[index] = stream.rate

    def records(self) -> Iterator[Record]:
        yield from self._descriptions()
        if not self.options.summary:
            packets = Interleaved(self._streams(packet_records), *self._ends())
            yield from self._released(packets)
            self._check(packets.missing)
        else:
            self._check(None)

    def blocks(self) -> Iterator[Record | bytes]:
        if self.options.summary or any(track.codec in _HELD for track in self._told):
            yield from self.records()
            return
        yield from self._descriptions()
        lines = Interleaved(self._streams(packet_lines), *self._ends())
        yield from gathered(lines.add)
        self._check(lines.missing)

    def _descriptions(self) -> Iterator[Record]:
        yield from self._described
        yield from chapter_records(self._film, self._start, self._duration)

    def _streams_described(self) -> Iterator[Record]:
        """The records of the streams. NotKnown where only a decoder tells the format of pictures."""
        film, describer = self._film, StreamDescriber(self._space, self.options.max_value_bytes)
        for track in film.movie.tracks:
            keys.check(track, self._firsts[track.index], self._head)
            if film.fragments_later:  # FFmpeg, which alone writes such files, says wrongly where the samples are
                keys.check(track, list(islice(film.fragmented(track), 1)) * 2, self._head)
            yield describer.record(track, self._first_sample(track), film.rates.get(track.index))

    def _head(self, entry: Entry) -> bytes:
        return self._space.upto(entry[0], min(entry[2], keys.HEAD)) if entry[0] < self._space.end else b""

    def _check(self, missing: tuple[int, int] | None) -> None:
        """Raises TruncatedFile where the file ends before what it announces, CorruptFile where its movie is broken."""
        cut = self._cut
        if cut is None and missing is not None:
            size, place = self._space.end, self._told[missing[0]].index
            message = f"the file ends at byte {size}; a packet of stream {place} reaches to {missing[1]}"
            cut = TruncatedFile(message, offset=size)
        error = cut or self._film.broken
        if error is not None:
            raise error

    def _first_sample(self, track: Track) -> tuple[int, int] | None:
        """Where the first packet of a track lies, and its size; None where there is none in the file.

        NotKnown where the file ends inside a picture: how much of it a decoder needs depends on its bytes.
        """
        if track.index in self._film.movie.covers:
            return self._film.movie.covers[track.index]
        first = next(iter(self._firsts[track.index]), None)
        if first is None or first[0] >= self._space.end:
            return None
        if track.kind == "video" and first[0] + first[2] > self._space.end:
            raise NotKnown(f"a first picture of {track.codec} that is cut off")
        return first[0], first[2]

    @property
    def _told(self) -> list[Track]:
        """The tracks that give packets."""
        return [track for track in self._film.movie.tracks if not track.attached and not track.discarded]

    def _ends(self) -> tuple[int, list[bool], int]:
        return self._space.end, [track.codec == "h264" for track in self._told], self._passed

    def _released(self, packets: Iterable[Record]) -> Iterator[Record]:
        """Packets of some codecs come when FFmpeg's parser has seen the next one of their stream."""
        held = {track.index for track in self._told if track.codec in _HELD}
        waiting: dict[int, Record] = {}
        for record in packets:
            if record["stream_index"] not in held:
                yield record
                continue
            before = waiting.get(record["stream_index"])
            waiting[record["stream_index"]] = record
            if before is not None:
                yield before
        yield from (waiting[index] for index in sorted(waiting))

    def _streams(
        self, packets: Callable[[Iterable[Span], int, int, Track], Iterator[Dated[_P]]]
    ) -> list[Iterator[Dated[_P]]]:
        return [packets(self._spans(track), track.index, _scale(track), track) for track in self._told]

    def _spans(self, track: Track) -> Iterable[Span]:
        """The samples of a track with the times that FFmpeg gives them where the tables do not."""
        film, lasting, changed = self._film, self._lasting(track), False
        entries = film.entries(track)
        if track.codec in INTRA or track.kind in _TEXTS:
            entries, changed = ((*entry[:5], True, entry[6]) for entry in entries), True
        if track.codec == "eia_608":
            entries, changed = repacked(self._space, entries), True
        table = film.tables.get(track.index)
        if table is not None and table.least_offset + track.dts_shift < 0 and track.codec not in _REORDERED:
            entries, changed = map(_not_late, entries, repeat(track.dts_shift)), True
        if track.codec in _HELD or (
            track.codec == "mp3" and track.time_scale == track.sample_rate and not film.steady(track)
        ):
            entries = ((*entry[:3], lasting, *entry[4:]) for entry in entries)
        elif track.codec in LENGTHLESS:
            entries = _measured(entries, track.time_scale, self._queued.get(track.index, 0), lasting or 1)
        elif (table is not None and table.in_chunks) or (track.pauses and not track.offsets):
            entries = timed(entries, track.duration, lasting)
        elif track.pauses:
            entries = ((*entry[:3], entry[3] or lasting, *entry[4:]) for entry in entries)
        elif not changed:
            return film.all_spans(track)
        return [Span(entries, None, 0)]

    def _lasting(self, track: Track) -> int:
        """How long a packet lasts, in the track's time, as far as codec and frame rate tell."""
        if track.kind == "video":
            rate = self._film.rates.get(track.index)
            return int(track.time_scale / rate) if rate else 0
        frame = _FRAMES.get(track.codec or "", 0)
        if track.codec == "mp3" and track.sample_rate < 32000:
            frame //= 2
        elif track.codec == "aac" and not track.config:
            return 0  # for which no decoder opens
        return frame * track.time_scale // track.sample_rate if track.sample_rate else 0

    def _timings(self) -> tuple[int | None, int | None]:
        """Start and duration of the film in microseconds, and of the streams that do not say theirs."""
        tracks = self._film.movie.tracks
        for track in tracks:
            first = None if track.discarded else next(iter(self._firsts[track.index]), None)
            if track.start_time is None and first is not None and first[0] < self._space.end and not track.attached:
                track.start_time = first[1] + (first[4] + track.dts_shift if track.offsets else 0)
                if track.codec == "aac" and track.sample_rate:
                    track.start_time += rescale(track.padding, track.time_scale, track.sample_rate)
        start, duration = _together(tracks)
        for track in tracks:
            if track.start_time is None:
                if start is not None:
                    track.start_time = rescale(start, _scale(track), _SECOND)
                if duration is not None:
                    track.duration = rescale(duration, _scale(track), _SECOND)
        return _together(tracks)[0], duration  # once more, for what was rounded now


def _together(tracks: list[Track]) -> tuple[int | None, int | None]:
    """The earliest start, and the longest duration; texts count where they are within a second of the others."""
    starts: dict[bool, list[int]] = {True: [], False: []}
    ends: dict[bool, list[int]] = {True: [], False: []}
    lengths: dict[bool, list[int]] = {True: [], False: []}
    for track in tracks:
        scale, is_text = _scale(track), track.kind in _TEXTS
        length = None if track.duration == NO_TIME else rescale(track.duration, _SECOND, scale)
        if length is not None:
            lengths[is_text].append(length)
        if track.start_time is not None:
            begin = rescale(track.start_time, _SECOND, scale)
            starts[is_text].append(begin)
            if length is not None:
                ends[is_text].append(begin + length)
    start = _earliest(starts[False], starts[True])
    end = _latest(ends[False], ends[True])
    duration = _latest(lengths[False], lengths[True])
    if start is not None and end is not None and end >= start:
        duration = max(duration or 0, end - start)
    return start, duration if duration and duration > 0 else None


def _measured(entries: Iterator[Entry], time_scale: int, queued: int, duration: int) -> Iterator[Entry]:
    """Entries that last as long as FFmpeg says before, and after, it has measured the rate of frames."""
    first = 1 if time_scale < COARSE else 0
    for entry in islice(entries, queued):
        yield (*entry[:3], first, *entry[4:])
    for entry in entries:
        yield (*entry[:3], duration, *entry[4:])


def _not_late(entry: Entry, dts_shift: int) -> Entry:
    """Where a sample is shown before it is decoded FFmpeg takes the earlier time for both."""
    late = -min(0, entry[4] + dts_shift)
    return (entry[0], entry[1] - late, *entry[2:4], entry[4] + late, *entry[5:])


def _scale(track: Track) -> int:
    return 90000 if track.broken else track.time_scale


def _earliest(others: list[int], texts: list[int]) -> int | None:
    if not others or (texts and 0 < min(others) - min(texts) < _SECOND):
        return min(texts, default=None)
    return min(others)


def _latest(others: list[int], texts: list[int]) -> int | None:
    if not others or (texts and 0 < max(texts) - max(others) < _SECOND):
        return max(texts, default=None)
    return max(others)
