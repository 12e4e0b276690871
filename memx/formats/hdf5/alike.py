"""Data sets that are alike: the headers of most data sets of a file differ from another in a few bytes alone.

What was read of one of them, message by message (IV.A.2), holds for all whose headers have the same bytes but for the
place of the data, the values of attributes, and what is of no account: times, unused space. Such a header is cut, once
per block, into bytes that have to be the same and bytes that vary; whoever reads the file then asks here first, and
reads a header as a whole where the answer is no. So nothing is told here but of what is sound.
"""

import struct
from collections.abc import Callable, Iterator
from itertools import count
from operator import itemgetter
from typing import Any, NamedTuple

from memx.errors import CorruptFile, MemxError
from memx.formats.hdf5.attributes import SLOTS_MOST, AttributeReader, Slot, name_of
from memx.formats.hdf5.headers import ATTRIBUTE, CONTINUATION, ObjectHeader, Start, messages_in, start_of, whole
from memx.formats.hdf5.layouts import CHUNKED, COMPACT, CONTIGUOUS, Layout, parse_layout, storage_size
from memx.formats.hdf5.messages import EXTERNAL_FILES, LAYOUT
from memx.formats.hdf5.objects import FAULTS, HDF5File
from memx.formats.hdf5.shared import SHARED
from memx.records import Record

_OF_NO_ACCOUNT = frozenset((0x00, 0x0E, 0x12))
"""NIL (IV.A.2.a), and when an object was modified (IV.A.2.o, IV.A.2.s)."""
_LONGEST = 2048
"""Bytes of the longest block of a header that is taken for like others."""
_BLOCKS_MOST, _WAYS_MOST, _KINDS_MOST = 16, 8, 256
"""So many blocks of a header; so many ways to cut blocks of the same length; so many kinds of data sets in all."""
_LEARNED_AT_FIRST, _FOUND_A_LESSON = 64, 4
"""After so many kinds another is learned only for so many data sets each that were found to be like one."""


class Kind:
    """Data sets that are alike: `header` is that of the first."""

    __slots__ = ("header", "hidden", "layout", "place", "record", "slots", "told")

    def __init__(
        self, header: ObjectHeader, slots: list[Slot], hidden: dict[str, Slot], place: int | None, layout: Layout
    ) -> None:
        self.header = header
        self.slots = slots
        """Its attributes."""
        self.hidden = hidden
        """Those that vary and are left out, by name."""
        self.place = place
        """The number of the value that says where the data lie; None where that is the same for all."""
        self.layout = layout
        self.record: Record | None = None
        """What the records of all have in common, as far as the user of this knows it."""
        self.told: Any = None
        """What else the user of this knows of all."""


class _Way(NamedTuple):
    """A way to cut a block."""

    form: str
    unpack: Callable[[bytes, int], tuple[Any, ...]]
    """Gives bytes that have to be the same, and what varies, in turns."""
    after: "dict[tuple[bytes, ...], Kind | _Next]"
    """By the former: what data sets they are of, or where the header goes on."""


class _Next(NamedTuple):
    """The block that a header goes on in: the number of the value that is its address, its length, ways to cut it."""

    place: int
    size: int
    ways: list[_Way]


class Found(NamedTuple):
    """A data set that is like others: what varies of it."""

    address: int
    kind: Kind
    values: tuple[Any, ...]


