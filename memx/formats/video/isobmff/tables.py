"""Sample tables, walked in windows: nothing is ever expanded whole.

ISO/IEC 14496-12, 8.6.1 (times), 8.6.2 (sync samples), 8.7.3 to 8.7.5 (sizes, chunks, offsets). Where tables disagree
samples are as FFmpeg has them.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import chain, islice, repeat, starmap

from memx.errors import CorruptFile
from memx.formats.base import BelongsTo
from memx.formats.video.isobmff.model import Table, Track

MOST_DELTA = (1 << 32) - 1 - 480_000
"""Longer durations of a sample are meant as negative ones (FFmpeg's `max_stts_delta`)."""
_LARGEST_SAMPLE = 0x3FFFFFFF
_OVERLAP = 64
"""So many times over may samples without a table of sizes cover the file."""
_AUDIO_PACKET = 1024
"""So many samples of uncompressed sound make a packet."""


Sample = tuple[int, int, int, int, int, bool]
"""What the tables say of a sample: where it lies, when it is decoded, its size, how long it lasts, by what it is shown
later than it is decoded, and whether it is a key frame."""


def pairs(table: Table | None) -> Iterator[tuple[int, int]]:
    """Entries of two numbers."""
    if table is not None:
        for window in table.space.words(table.at, 2 * table.count):
            yield from zip(window[::2], window[1::2], strict=False)


def durations(table: Table | None) -> Iterator[tuple[int, int]]:
    """Runs of `stts`: how many samples, and how long each takes.

    Durations too long to be meant are made 1, and the following ones shorter until the time is right again.
    """
    current = corrected = 0
    for count, said in pairs(table):
        duration = said
        if said > MOST_DELTA:
            corrected += (said - (1 << 32)) * count
            duration = 1
        else:
            corrected += said * count
        current += duration * count
        if current > corrected:
            drift = (current - corrected) // max(count, 1)
            correction = drift if duration > drift else duration - 1
            if correction > 0:
                current -= correction * count
                duration -= correction
        yield count, duration


def offsets(table: Table | None) -> Iterator[tuple[int, int]]:
    """Runs of `ctts`: how many samples, and by what they are shown later; runs of less than one sample are none."""
    for count, offset in pairs(table):
        if 0 < count < 1 << 31:
            yield count, offset - (1 << 32) if offset >= 1 << 31 else offset


def sizes(track: Track, start: int = 0) -> Iterator[int]:
    """The size of each sample, from the sample `start` on."""
    table, fixed = track.sizes, track.fixed_size
    if table is None or fixed:
        if 0 < fixed < track.sample_size:
            fixed = track.sample_size
        return repeat(fixed, max(0, track.sample_count - start))
    bits, count = track.size_bits, table.count
    if bits == 4:
        nibbles = chain.from_iterable(table.space.words(table.at + start // 2, (count + 1) // 2 - start // 2, 1))
        return islice(
            chain.from_iterable((byte >> 4, byte & 15) for byte in nibbles), start % 2, max(0, count - start // 2 * 2)
        )
    width = bits // 8
    return chain.from_iterable(table.space.words(table.at + start * width, max(0, count - start), width))


def chunk_runs(track: Track) -> Iterator[tuple[int, int]]:
    """Runs of `stsc`: how many chunks have how many samples each. Raises BelongsTo("video") for mixed descriptions."""
    table, chunks = track.stsc, track.stco.count if track.stco is not None else 0
    if table is None:
        return
    before: tuple[int, int] | None = None
    for first, count, description in triples(table):
        if track.entry is not None and description != track.entry + 1:
            raise BelongsTo("video", "samples of several descriptions in a track")
        if before is not None:
            if first <= before[0]:
                raise CorruptFile(f"the run of chunks from {first} follows one from {before[0]}", offset=table.at)
            yield min(first, chunks + 1) - before[0], before[1]
        if count < 1 or description < 1:
            raise CorruptFile("a run of chunks has no samples, or no description", offset=table.at)
        if first > chunks:
            raise CorruptFile(f"there is no chunk {first}: the file has {chunks} of this track", offset=table.at)
        before = (first if before is not None else 1, count)
    if before is not None:
        yield chunks + 1 - before[0], before[1]


def triples(table: Table) -> Iterator[tuple[int, int, int]]:
    """Entries of three numbers."""
    for window in table.space.words(table.at, 3 * table.count):
        yield from zip(window[::3], window[1::3], window[2::3], strict=False)


def chunk_offsets(track: Track, start: int = 0) -> Iterator[int]:
    """Where each chunk lies, from the chunk `start` on."""
    table, width = track.stco, track.offset_size
    if table is None:
        return iter(())
    words = table.space.words(table.at + start * width, max(0, table.count - start), width)
    found = chain.from_iterable(words)
    return found if width == 4 else (offset if offset < 1 << 63 else 0 for offset in found)


def sync_flags(track: Track) -> Iterator[bool]:
    """Whether each sample is a key frame, for ever."""
    if track.stss is None and track.stps is None and track.rap is None:
        absent = track.sync_absent and track.kind != "audio"
        return chain((True,), repeat(False)) if absent else repeat(True)
    base = 1 if _first(track.stss) > 0 or _first(track.stps) > 0 else 0
    flags = repeat(True) if track.stss is None and not track.sync_absent else _listed(track.stss, base)
    if track.stps is not None:
        flags = map(_either, flags, _listed(track.stps, base))
    if track.rap is not None:
        grouped = chain.from_iterable(repeat(index > 0, count) for count, index in pairs(track.rap))
        flags = map(_either, flags, chain(grouped, repeat(False)))
    return flags


def _either(one: bool, other: bool) -> bool:
    return one or other


def _first(table: Table | None) -> int:
    return table.space.number(table.at, 4) if table is not None else 0


def _listed(table: Table | None, base: int) -> Iterator[bool]:
    """Flags by a list of sample numbers; where it goes backwards it ends."""

    def runs() -> Iterator[Iterable[bool]]:
        at = 0
        if table is not None:
            for number in chain.from_iterable(table.space.words(table.at, table.count)):
                if number - base < at:
                    break
                yield repeat(False, number - base - at)
                yield (True,)
                at = number - base + 1
        yield repeat(False)

    return chain.from_iterable(runs())


class SampleTable:
    """The samples of a track that stand in its movie box, from any of them on."""

    def __init__(self, track: Track, file_end: int) -> None:
        self._file_end = file_end
        self.track = track
        self.has_offsets = False
        """Whether samples are shown at other times than they are decoded."""
        self.count = 0
        """Samples, packets of uncompressed sound counted as one."""
        self.broken = False
        """Whether the chunks hold more samples than there are: FFmpeg then ignores the edit list."""
        self.in_chunks = False
        """Whether packets are cut from chunks of uncompressed sound."""
        self.least_offset = self.most_offset = self.most_duration = 0
        self._measure()

    def __iter__(self) -> Iterator[Sample]:
        return self.samples(0)

    def samples(self, start: int) -> Iterator[Sample]:
        """The samples from number `start` on."""
        if self.in_chunks:
            return islice(self._packets_of_chunks(), start, None)
        return self._samples(start)

    def _samples(self, start: int) -> Iterator[Sample]:
        track = self.track
        dts = -track.dts_shift
        if start:
            dts += sum(islice(self._durations(), start))
        chunks, inside = self._chunks(start)
        pos = left = 0
        first = True
        rows = zip(
            islice(sizes(track, start), max(0, self.count - start)),
            islice(self._durations(), start, None),
            islice(self._offsets(), start, None),
            islice(sync_flags(track), start, None),
            strict=False,
        )
        for size, duration, offset, key in rows:
            if not left:
                found = next(chunks, None)
                if found is None:
                    return
                pos, left = found
                if first and inside:
                    pos += sum(islice(sizes(track, start - inside), inside))
                    left -= inside
                first = False
            if size > _LARGEST_SAMPLE:
                return
            yield pos, dts, size, duration, offset, key
            pos += size
            dts += duration
            left -= 1

    def _chunks(self, start: int) -> tuple[Iterator[tuple[int, int]], int]:
        """Offset and samples of each chunk from the one that holds the sample `start`, and what of it comes before."""
        number, runs = 0, chunk_runs(self.track)
        for chunks, each in runs:
            if start < chunks * each:
                skipped = start // each
                counts = chain(repeat(each, chunks - skipped), chain.from_iterable(repeat(e, c) for c, e in runs))
                return zip(chunk_offsets(self.track, number + skipped), counts, strict=False), start - skipped * each
            start -= chunks * each
            number += chunks
        return iter(()), 0

    def _durations(self) -> Iterator[int]:
        """The duration of each sample, for ever: behind the end of the table the last one, or none, lasts."""

        def runs() -> Iterator[Iterator[int]]:
            last = 0
            for count, duration in durations(self.track.stts):
                yield repeat(duration, count)
                last = duration
            yield repeat(0 if self.has_offsets else last)

        return chain.from_iterable(runs())

    def _offsets(self) -> Iterator[int]:
        if not self.has_offsets:
            return repeat(0)
        runs = ((offset, count) for count, offset in offsets(self.track.ctts))
        return chain(chain.from_iterable(starmap(repeat, runs)), repeat(0))

    def _packets_of_chunks(self) -> Iterator[Sample]:
        """Uncompressed sound, and codecs like it, where each of its samples counts: packets of up to 1024 of them.

        QuickTime File Format, "Sound Sample Descriptions".
        """
        track, dts = self.track, 0
        grain, unit = track.samples_per_frame, track.bytes_per_frame
        counts = chain.from_iterable(repeat(each, chunks) for chunks, each in chunk_runs(track))
        room = self.count
        for offset, each in zip(chunk_offsets(track), counts, strict=False):
            pos, left = offset, each
            while left > 0 and room > 0:
                if grain >= 160:
                    samples, size = grain, unit
                elif grain > 1:
                    samples = min(_AUDIO_PACKET // grain * grain, left)
                    size = samples // grain * unit
                else:
                    samples = min(_AUDIO_PACKET, left)
                    size = samples * track.sample_size
                if size > _LARGEST_SAMPLE:
                    return
                yield pos, dts, size, 0, 0, True
                pos += size
                dts += samples
                left -= samples
                room -= samples

    def durations(self) -> Iterator[int]:
        """The duration of each sample."""
        return islice(self._durations(), self.count)

    def decoded_before(self, time: int) -> int:
        """How many samples are decoded before `time`, as far as the table of durations goes."""
        dts, number = -self.track.dts_shift, 0
        for count, duration in durations(self.track.stts):
            if dts >= time:
                break
            if dts + count * duration >= time:
                return number + -(-(time - dts) // duration)
            number += count
            dts += count * duration
        return number

    def _measure(self) -> None:
        """Sums up the tables once, and finds what all samples depend on."""
        track = self.track
        self.has_offsets = track.offsets = any(True for _ in islice(offsets(track.ctts), 1))
        self._measure_offsets()
        self.most_duration = max((duration for _, duration in durations(track.stts)), default=0)
        single = track.stts is not None and track.stts.count == 1
        self.in_chunks = track.kind == "audio" and single and self.most_duration == 1
        if track.stco is None:
            return
        capacity = sum(chunks * each for chunks, each in chunk_runs(track))
        end = self._file_end
        if self.in_chunks:
            each = (
                track.bytes_per_frame / (track.samples_per_frame or 1)
                if track.samples_per_frame > 1
                else track.sample_size
            )
            self.count = min(capacity, int(_OVERLAP * end / each)) if each else 0
            return
        self.broken = capacity > track.sample_count
        self.count = min(capacity, track.sample_count)
        if track.sizes is None and track.fixed_size:
            self.count = min(self.count, _OVERLAP * end // track.fixed_size + 1)

    def _measure_offsets(self) -> None:
        """The extremes of `ctts`, and by how much decoding times move so that none is behind its composition time.

        FFmpeg leaves the last two runs out of the latter.
        """
        track, shift = self.track, 0
        table = track.ctts
        if table is None:
            return
        least = most = 0
        left = 2 * max(0, table.count - 2)
        for window in table.space.words(table.at, 2 * table.count):
            values = array("i", window.tobytes())
            least, most = min(least, *values[1::2]), max(most, *values[1::2])
            if least < -shift:
                counted = zip(values[:left:2], values[1:left:2], strict=True)
                shift = max([shift, *(-offset for count, offset in counted if count > 0)])
            left = max(0, left - len(values))
        self.least_offset, self.most_offset = least, most
        track.dts_shift = min(shift, (1 << 31) - 1)
