"""What an index says of all streams: how much there is of each, whether they are interleaved, which frames are key."""

import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress
from operator import lt
from typing import NamedTuple

from memx.formats.video.avi.index import ENTRY, IS_KEY, MOST_SIZE, Counter, Entry, Fields, Index, OldIndex, Walk
from memx.formats.video.packets import NotKnown

_TWO_SECONDS = 2
_MOST_BITS = 1 << 16
"""Bytes of bits that say which pictures are key frames: those of five hours."""
_MOST_BUFFER = 8 * 8 << 20
"""Bits that streams may lie apart, by their bit rates."""
_TOGETHER = 32
"""So many entries are held against each other at once."""


@dataclass(slots=True)
class Summary:
    """What an index says of a stream."""

    count: int = 0
    size: int = 0
    """Bytes of all chunks."""
    first: Entry | None = None
    second: Entry | None = None
    latest: Fields | None = None

    @property
    def last(self) -> Entry | None:
        return None if self.latest is None else Entry(*self.latest)


@dataclass(slots=True)
class Survey:
    """What an index says of all streams; `apart` is whether they are not interleaved."""

    streams: list[Summary] = field(default_factory=list)
    keys: bool = False
    """Whether there is any key frame."""
    apart: bool = False
    bits: dict[int, bytearray] = field(default_factory=dict)
    """For streams that are asked for, a bit for each unit of time: whether a key frame begins there."""


def survey(index: Index, ticks: list[float], bit_rates: list[int], pictures: list[int]) -> Survey:
    """One walk through an index. `ticks` are the seconds of a unit of each stream, as its entries count.

    The key frames of the streams in `pictures` are kept, as far as they are not too many. NotKnown where entries
    do not stand in the order of the file.
    """
    surveyor = _Surveyor(index, ticks, bit_rates, pictures)
    if isinstance(index, OldIndex):
        walk = Walk(index.counters, index.shift)
        for window in index.windows():
            if not surveyor.take_window(window, walk):
                for entry in walk.entries(window):
                    surveyor.take(entry)
            index.keeps = surveyor.found.apart or walk.repeats
        index.repeats = walk.repeats
    else:
        for entry in index.entries():
            surveyor.take(entry)
    found = surveyor.found
    found.apart = found.apart or index.repeats
    return found