class Alike:
    """The kinds of data sets that a walk through `file` has met, whose attributes `attributes` reads."""

    def __init__(self, file: HDF5File, attributes: AttributeReader) -> None:
        self._file = file
        self._space = file.space
        self._attributes = attributes
        self._ways: dict[tuple[int, int], list[_Way]] = {}
        """By the bytes of a message's head and of the first block."""
        self._learned = self._kinds = self._found = 0

    def find(self, address: int) -> Found | None:
        """The object at `address`, if it is a data set like another."""
        if not self._ways:
            return None
        try:
            start = start_of(self._space, address)
            _, references, head, _, data, at, size = start
            ways = self._ways.get((head, size))
            if ways is None or references != 1:
                return None
            if at + size > len(data):
                data, at = whole(self._space, start).data, 0
            for way in ways:
                parts = way.unpack(data, at)
                after = way.after.get(parts[::2])
                if after is not None:
                    if type(after) is Kind:
                        self._found += 1
                        return Found(address, after, parts[1::2])
                    return self._continued(address, after, parts[1::2])
        except (MemxError, *FAULTS):
            pass  # whoever reads the header says what is wrong
        return None

    def _continued(self, address: int, after: "Kind | _Next | None", values: tuple[Any, ...]) -> Found | None:
        while type(after) is _Next:
            block, ways, after = self._space.read(values[after.place], after.size), after.ways, None
            for way in ways:
                parts = way.unpack(block, 0)
                after = way.after.get(parts[::2])
                if after is not None:
                    values += parts[1::2]
                    break
        if after is None:
            return None
        assert isinstance(after, Kind)
        self._found += 1
        return Found(address, after, values)

    def place(self, found: Found, record: Record) -> None:
        """Puts into `record` where the data lie, and how much they take. Raises as `HDF5File.dataset_fields`."""
        kind = found.kind
        if kind.place is None:
            return
        value, layout = found.values[kind.place], kind.layout
        if layout.kind == CONTIGUOUS:
            self._file.place(record, value, layout.size or 0)
            return
        chunked = parse_layout(self._space, value)
        if chunked._replace(address=None, size=None, mask=0) != layout._replace(address=None, size=None, mask=0):
            raise CorruptFile("it is cut into other chunks")
        extent = self._file.dataspace(kind.header)
        record["storage_size"] = storage_size(self._space, chunked, extent, external=False)

    def learn(self, header: ObjectHeader) -> None:
        """Takes the data set of `header` for the first of its kind, if another header was as long before."""
        if self._learned > _LEARNED_AT_FIRST + self._found // _FOUND_A_LESSON:
            return
        if max(self._kinds, len(self._ways)) >= _KINDS_MOST:
            self._ways.clear()
            self._kinds = 0
        try:
            start = start_of(self._space, header.address)
            ways = self._ways.get((start.head, start.size))
            if ways is None:
                self._ways[start.head, start.size] = []
                return
            self._learned += 1
            cut = _Cut(self._file, self._attributes, header, start)
        except (MemxError, *FAULTS):
            return
        self._kinds += 1
        *before, (form, same) = cut.blocks
        for (form_before, same_before), (place, size) in zip(before, cut.continuations, strict=True):
            after = _way(ways, form_before).after.setdefault(same_before, _Next(place, size, []))
            if not isinstance(after, _Next):
                return
            ways = after.ways
        _way(ways, form).after[same] = cut.kind


def _way(ways: list[_Way], form: str) -> _Way:
    """The way of `ways` that cuts as `form` says, if need be instead of the oldest."""
    for way in ways:
        if way.form == form:
            return way
    way = _Way(form, struct.Struct(form).unpack_from, {})
    ways.insert(0, way)
    del ways[_WAYS_MOST:]
    return way


class _Pieces:
    """A block of a header, being cut."""

    def __init__(self, block: bytes, numbers: Iterator[int]) -> None:
        self._block = block
        self._numbers = numbers
        self._from = 0
        self._form = "<"
        self._same: list[bytes] = []

    def vary(self, begin: int, end: int, code: str = "") -> int:
        """Lets what is there vary; it is given as `code` of `struct` says, or as bytes. Returns its number."""
        self._cut(begin, end, code or f"{end - begin}s")
        return next(self._numbers)

    def skip(self, begin: int, end: int) -> None:
        """Lets what is there vary, and be told as nothing."""
        self._cut(begin, end, f"0s{end - begin}x")
        next(self._numbers)

    def _cut(self, begin: int, end: int, code: str) -> None:
        self._same.append(self._block[self._from : begin])
        self._form += f"{begin - self._from}s{code}"
        self._from = end

    def all(self) -> tuple[str, tuple[bytes, ...]]:
        """How the block is cut, and what has to be the same."""
        rest = self._block[self._from :]
        return f"{self._form}{len(rest)}s", (*self._same, rest)


