"""Attributes (IV.A.2.m, IV.A.2.v), in an object's header or in a heap of its own, as JSON."""

import math
import struct
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from operator import itemgetter
from typing import Any

from memx.errors import CorruptFile, MemxError, UnsupportedSource
from memx.formats.base import fault
from memx.formats.hdf5.btrees import walk_v2
from memx.formats.hdf5.datatypes import REFERENCE, Datatype, elements, nested
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.heaps import FractalHeap
from memx.formats.hdf5.messages import ATTRIBUTE, ATTRIBUTE_INFO, DATASPACE, DATATYPE
from memx.formats.hdf5.shared import SHARED, Shared
from memx.formats.hdf5.space import unknown_version
from memx.formats.hdf5.values import TooLong, Values
from memx.records import Record, encode_value, text

ATTRIBUTES_MOST = 1 << 19
"""Bytes of JSON that the attributes of one object may take: a record has to fit into a line."""
_SORTED_MOST = 256
_HEADS = 1024
"""So many different heads of attributes are remembered: name, type and space are mostly the same again and again."""
_FAULT_COST = 512
_SHORT = 64
"""Bytes of the JSON of a short value; a character takes six at most."""
_HEAD = 1 << 16
_KNOWN_LONGEST = 256
"""Bytes of the longest attribute whose value is remembered, and taken for short."""
_ONE_VALUE = (str, int, float)
SLOTS_MOST = 64
"""So many attributes at most of a kind of objects."""

_SIZES = struct.Struct("<HHH").unpack_from
_Head = tuple[str, Datatype, tuple[int, ...] | None, int]
"""Name, type and shape of an attribute, and where in its message the value begins."""

_Entry = tuple[int, bytes, int | None]
"""An attribute message: its creation index, its body, and the address of the body where it is known."""


class Slot:
    """An attribute that all objects of a kind have, and the last value of it that was met."""

    __slots__ = ("cost", "datatype", "label", "number", "raw", "shape", "value")

    def __init__(self, label: str, datatype: Datatype, shape: tuple[int, ...] | None) -> None:
        self.label = label
        self.datatype = datatype
        self.shape = shape
        self.number = 0
        """Where among what varies of an object its value stands."""
        self.raw: bytes | None = None
        self.value: Any = None
        self.cost = 0