class _Surveyor:
    """Sums up entries, one by one, or where they are as most are a window at once."""

    def __init__(self, index: Index, ticks: list[float], bit_rates: list[int], pictures: list[int]) -> None:
        self.found = Survey([Summary() for _ in ticks], bits={stream: bytearray() for stream in pictures})
        self._counters = index.counters
        self._ticks = ticks
        self._bit_rates = bit_rates
        self._latest, self._newest, self._reached = [-1.0] * len(ticks), -1.0, -1
        self._near = min(_TWO_SECONDS, _MOST_BUFFER / max(1, *bit_rates, 1)) / 2
        """Seconds that streams may lie apart without being looked at more closely."""

    def take(self, entry: Fields) -> None:
        """One entry."""
        number, pos, size, key, begin = entry
        if pos < self._reached:
            raise NotKnown("an index in another order than its chunks")
        found = self.found
        self._reached, one, time = pos, found.streams[number], begin * self._ticks[number]
        if time >= self._newest:
            self._newest = time
        elif self._newest - time > self._near and not found.apart:
            for other, before in enumerate(self._latest):
                apart = before - time
                if apart > 0 and (apart > _TWO_SECONDS or apart * self._bit_rates[other] > _MOST_BUFFER):
                    found.apart = True
        self._latest[number] = time
        if one.count < 2:
            one.first, one.second = (one.first or Entry(*entry)), (Entry(*entry) if one.first else None)
        one.latest = entry
        one.count += 1
        one.size += size
        if key:
            found.keys = True
            if number in found.bits:
                _keep(found.bits[number], begin)

    def take_window(self, window: bytes, walk: Walk) -> bool:
        """The entries of an old index in `window`, if they are as most are; else nothing has happened, and False."""
        names, digits = window[::ENTRY], window[1::ENTRY]
        own = {number for number in range(min(len(self._ticks), 10)) if 48 + number in digits}
        if (
            names.strip(b"0")
            or digits.translate(None, bytes(48 + number for number in own))
            or b"p" in window[2::ENTRY]
        ):
            return False
        words = array("I", window)
        if sys.byteorder == "big":
            words.byteswap()
        places, sizes = words[2::4].tolist(), words[3::4].tolist()
        if any(self.found.streams[number].count < 2 for number in own) or max(sizes) > MOST_SIZE:
            return False
        lasts = {number: digits.rfind(48 + number) for number in own}
        if not all(sizes[at] for at in lasts.values()) or (not all(sizes) and (self.found.bits or not self.found.keys)):
            return False
        if not max(walk.last, self._reached - walk.shift) < places[0] or not all(map(lt, places, places[1:])):
            return False
        runs = [_run(number, digits, sizes, self._counters[number], walk.times[number]) for number in own]
        newest = self._newest_of(digits, runs)
        if newest is None:
            return False
        self._newest, self._reached, walk.last = newest, places[-1] + walk.shift, places[-1]
        flags = words[1::4]
        for run in runs:
            at = lasts[run.stream]
            self._add(run, (run.stream, self._reached - places[-1] + places[at], sizes[at], flags[at] & IS_KEY != 0))
            self._add_keys(run, compress(flags, map((48 + run.stream).__eq__, digits)))
            walk.times[run.stream] = run.begins[-1]
        return True

    def _newest_of(self, digits: bytes, runs: "list[_Run]") -> float | None:
        """The latest time up to the end of `runs`; None where they may lie apart."""
        newest, done = self._newest, [0] * len(runs)
        for at in range(0, len(digits), _TOGETHER):
            earliest = newest
            for number, run in enumerate(runs):
                count, tick = digits.count(48 + run.stream, at, at + _TOGETHER), self._ticks[run.stream]
                if count:
                    earliest = min(earliest, run.begins[done[number]] * tick)
                    done[number] += count
                    newest = max(newest, run.begins[done[number] - 1] * tick)
            if newest - earliest > self._near and not self.found.apart:
                return None
        return newest

    def _add(self, run: "_Run", last: tuple[int, int, int, bool]) -> None:
        one, time = self.found.streams[run.stream], run.begins[-2]
        one.latest = *last, time
        one.count += run.filled
        one.size += run.size
        self._latest[run.stream] = time * self._ticks[run.stream]

    def _add_keys(self, run: "_Run", flags: Iterator[int]) -> None:
        bits = self.found.bits.get(run.stream)
        if bits is not None:
            for time, flag in zip(run.begins, flags, strict=False):
                if flag & IS_KEY:
                    self.found.keys = True
                    _keep(bits, time)
        elif not self.found.keys:
            self.found.keys = any(flag & IS_KEY for flag in flags)


class _Run(NamedTuple):
    """The entries of one stream in a window: when each begins, and one behind them would.

    How many are not empty, and their bytes.
    """

    stream: int
    begins: Sequence[int]
    filled: int
    size: int


def _run(stream: int, digits: bytes, sizes: list[int], counter: Counter, start: int) -> _Run:
    own = list(compress(sizes, map((48 + stream).__eq__, digits)))
    empty, most = own.count(0), counter.block
    if counter.one_by_one or (not counter.sample_size and not empty and max(own) <= most):
        begins: Sequence[int] = range(start, start + len(own) + 1)
    else:
        begins = list(accumulate(map(counter.length, own), initial=start))
    return _Run(stream, begins, len(own) - empty, sum(own))


def _keep(bits: bytearray, time: int) -> None:
    place = time >> 3
    if place < _MOST_BITS:
        if place >= len(bits):
            bits.extend(bytes(place - len(bits) + 1))
        bits[place] |= 1 << (time & 7)


class KeyFrames:
    """Whether the chunks of a stream of pictures are key frames, asked in their order."""

    def __init__(self, index: Index | None, stream: int, found: Survey) -> None:
        summary = found.streams[stream] if found.streams else Summary()
        self._last = summary.last.time if summary.last is not None else -1
        self._first = summary.first.time if summary.first is not None and not found.keys else -1
        self._bits = found.bits.get(stream, bytearray())
        self._entries: Iterator[Fields] | None = None
        if index is not None and self._last >> 3 >= _MOST_BITS:
            self._entries = index.entries(stream)
            self._entry = next(self._entries, None)

    def look(self, time: int) -> bool:
        """Whether the chunk that begins at `time` is a key frame."""
        if time > self._last or time == self._first:
            return True  # FFmpeg adds what is missing, and takes it for a key frame
        if self._entries is not None:
            while self._entry is not None and self._entry[4] < time:
                self._entry = next(self._entries, None)
            return self._entry is not None and self._entry[4] == time and self._entry[3]
        place = time >> 3
        return place < len(self._bits) and bool(self._bits[place] >> (time & 7) & 1)