class _Cut:
    """The header of a data set, cut into what is the same for all of its kind, and what varies.

    Raises CorruptFile where there is more to it than that.
    """

    kind: Kind

    def __init__(self, file: HDF5File, attributes: AttributeReader, header: ObjectHeader, start: Start) -> None:
        self._space = space = file.space
        self._attributes = attributes
        start = whole(space, start)
        if file.references(header) != 1 or attributes.is_dense(header):
            raise CorruptFile("it has several links, or an index of attributes")
        self.blocks: list[tuple[str, tuple[bytes, ...]]] = []
        self.continuations: list[tuple[int, int]] = []
        """Of each block but the first, the number of the value that is its address, and its length."""
        self._external = EXTERNAL_FILES in header.first
        self._numbers = count()
        self._slots: list[tuple[Any, Slot]] = []
        self._hidden: dict[str, Slot] = {}
        self._layout: Layout | None = None
        self._place: int | None = None
        self._pending = [(start.data[start.at : start.at + start.size], 0, start.size)]
        self._ends = 4 if start.version == 2 else 0  # the signature of a block that continues, and its checksum
        for block, begin, end in self._pending:
            if len(block) > _LONGEST or len(self._pending) > _BLOCKS_MOST:
                raise CorruptFile("it is too long")
            self._block(block, begin, end, start.head)
        if self._layout is None:
            raise CorruptFile("it has no layout of its own")
        self._slots.sort(key=itemgetter(0))
        slots = [slot for _, slot in self._slots]
        self.kind = Kind(header, slots, self._hidden, self._place, self._layout)

    def _block(self, block: bytes, begin: int, end: int, head: int) -> None:
        pieces, last = _Pieces(block, self._numbers), begin
        for kind, flags, created, at, length in messages_in(block[:end], begin, head, 0):
            last = at + length
            body = block[at:last]
            if kind in _OF_NO_ACCOUNT:
                pieces.skip(at, last)
            elif kind == CONTINUATION:
                self._goes_on(pieces, body, at)
            elif kind == LAYOUT and self._layout is None:
                self._lies(pieces, body, at, flags)
            elif kind == ATTRIBUTE:
                self._attribute(pieces, body, at, flags, created)
        pieces.skip(last, len(block))
        self.blocks.append(pieces.all())

    def _goes_on(self, pieces: _Pieces, body: bytes, at: int) -> None:
        """IV.A.2.q."""
        space, width = self._space, self._space.offset_size
        address, size = space.address(body, 0), space.length(body, width)
        self.continuations.append((pieces.vary(at, at + width, space.offset_code), size))
        self._pending.append((space.read(address, min(size, _LONGEST + 1)), self._ends, size - self._ends))

    def _lies(self, pieces: _Pieces, body: bytes, at: int, flags: int) -> None:
        """IV.A.2.i."""
        if flags & SHARED:
            raise CorruptFile("its layout stands elsewhere")
        self._layout = layout = parse_layout(self._space, body)
        if layout.kind == CONTIGUOUS and not self._external:
            begin = at + (8 if body[0] < 3 else 2)
            self._place = pieces.vary(begin, begin + self._space.offset_size, self._space.offset_code)
        elif layout.kind == CHUNKED and layout.address is not None:
            self._place = pieces.vary(at, at + len(body))
        elif layout.kind == COMPACT and body[0] >= 3:
            pieces.skip(at + 4, at + len(body))  # the data

    def _attribute(self, pieces: _Pieces, body: bytes, at: int, flags: int, created: int) -> None:
        """IV.A.2.m."""
        if flags & SHARED:
            raise CorruptFile("an attribute of it stands elsewhere")
        reader = self._attributes
        slot, begin = reader.slot(body)
        if slot.label in reader.same:
            return
        slot.number = pieces.vary(at + begin, at + len(body))
        if slot.label in reader.hidden:
            self._hidden[slot.label] = slot
            return
        self._slots.append((created if reader.by_creation else name_of(body), slot))
        if len(self._slots) > SLOTS_MOST:
            raise CorruptFile("it has too many attributes")
