"""Elements that lie elsewhere: sequences, strings and references in global heaps (III.E, VIII)."""

import struct
from math import prod
from typing import Any

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.datatypes import Datatype, Decode, elements
from memx.formats.hdf5.headers import read_header
from memx.formats.hdf5.heaps import GlobalHeap
from memx.formats.hdf5.messages import DATASPACE, Dataspace, parse_dataspace
from memx.formats.hdf5.shared import Shared
from memx.formats.hdf5.space import AddressSpace
from memx.formats.hdf5.typemessages import Parser
from memx.records import text

_CACHED = 1024


class TooLong(Exception):
    """The parts of a value take more bytes than may be read."""


class Values:
    """Parses types and spaces of one file, each form once, and follows what their elements point to.

    `room` is how many bytes may still be read from global heaps for the value in hand.
    """

    def __init__(self, space: AddressSpace, shared: Shared) -> None:
        self.space = space
        self._shared = shared
        self.heap = GlobalHeap(space)
        self.room = 0
        self._parser = Parser(space.offset_size, self._variable, self._reference)
        self._types: dict[bytes, Datatype] = {}
        self._spaces: dict[bytes, Dataspace] = {}
        self._objects: dict[int, bool] = {}  # whether one is at an address that is referred to

    def datatype(self, body: bytes) -> Datatype:
        """The datatype of a message's body."""
        found = self._types.get(body)
        if found is None:
            if len(self._types) >= _CACHED:
                self._types.clear()
            found = self._types[body] = self._parser.parse(body)
        return found

    def dataspace(self, body: bytes) -> Dataspace:
        """The dataspace of a message's body."""
        found = self._spaces.get(body)
        if found is None:
            if len(self._spaces) >= _CACHED:
                self._spaces.clear()
            found = self._spaces[body] = parse_dataspace(self.space, body)
        return found

    def _fetch(self, collection: int, index: int, length: int) -> bytes:
        """The first `length` bytes of object `index` of the global heap collection at `collection`."""
        space = self.space
        if not length or collection in (0, space.undefined):
            return b""
        self.room -= length
        if self.room < 0:
            raise TooLong
        address, size = self.heap.place(collection, index)
        if length > size:
            raise CorruptFile("a value is longer than its object in a global heap", offset=space.base + address)
        return space.read(address, length)

    def _variable(self, base: Datatype | None) -> Decode:
        # the length, then the identifier of an object in a global heap (VIII)
        unpack = struct.Struct(f"<I{_CODES[self.space.offset_size]}I").unpack_from

        def string(data: bytes, at: int) -> str:
            length, collection, index = unpack(data, at)
            return text(self._fetch(collection, index, length).split(b"\0", 1)[0])

        def sequence(data: bytes, at: int) -> list[Any]:
            count, collection, index = unpack(data, at)
            assert base is not None
            held = self._fetch(collection, index, count * base.size)
            return elements(base, held, 0, len(held) // base.size)

        return string if base is None else sequence

    def _reference(self, kind: int) -> Decode:
        return (self._object, self._region)[kind] if kind < 2 else self._revised

    def _object(self, data: bytes, at: int) -> dict[str, Any] | None:
        """VIII: the address of an object; null for zero."""
        address = self.space.address(data, at)
        return self._told("object", address) if address else None

    def _told(self, kind: str, address: int) -> dict[str, Any]:
        """A reference, its address null where no object is (any more)."""
        there = self._objects.get(address)
        if there is None:
            if len(self._objects) >= _CACHED:
                self._objects.clear()
            there = self._objects[address] = self._is_object(address)
        return {"reference": kind, "address": address if there else None}

    def _is_object(self, address: int) -> bool:
        try:
            head = self.space.read(address, 5)
        except CorruptFile:
            return False
        return head[:4] == b"OHDR" or head[:2] == b"\1\0"

    def _region(self, data: bytes, at: int) -> dict[str, Any] | None:
        """VIII: an object in a global heap, of an address and a selection of the data set there."""
        space, end = self.space, at + self.space.offset_size
        if not any(data[at : end + 4]):
            return None
        try:
            place, size = self.heap.place(space.address(data, at), int.from_bytes(data[end : end + 4], "little"))
        except CorruptFile:
            return {"reference": "region", "address": None}  # the region is gone
        self.room -= size
        if self.room < 0:
            raise TooLong
        held = space.read(place, size)
        told = self._told("region", space.address(held, 0))
        return told if told["address"] is None else told | self._selected(held[space.offset_size :], told["address"])

    def _revised(self, data: bytes, at: int) -> dict[str, Any] | None:
        """A reference of HDF5 1.12 (IX): its type, its flags, and its encoding, or the place of that in a global heap.

        The encoding is the token of an object, then the file of one that is in another, then a selection of the data
        set or the name of an attribute. Null for none.
        """
        kind, elsewhere = data[at], data[at + 1] & 1
        if not kind:
            return None
        if kind not in _REVISED:
            raise UnsupportedSource(f"a reference of type {kind} is not known")
        body = data[at + 2 :]
        if _REVISED[kind] != "object" or elsewhere:
            o = self.space.offset_size
            length, index = (int.from_bytes(body[n : n + 4], "little") for n in (0, 4 + o))
            body = self._fetch(self.space.address(body, 4), index, length)
        if not body or not body[0]:
            return None
        place = 1 + body[0]
        address = int.from_bytes(body[1:place], "little")
        if elsewhere:
            file, place = _name(body, place)
            told: dict[str, Any] = {"reference": _REVISED[kind], "address": address, "file": file}
        else:
            told = self._told(_REVISED[kind], address)
        if told["address"] is None or kind == 2:
            return told
        if kind == 4:
            return told | {"attribute": _name(body, place)[0]}
        return told | self._selected(body[place + 8 :], None if elsewhere else address)  # behind its length and rank

    def _selected(self, body: bytes, address: int | None) -> dict[str, Any]:
        """What a serialized selection takes of the data set at `address`, which is None in another file."""
        if int.from_bytes(body[:4], "little") != _ALL:
            return _selection(body)
        try:
            extent = None if address is None else self._shared.first(read_header(self.space, address), DATASPACE)
            if extent is None:
                return {}
            shape = self.dataspace(extent).shape
        except (CorruptFile, IndexError):
            return {}
        return {"points": 0 if shape is None else prod(shape)}


_REVISED = {2: "object", 3: "region", 4: "attribute"}
"""What the references of HDF5 1.12 lead to."""


def _name(body: bytes, at: int) -> tuple[str, int]:
    """A name behind its length of two bytes, and where it ends."""
    end = at + 2 + int.from_bytes(body[at : at + 2], "little")
    if end > len(body):
        raise CorruptFile("a reference ends in its midst")
    return text(body[at + 2 : end]), end


_ALL = 3
"""The type of a selection (VIII.A) that takes all there is."""


def _selection(body: bytes) -> dict[str, Any]:
    """A serialized selection (VIII.A): how many points, and within which bounds; nothing of what is no such thing."""
    try:
        kind, version = struct.unpack_from("<II", body, 0)
        if kind not in (1, 2):
            return {"points": 0} if kind == 0 else {}
        if not 1 <= version <= kind + 1:
            raise UnsupportedSource(f"a selection of type {kind}, version {version} is not known")
        first, last, points = _points(body, version) if kind == 1 else _hyperslab(body, version)
    except (struct.error, ValueError, IndexError):
        return {}
    return {"points": points, "bounds": [first, last]}


_Selected = tuple[list[int], list[int], int]
"""The first and the last place along each dimension, and how many points."""
_CODES = {2: "H", 4: "I", 8: "Q"}


def _points(body: bytes, version: int) -> _Selected:
    """A list of points; from version 2 on it says how many bytes a number takes."""
    code, at = ("I", 16) if version == 1 else (_CODES.get(body[8], ""), 9)
    (rank,) = struct.unpack_from("<I", body, at)
    (count,) = _numbers(body, at + 4, code, 1)
    numbers = _numbers(body, at + 4 + struct.calcsize(code), code, rank * count)
    return [min(numbers[n::rank]) for n in range(rank)], [max(numbers[n::rank]) for n in range(rank)], count


def _hyperslab(body: bytes, version: int) -> _Selected:
    """Blocks; from version 2 on they may be regular, told by start, stride, count and block of each dimension."""
    if version == 1:
        code, at, regular = "I", 16, False
    elif version == 2:
        code, at, regular = "Q", 13, True
    else:
        code, at, regular = _CODES.get(body[9], ""), 10, bool(body[8] & 1)
    (rank,) = struct.unpack_from("<I", body, at)
    at += 4
    if regular:
        numbers = _numbers(body, at, code, 4 * rank)
        slabs = [numbers[4 * n : 4 * n + 4] for n in range(rank)]
        last = [start + stride * (count - 1) + block - 1 for start, stride, count, block in slabs]
        return [slab[0] for slab in slabs], last, prod(count * block for _, _, count, block in slabs)
    (count,) = _numbers(body, at, code, 1)
    numbers = _numbers(body, at + struct.calcsize(code), code, 2 * rank * count)
    blocks = [numbers[begin : begin + 2 * rank] for begin in range(0, len(numbers), 2 * rank)]
    points = sum(prod(block[rank + n] - block[n] + 1 for n in range(rank)) for block in blocks)
    first = [min(block[n] for block in blocks) for n in range(rank)]
    return first, [max(block[rank + n] for block in blocks) for n in range(rank)], points


def _numbers(body: bytes, at: int, code: str, count: int) -> tuple[int, ...]:
    if not code or not count or at + count * struct.calcsize(code) > len(body):
        raise ValueError("no such selection")
    return struct.unpack_from(f"<{count}{code}", body, at)
