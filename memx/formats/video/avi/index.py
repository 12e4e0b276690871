"""Indexes of AVI files: `idx1` (AVI RIFF File Reference, "AVI Index Entries"), and OpenDML AVI 1.02, 4.0.

An index is never held: it is walked in windows, as often as it is asked for.
"""

import heapq
import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, chain
from operator import add, itemgetter
from typing import NamedTuple

from memx.formats.video.packets import NotKnown
from memx.sources import Source

_WINDOW = 1 << 14
_MOST_KEPT = 16
"""Windows that are kept."""
_MOST_PACKED = 1 << 20
"""Bytes of windows that are kept packed: those of two hours."""
_MOST_WINDOWS = 1 << 14
"""Windows of which it is remembered what streams they are of."""
_MASK = (1 << 32) - 1
ENTRY = 16
"""Bytes of an entry of `idx1`."""
_ENTRY = struct.Struct("<4sIII")
_SUPER = struct.Struct("<QII")
_FIELD = struct.Struct("<II")
IS_KEY = 0x10
_MOST_CHUNKS = 1 << 16
"""Standard indexes that a super index may lead to."""
MOST_SIZE = 0x3FFFFFFF
"""FFmpeg leaves larger chunks out of its index."""
_MOST_NAMES = 1 << 8
_MOST_SIZES = 1 << 10
"""Sizes of which is remembered what follows from them."""


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
        self.counters = counters
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
        self._end = at + ENTRY * min(count, max(0, (source.size or 0) - at) // ENTRY)
        self._kept: dict[int, bytes] = {}
        """The latest windows by their places, for streams that are walked beside each other."""
        self._present = array("H")
        """Which streams have entries in each window, as `windows` found: bits, by the last digit of their numbers."""
        self._packed: dict[int, bytes] = {}
        self._room = _MOST_PACKED
        self.keeps = False
        """Whether what `windows` gives is kept as far as there is room: streams that lie apart are walked by it."""
        self.shift = 0

    def first(self) -> int | None:
        """The offset in the first entry of a stream that is no palette, as it stands there."""
        for at in self._places():
            for kind, _, pos, _ in _ENTRY.iter_unpack(self._read(at)):
                if _number(kind) < len(self.counters) and kind[2:] != b"pc":
                    return int(pos)
        return None

    def windows(self) -> Iterator[bytes]:
        """All entries, many at a time."""
        self._present = array("H")
        for at in self._places():
            data = self._read(at)
            if len(self._present) < _MOST_WINDOWS:
                self._present.append(sum(1 << digit - 48 for digit in set(data[1::ENTRY]) if 48 <= digit < 58))
            yield data
            if self.keeps and self._room > 0:
                self._packed[at] = packed = _packed(data)
                self._room -= len(packed)

    def entries(self, stream: int | None = None) -> Iterator[Fields]:
        walk = Walk(self.counters, self.shift)
        for number, at in enumerate(self._places()):
            # without an entry of the stream there, it stays where it is
            known = stream is not None and number < len(self._present) and not self.repeats
            if not known or self._present[number] >> (stream or 0) % 10 & 1:
                yield from walk.entries(self._window(at), stream)
                self.repeats = self.repeats or walk.repeats

    def _places(self) -> range:
        return range(self._at, self._end, _WINDOW)

    def _read(self, at: int) -> bytes:
        data = self._source.read_at(at, min(_WINDOW, self._end - at))
        return data[: len(data) // ENTRY * ENTRY]

    def _window(self, at: int) -> bytes:
        """The window at `at`, which may be kept from before."""
        data = self._kept.pop(at, None)
        if data is None:
            packed = self._packed.get(at)
            data = self._read(at) if packed is None else _unpacked(packed)
        self._kept[at] = data
        if len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        return data


def _packed(window: bytes) -> bytes:
    """A window in an eighth of its bytes, or so: the columns of its entries, packed.

    Of their places it has what lies between each chunk and the end of the one before, which is mostly nothing.
    """
    words = array("I", window)
    places, steps = words[2::4], _steps(words[3::4])
    gaps = (
        place - before - step & _MASK for place, before, step in zip(places, chain((0,), places), steps, strict=False)
    )
    return zlib.compress(b"".join((words[0::4], words[1::4], array("I", gaps), words[3::4])), 1)


def _unpacked(packed: bytes) -> bytes:
    words = array("I", zlib.decompress(packed))
    count = len(words) // 4
    columns = [words[at : at + count] for at in range(0, len(words), count)]
    words[0::4], words[1::4], words[3::4] = columns[0], columns[1], columns[3]
    words[2::4] = array("I", (place & _MASK for place in accumulate(map(add, columns[2], _steps(columns[3])))))
    return words.tobytes()


def _steps(sizes: "array[int]") -> Iterator[int]:
    """How far each of the chunks lies behind the one before, where they follow each other; the first nowhere."""
    return chain((0,), (size + (size & 1) + 8 for size in sizes))


class Walk:
    """A walk through windows of an old index: how far each of its streams has come."""

    def __init__(self, counters: list[Counter], shift: int) -> None:
        self.shift = shift
        self.times = [counter.start for counter in counters]
        self.last = -1
        """Where the latest chunk lies, as it stands in the index."""
        self.repeats = False
        self._numbers = _Numbers(len(counters))
        self._lengths = [None if one.one_by_one else lru_cache(_MOST_SIZES)(one.length) for one in counters]

    def entries(self, window: bytes, stream: int | None = None) -> Iterator[Fields]:
        """The entries in a window, of one stream or of all."""
        times, lengths, numbers, last, shift = self.times, self._lengths, self._numbers, self.last, self.shift
        for kind, flags, pos, size in _ENTRY.iter_unpack(window):
            number = numbers[kind]
            if number is None:
                continue
            if pos == last:
                self.repeats = True
            elif 0 < size <= MOST_SIZE and (stream is None or number == stream):
                yield number, pos + shift, size, flags & IS_KEY != 0, times[number]
            length = lengths[number]
            times[number] += 1 if length is None else length(size)
            self.last = last = pos


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
        counter, time, last = self.counters[stream], self.counters[stream].start, -1
        for pos, size, key in self._chunks(stream):
            if pos == last:
                self.repeats = True
            elif 0 < size <= MOST_SIZE:
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
