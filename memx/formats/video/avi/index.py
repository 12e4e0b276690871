"""Indexes of AVI files: `idx1` (AVI RIFF File Reference, "AVI Index Entries"), and OpenDML AVI 1.02, 4.0.

An index is never held: it is walked in windows, as often as it is asked for.
"""

import heapq
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from memx.formats.video.packets import NotKnown
from memx.sources import Source

_WINDOW = 1 << 14
_ENTRY = struct.Struct("<4sIII")
_SUPER = struct.Struct("<QII")
_FIELD = struct.Struct("<II")
_IS_KEY = 0x10
_MOST_CHUNKS = 1 << 16
"""Standard indexes that a super index may lead to."""
_MOST_SIZE = 0x3FFFFFFF
"""FFmpeg leaves larger chunks out of its index."""
_TWO_SECONDS = 2
_MOST_NAMES = 1 << 8
_MOST_SIZES = 1 << 10
"""Sizes of which is remembered what follows from them."""
_MOST_BITS = 1 << 16
"""Bytes of bits that say which pictures are key frames: those of five hours."""
_MOST_BUFFER = 8 * 8 << 20
"""Bits that streams may lie apart, by their bit rates."""


Fields = tuple[int, int, int, bool, int]
"""Those of an `Entry`: a plain tuple, since there may be hundreds of thousands."""


class Entry(NamedTuple):
    """A chunk that an index knows: `time` counts what the stream counts (see `Counter`)."""

    stream: int
    pos: int
    size: int
    key: bool
    time: int