class AttributeReader:
    """Reads the attributes of the objects of one file."""

    hidden: frozenset[str] = frozenset()
    """Attributes that are left out."""
    same: frozenset[str] = frozenset()
    """Those of them whose values tell kinds of objects apart."""
    by_creation = False
    """Whether attributes come in the order of their creation, not by name."""

    def __init__(self, values: Values, shared: Shared, max_value_bytes: int) -> None:
        self._values = values
        self._shared = shared
        self._most = max_value_bytes
        self._heads: dict[bytes, _Head] = {}
        self._known: dict[bytes, tuple[str, Any]] = {}
        self._nowhere = b"\xff" * values.space.offset_size

    def fields(self, header: ObjectHeader, what: str) -> tuple[dict[str, Any], list[Record]]:
        """The `attributes` field of an object, which messages call `what`, and an `error` record for each fault.

        Where they would take more than ATTRIBUTES_MOST, the rest is left out: `attributes_truncated` is true
        and `attribute_count` says how many there are.
        """
        if not header.attributes and ATTRIBUTE_INFO not in header.first:
            return {"attributes": {}}, []
        attributes: dict[str, Any] = {}
        faults: list[Record] = []
        room, count = ATTRIBUTES_MOST, 0
        known = self._known
        try:
            for _, body, address in self._in_order(header):
                count += 1
                if room < 0:
                    continue
                if (told := known.get(body)) is not None:
                    label, value = told
                    attributes[label] = value
                    room -= len(label) + 4 + _SHORT
                    continue
                label = "?"
                try:
                    head = self._head(body)
                    label = head[0]
                    if label in self.hidden:
                        continue
                    attributes[label], cost = self._valued(head, body, address)
                    room -= len(label) + 4 + cost
                except (MemxError, struct.error, IndexError) as exc:
                    faults.append(_broken(f"the attribute {label} of {what}", exc))
                    room -= _FAULT_COST
        except (MemxError, struct.error, IndexError) as exc:
            faults.append(_broken(f"the list of attributes of {what}", exc))
        if room < 0 and len(attributes) + len(faults) < count:
            return {"attributes": attributes, "attributes_truncated": True, "attribute_count": count}, faults
        return {"attributes": attributes}, faults

    def slot(self, body: bytes) -> tuple[Slot, int]:
        """The attribute of the message `body`, to be read of many objects, and where in the message its value begins.

        Raises CorruptFile where more is to be told of it than its value.
        """
        label, datatype, shape, at = self._head(body)
        length = 0 if shape is None else math.prod(shape) * datatype.size
        if label not in self.hidden and (datatype.decode is None or length > min(self._most, len(body) - at)):
            raise CorruptFile("its value is not read")
        return Slot(label, datatype, shape), min(at, len(body))

    def filled(self, slots: list[Slot], values: tuple[Any, ...]) -> dict[str, Any] | None:
        """The attributes `slots` of an object of which `values` are what varies.

        None where one cannot be read, or where they are long: that is for whoever tells of it.
        """
        attributes: dict[str, Any] = {}
        room = ATTRIBUTES_MOST - SLOTS_MOST * _SHORT
        try:
            for slot in slots:
                raw = values[slot.number]
                if raw != slot.raw:
                    slot.value = self.decoded(slot.datatype, slot.shape, raw, 0)
                    slot.cost = len(slot.label) + 4 + _cost(slot.value)
                    slot.raw = raw
                attributes[slot.label] = slot.value
                room -= slot.cost
        except (TooLong, MemxError, struct.error, IndexError):
            return None
        return attributes if room >= 0 else None

    def _valued(self, head: _Head, body: bytes, address: int | None) -> tuple[Any, int]:
        """What the attribute whose message is `body` holds, and how many bytes of JSON that takes at most."""
        label, datatype, shape, at = head
        where = None if address is None else self._values.space.base + address + at
        value = self.value(datatype, shape, body, at, where)
        if len(body) > _KNOWN_LONGEST or datatype.variable:
            return value, _cost(value)
        if type(value) in _ONE_VALUE:
            self._remember(body, label, value)
        return value, _SHORT

    def _remember(self, body: bytes, label: str, value: Any) -> None:
        """Keeps what an attribute says: many objects have the same units, the same fill value."""
        if len(self._known) >= _HEADS:
            self._known.clear()
        self._known[body] = label, value

    def names(self, header: ObjectHeader) -> Iterator[bytes]:
        """The names of the attributes of an object."""
        return map(_name, self._bodies(header))

    def some(self, header: ObjectHeader, names: frozenset[str]) -> dict[str, Any]:
        """The values of the attributes of an object that are called as one of `names`; of others nothing is read."""
        found = {}
        for entry in self._bodies(header):
            body = entry[1]
            try:
                label, datatype, shape, at = self._head(body)
            except UnsupportedSource:
                if text(_name(entry)) in names:
                    raise
                continue
            if label in names:
                found[label] = self.value(datatype, shape, body, at)
        return found

    def value(
        self, datatype: Datatype, shape: tuple[int, ...] | None, data: bytes, at: int, where: int | None = None
    ) -> Any:
        """The JSON of what an attribute holds, or where it is long or of a type that NumPy lacks, what is known.

        It begins in `data` at `at`, and in the file at the offset `where`.
        """
        if not shape and (shape is None or (datatype.code is not None and datatype.decode is not None)):
            return self.decoded(datatype, shape, data, at)  # a lone number, the most common by far
        length = math.prod(shape) * datatype.size
        if datatype.decode is None and datatype.kind == REFERENCE and datatype.base is not None:
            datatype = datatype.base  # the library lacks the type, but each element can be told of
        if datatype.decode is None or length > self._most:
            return _not_read(datatype, shape, length, where)
        if at + length > len(data):
            raise CorruptFile("its value ends in its midst")
        try:
            return self.decoded(datatype, shape, data, at)
        except TooLong:  # what lies there is where its parts are
            return _not_read(datatype, shape, length, where)

    def decoded(self, datatype: Datatype, shape: tuple[int, ...] | None, data: bytes, at: int) -> Any:
        """The JSON of what begins in `data` at `at`. Raises TooLong where its parts elsewhere take too much."""
        if shape is None:
            return None
        if datatype.code is None:
            self._values.room = self._most
        if shape:
            return nested(elements(datatype, data, at, math.prod(shape)), shape)
        assert datatype.decode is not None
        return datatype.decode(data, at)

    def _head(self, body: bytes) -> _Head:
        """What stands before the value of an attribute message; the same bytes are parsed once."""
        version = body[0]
        if not 1 <= version <= 3:
            raise unknown_version("an attribute message", version)
        name_size, type_size, space_size = _SIZES(body, 2)
        if version == 1:
            end = 8 + (name_size + 7 & ~7) + (type_size + 7 & ~7) + (space_size + 7 & ~7)
        else:
            end = (9 if version == 3 else 8) + name_size + type_size + space_size
        prefix = body[:end]
        head = self._heads.get(prefix)
        if head is None:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            head = self._heads[prefix] = self._parse(body, name_size, type_size, space_size)
        return head

    def _parse(self, body: bytes, name_size: int, type_size: int, space_size: int) -> _Head:
        version, flags = body[0], body[1]
        at = 9 if version == 3 else 8
        pad = 7 if version == 1 else 0
        name = body[at : at + name_size].split(b"\0", 1)[0]
        at += name_size + pad & ~pad
        type_body = body[at : at + type_size]
        at += type_size + pad & ~pad
        space_body = body[at : at + space_size]
        at += space_size + pad & ~pad
        if version > 1 and flags & 1:
            type_body = self._shared.resolve(type_body, DATATYPE)
        if version > 1 and flags & 2:
            space_body = self._shared.resolve(space_body, DATASPACE)
        return text(name), self._values.datatype(type_body), self._values.dataspace(space_body).shape, at

    def _in_order(self, header: ObjectHeader) -> Iterable[_Entry]:
        """The attribute messages: by name or by creation, of many in the order of their index."""
        found: Iterator[_Entry] = iter(())
        if self.is_dense(header):
            found = self._bodies(header)
            held = list(islice(found, _SORTED_MOST + 1))
        else:  # all stand in the header, most often
            held = [
                (created, body, where) if not flags & SHARED else (created, self._shared.resolve(body, ATTRIBUTE), None)
                for flags, body, created, where in header.attributes
            ]
        if len(held) > _SORTED_MOST:
            return chain(held, found)
        if len(held) > 1:
            held.sort(key=_created if self.by_creation else _name)
        return held

    def is_dense(self, header: ObjectHeader) -> bool:
        """Whether an object has a heap for attributes."""
        info = header.first.get(ATTRIBUTE_INFO)
        if info is None:
            return False
        body = info[1]
        return body[0] != 0 or not body.startswith(self._nowhere, 4 if body[1] & 1 else 2)

    def _bodies(self, header: ObjectHeader) -> Iterator[_Entry]:
        """Each attribute message."""
        for message in header.attributes:
            body = self._shared.body(message, ATTRIBUTE)
            yield message[2], body, message[3] if body is message[1] else None
        info = header.first.get(ATTRIBUTE_INFO)
        if info is not None:
            yield from self._dense(info[1])

    def _dense(self, body: bytes) -> Iterator[_Entry]:
        """Attributes in a fractal heap, by their index by name: records of type 8 (III.A.2)."""
        space = self._values.space
        if body[0]:
            raise unknown_version("an attribute info message", body[0])
        at = 4 if body[1] & 1 else 2
        heap_address, tree = space.address(body, at), space.address(body, at + space.offset_size)
        if heap_address == space.undefined or tree == space.undefined:
            return
        heap = FractalHeap(space, heap_address)
        for record in walk_v2(space, tree, (8,)):
            created = int.from_bytes(record[9:13], "little")
            if record[8] & 2:
                yield created, self._shared.in_heap(record[:8], ATTRIBUTE), None
                continue
            place = heap.place(record[:8])
            # of a value that will not be read, only what stands before it
            if isinstance(place, bytes):
                yield created, place, None
            else:
                yield created, space.read(place[0], min(place[1], self._most + _HEAD)), place[0]


def _cost(value: Any) -> int:
    """The bytes that the JSON of a value takes at most."""
    return _SHORT if type(value) is str and len(value) <= _SHORT // 6 - 1 else len(encode_value(value))


_created = itemgetter(0)


def _name(entry: _Entry) -> bytes:
    return name_of(entry[1])


def name_of(body: bytes) -> bytes:
    """The name in an attribute message."""
    at = 9 if body[0] == 3 else 8
    return body[at : at + (body[2] | body[3] << 8)].split(b"\0", 1)[0]


def _not_read(datatype: Datatype, shape: tuple[int, ...], length: int, where: int | None) -> dict[str, Any]:
    place = {} if where is None else {"offset": where}
    return {"bulk": True, "dtype": datatype.name, "shape": list(shape), **place, "length": length}


def _broken(what: str, error: Exception) -> Record:
    if isinstance(error, MemxError):
        return fault(error.code, f"{what} cannot be read: {error.message}", error.offset)
    return fault(CorruptFile.code, f"{what} cannot be read: it ends in its midst")
