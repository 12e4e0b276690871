"""EBML, RFC 8794: identifiers, sizes, and elements read by a schema, bounds-checked."""

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from memx.errors import CorruptFile
from memx.formats.video.packets import NotKnown
from memx.formats.video.window import Window

VOID, CRC = 0xEC, 0xBF
HEADER = 12
"""Bytes of the longest identifier and the longest size."""
_MOST_DEPTH = 16
_MOST_BYTES = 1 << 20
"""Binary values longer than this are left where they are."""
_MOST_NAME = 1 << 12
_MOST_ELEMENTS = 1 << 16
"""So many elements of headers are kept; a file with more is FFmpeg's."""


class Place(NamedTuple):
    """A value that was not read: where it lies."""

    offset: int
    length: int


class Element(NamedTuple):
    """An element: its identifier with the marker, where it begins, its body, and its end; None is unknown."""

    id: int
    at: int
    body: int
    end: int | None


class Field(NamedTuple):
    """What a schema says of an element: its name, its type, and the fields of a master."""

    name: str
    kind: str
    """`uint`, `sint`, `float`, `text`, `name` (text that others hang on), `bytes`, `place` (never read) or `master`."""
    fields: "Mapping[int, Field] | None" = None
    many: bool = False


def identifier(data: bytes, at: int = 0) -> tuple[int, int]:
    """The identifier in `data` at `at`, its marker kept, and its bytes (section 5); (0, 0) where there is none."""
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if length > 4 or at + length > len(data):
        return 0, 0
    return int.from_bytes(data[at : at + length], "big"), length


def number(data: bytes, at: int = 0) -> tuple[int | None, int]:
    """The variable-size integer in `data` at `at`, and its bytes (section 4).

    The integer is None where all its bits are set, which stands for an unknown size; its bytes are 0 where there
    is none.
    """
    first = data[at] if at < len(data) else 0
    length = 9 - first.bit_length()
    if length > 8 or at + length > len(data):
        return None, 0
    most = (1 << 7 * length) - 1
    value = int.from_bytes(data[at : at + length], "big") & most
    return None if value == most else value, length


def header(data: bytes, at: int = 0) -> tuple[int, int, int | None] | None:
    """The element that begins in `data` at `at`: its identifier, and where in `data` its body begins and it ends.

    The end is None where the size is unknown. None where no element begins there. HEADER bytes hold its beginning.
    """
    name, width = identifier(data, at)
    size, length = number(data, at + width)
    body = at + width + length
    return (name, body, None if size is None else body + size) if width and length else None


def element(window: Window, at: int) -> Element | None:
    """The element at `at`; None at the end of the file. CorruptFile where there is none."""
    head = window.read(at, HEADER)
    if not head:
        return None
    found = header(head)
    if found is None:
        name, width = identifier(head)
        what = f"the element 0x{name:X} at {at} has no size" if width else f"no EBML element begins at {at}"
        raise CorruptFile(what, offset=at)
    name, body, end = found
    return Element(name, at, at + body, None if end is None else at + end)


def children(window: Window, begin: int, end: int) -> Iterator[Element]:
    """The elements between `begin` and `end`. CorruptFile where one reaches beyond, or its size is unknown."""
    at = begin
    while at < end:
        child = element(window, at)
        if child is None:
            return
        if child.end is None or child.end > end:
            raise CorruptFile(f"the element 0x{child.id:X} at {at} reaches beyond the one that it is in", offset=at)
        yield child
        at = child.end


class Headers:
    """Reads masters of headers by their schemas; text longer than `limit` bytes is left as a Place."""

    def __init__(self, window: Window, limit: int) -> None:
        self._window = window
        self._limit = limit
        self._kept = 0

    def master(self, found: Element, fields: Mapping[int, Field], depth: int = 0) -> dict[str, Any]:
        """The values of a master element, by name; a list for a field that may come many times.

        An element that comes again replaces the one before, as in FFmpeg; a master of one comes to one.
        """
        values: dict[str, Any] = {}
        if found.end is None or depth > _MOST_DEPTH:
            raise NotKnown(f"an element 0x{found.id:X} without an end, or too deep")
        for child in children(self._window, found.body, found.end):
            field = fields.get(child.id)
            if field is None:
                continue
            self._kept += 1
            if self._kept > _MOST_ELEMENTS:
                raise NotKnown("headers of very many elements")
            value = self._value(child, field, depth)
            if field.many:
                values.setdefault(field.name, []).append(value)
            elif field.fields is not None and field.name in values:
                values[field.name] |= value
            else:
                values[field.name] = value
        return values

    def _value(self, found: Element, field: Field, depth: int) -> Any:
        if field.fields is not None:
            return self.master(found, field.fields, depth + 1)
        assert found.end is not None  # what `children` gives
        length = found.end - found.body
        most = {"place": -1, "text": self._limit, "bytes": _MOST_BYTES}.get(field.kind)
        if most is None and length > 8 and field.kind != "name":
            raise CorruptFile(f"the number 0x{found.id:X} at {found.at} has {length} bytes", offset=found.at)
        if most is not None and length > most:
            return Place(found.body, length)
        if field.kind == "name" and length > _MOST_NAME:
            raise NotKnown(f"a name of {length} bytes")
        data = self._window.read(found.body, length)
        if len(data) < length:
            raise CorruptFile(f"the file ends inside the element 0x{found.id:X} at {found.at}", offset=found.at)
        return _SIMPLE[field.kind](data, found)


def _unsigned(data: bytes, _found: Element) -> int | None:
    return int.from_bytes(data, "big") if data else None


def _signed(data: bytes, _found: Element) -> int | None:
    return int.from_bytes(data, "big", signed=True) if data else None


def _float(data: bytes, found: Element) -> float | None:
    if len(data) not in (0, 4, 8):
        raise CorruptFile(f"the number 0x{found.id:X} at {found.at} has {len(data)} bytes", offset=found.at)
    value: float = struct.unpack(">f" if len(data) == 4 else ">d", data)[0] if data else 0.0
    if not math.isfinite(value):
        raise NotKnown(f"the number 0x{found.id:X}, which is no number")
    return value if data else None


def _text(data: bytes, _found: Element) -> bytes:
    return data.split(b"\0")[0]


def _bytes(data: bytes, _found: Element) -> bytes:
    return data


_SIMPLE: dict[str, Callable[[bytes, Element], Any]] = {
    "uint": _unsigned,
    "sint": _signed,
    "float": _float,
    "text": _text,
    "name": _text,
    "bytes": _bytes,
}