@dataclass(slots=True)
class Counter:
    """How a stream counts its chunks: by their bytes, by blocks of sound, or one by one."""

    sample_size: int
    block: int
    start: int = 0

    @property
    def one_by_one(self) -> bool:
        """Whether every chunk leads as far."""
        return not self.sample_size and not self.block

    def length(self, size: int) -> int:
        """How far a chunk of `size` bytes leads."""
        if self.sample_size:
            return size
        return -(-size // self.block) if self.block else 1


class Index:
    """An index of the streams, each with its `counters`."""

    def __init__(self, source: Source, counters: list[Counter]) -> None:
        self._source = source
        self._counters = counters
        self.repeats = False
        """Whether a chunk is named twice in a row: then they are not read one behind the other."""

    def entries(self, stream: int | None = None) -> Iterator[Fields]:
        """The entries of one stream, or of all, in the order of the file."""
        raise NotImplementedError


class OldIndex(Index):
    """`idx1`, whose entries begin at `at`; `shift` is what is to be added to their offsets."""

    def __init__(self, source: Source, counters: list[Counter], at: int, count: int) -> None:
        super().__init__(source, counters)
        self._at = at
        self._count = min(count, ((source.size or 0) - at) // _ENTRY.size)
        self.shift = 0

    def first(self) -> int | None:
        """The offset in the first entry of a stream that is no palette, as it stands there."""
        for kind, _, pos, _ in self._raw():
            if _number(kind) < len(self._counters) and kind[2:] != b"pc":
                return pos
        return None

    def entries(self, stream: int | None = None) -> Iterator[Fields]:
        counters, shift, last, numbers = self._counters, self.shift, -1, _Numbers(len(self._counters))
        times = [counter.start for counter in counters]
        lengths = [None if counter.one_by_one else lru_cache(_MOST_SIZES)(counter.length) for counter in counters]
        for kind, flags, pos, size in self._raw():
            number = numbers[kind]
            if number is None:
                continue
            if pos == last:
                self.repeats = True
            elif 0 < size <= _MOST_SIZE and (stream is None or number == stream):
                yield number, pos + shift, size, flags & _IS_KEY != 0, times[number]
            length = lengths[number]
            times[number] += 1 if length is None else length(size)
            last = pos

    def _raw(self) -> Iterator[tuple[bytes, int, int, int]]:
        at, left = self._at, self._count
        while left > 0:
            data = self._source.read_at(at, min(left, _WINDOW // _ENTRY.size) * _ENTRY.size)
            whole = len(data) // _ENTRY.size * _ENTRY.size
            if not whole:
                return
            yield from _ENTRY.iter_unpack(data[:whole])
            at, left = at + whole, left - whole // _ENTRY.size


class OpenIndex(Index):
    """Super indexes, whose bodies begin at `places`, by stream; or standard indexes in their stead."""

    def __init__(self, source: Source, counters: list[Counter], places: dict[int, int]) -> None:
        super().__init__(source, counters)
        self._places = places

    def entries(self, stream: int | None = None) -> Iterator[Fields]:
        if stream is not None:
            return self._of(stream)
        return heapq.merge(*map(self._of, self._places), key=itemgetter(1))

    def _of(self, stream: int) -> Iterator[Fields]:
        if stream not in self._places:
            return
        counter, time, last = self._counters[stream], self._counters[stream].start, -1
        for pos, size, key in self._chunks(stream):
            if pos == last:
                self.repeats = True
            elif 0 < size <= _MOST_SIZE:
                yield stream, pos, size, key, time
            time += counter.length(size)
            last = pos

    def _chunks(self, stream: int) -> Iterator[tuple[int, int, bool]]:
        """Offset, size and key of each entry."""
        at = self._places[stream]
        width, kind, count = self._head(at, stream)
        if kind == 1:
            yield from self._standard(at, stream)
            return
        if width != 4:
            raise NotKnown("a super index of an unusual kind")
        for number in range(min(count, _MOST_CHUNKS)):
            data = self._source.read_at(at + 24 + _SUPER.size * number, _SUPER.size)
            if len(data) < _SUPER.size:
                return
            offset, _, _ = _SUPER.unpack(data)
            if self._head(offset + 8, stream)[1] != 1:
                raise NotKnown("super indexes in super indexes")
            yield from self._standard(offset + 8, stream)

    def _head(self, at: int, stream: int) -> tuple[int, int, int]:
        """Words an entry, kind and number of entries of the index whose body is at `at`."""
        data = self._source.read_at(at, 24)
        if len(data) < 24:
            raise NotKnown("an index beyond the end of the file")
        width, below, kind, count, name = struct.unpack("<HBBI4s", data[:12])
        if below or kind > 1 or count >> 31 or _number(name) != stream or (kind and width != 2):
            raise NotKnown("an index of an unusual kind")
        return width, kind, count

    def _standard(self, at: int, stream: int) -> Iterator[tuple[int, int, bool]]:
        _, _, count = self._head(at, stream)
        base = int.from_bytes(self._source.read_at(at + 12, 8), "little")
        if base >= (self._source.size or 0):
            raise NotKnown("an index of chunks beyond the end of the file")
        at += 24
        while count > 0:
            data = self._source.read_at(at, min(count, _WINDOW // _FIELD.size) * _FIELD.size)
            whole = len(data) // _FIELD.size * _FIELD.size
            if not whole:
                raise NotKnown("an index beyond the end of the file")
            for offset, size in _FIELD.iter_unpack(data[:whole]):
                pos = base + offset - 8
                if pos == base - 8:
                    self.repeats = True
                yield pos, size & 0x7FFFFFFF, not size >> 31
            at, count = at + whole, count - whole // _FIELD.size


class _Numbers(dict[bytes, int | None]):
    """The streams that chunks in an old index are of, by their names; None for none of `count`, and for palettes."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, name: bytes) -> int | None:
        number: int | None = (name[0] - 48) * 10 + name[1] - 48
        if number not in range(self._count) or name[2:] == b"pc":
            number = None
        if len(self) < _MOST_NAMES:
            self[name] = number
        return number


def _number(name: bytes) -> int:
    """The stream that a chunk's name begins with; a large number where it names none."""
    return (name[0] - 48) * 10 + name[1] - 48 if name[:2].isdigit() else 1 << 16


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
    found = Survey([Summary() for _ in ticks], bits={stream: bytearray() for stream in pictures})
    latest, newest, reached, bits, streams = [-1.0] * len(ticks), -1.0, -1, found.bits, found.streams
    near = min(_TWO_SECONDS, _MOST_BUFFER / max(1, *bit_rates, 1)) / 2
    for entry in index.entries():
        number, pos, size, key, begin = entry
        if pos < reached:
            raise NotKnown("an index in another order than its chunks")
        reached, one, time = pos, streams[number], begin * ticks[number]
        if time >= newest:
            newest = time
        elif newest - time > near and not found.apart:
            for other, before in enumerate(latest):
                apart = before - time
                if apart > 0 and (apart > _TWO_SECONDS or apart * bit_rates[other] > _MOST_BUFFER):
                    found.apart = True
        latest[number] = time
        if one.count < 2:
            one.first, one.second = (one.first or Entry(*entry)), (Entry(*entry) if one.first else None)
        one.latest = entry
        one.count += 1
        one.size += size
        if key:
            found.keys = True
            if number in bits:
                _keep(bits[number], begin)
    found.apart = found.apart or index.repeats
    return found


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
