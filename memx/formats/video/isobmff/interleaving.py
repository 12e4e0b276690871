"""The packets of all streams in the order in which FFmpeg's demuxer reads them."""

import json
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from memx.errors import MemxError
from memx.formats.video.gathering import LINES
from memx.records import Record

_SECOND = 1_000_000

_P = TypeVar("_P", Record, str)
Dated = tuple[int, int, int, _P]
"""Where a packet lies, its decoding time in microseconds, its size, and what is said of it: a record, or its line."""


class Interleaved(Generic[_P]):
    """The packets of `streams`: the one that lies first in the file, unless another is due a second earlier.

    Behind one that begins behind the end of the file, at `file_end`, FFmpeg reads no more, unless that happens while
    it looks at packets: so many are `passed` over. Of packets that the file cuts off `parsed` streams make no key
    frames.
    """

    def __init__(self, streams: list[Iterator[Dated[_P]]], file_end: int, parsed: list[bool], passed: int = 0) -> None:
        self.missing: tuple[int, int] | None = None
        """Where a packet reaches behind the end of the file, the place of its stream and where it ends."""
        self._file_end = file_end
        self._parsed = parsed
        self._passed = passed
        self._heads: list[Dated[_P]] = []
        """The next packet of each stream that has more."""
        self._places: list[int] = []
        self._steps: list[Callable[[], Dated[_P]]] = []
        for place, stream in enumerate(streams):
            for head in stream:
                self._heads.append(head)
                self._places.append(place)
                self._steps.append(stream.__next__)
                break

    def add(self, packets: list[_P]) -> bool:
        """Adds the next packets, some hundreds; whether there may be more: the hot loop."""
        heads, steps, file_end, append = self._heads, self._steps, self._file_end, packets.append
        rest = range(1, len(heads))
        for _ in range(LINES if heads else 0):
            number, first = 0, heads[0]
            for other in rest:
                head = heads[other]
                near = -_SECOND <= head[1] - first[1] <= _SECOND
                if head[0] < first[0] if near else head[1] < first[1]:
                    number, first = other, head
            pos, _, size, packet = first
            if pos + size <= file_end:
                append(packet)
            elif not self._add_cut(number, packets):
                return False
            try:
                heads[number] = steps[number]()
            except StopIteration:
                del heads[number], self._places[number], steps[number]
                rest = range(1, len(heads))
                if not heads:
                    break
        return bool(heads)

    def __iter__(self) -> Iterator[_P]:
        """The packets that are left, one by one."""
        more = True
        while more:
            some: list[_P] = []
            try:
                more = self.add(some)
            except MemxError:
                yield from some  # what was read before stands
                raise
            yield from some

    def _add_cut(self, number: int, packets: list[_P]) -> bool:
        """Adds what there is of a packet that reaches behind the end; whether FFmpeg goes on behind it."""
        (pos, _, size, packet), place = self._heads[number], self._places[number]
        self.missing = place, pos + size
        if pos < self._file_end:
            packets.append(_cut(packet, self._file_end - pos, self._parsed[place]))
            return True
        self._passed -= 1
        return self._passed >= 0


def _cut(packet: _P, size: int, parsed: bool) -> _P:
    """A packet of which the file holds only `size` bytes."""
    record: Record = json.loads(packet) if isinstance(packet, str) else packet
    discard = record.pop("discard", None)
    record.update(size=size, keyframe=record["keyframe"] and not parsed, corrupt=True)
    if discard:
        record["discard"] = True
    return json.dumps(record, separators=(",", ":")) + "\n" if isinstance(packet, str) else record
