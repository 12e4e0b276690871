"""The tokens of a classic NetCDF header (NetCDF User's Guide, "The NetCDF Classic Format Specification").

CDF-1 and CDF-2 count in 4 bytes, CDF-5 in 8; all numbers are big-endian, all names and values padded to 4.
"""

import struct
from dataclasses import dataclass
from typing import Any

from memx.errors import CorruptFile, TruncatedFile
from memx.records import number, text
from memx.sources import Cursor

VARIANTS = {1: "NETCDF3_CLASSIC", 2: "NETCDF3_64BIT_OFFSET", 5: "NETCDF3_64BIT_DATA"}
DIMENSIONS, VARIABLES, ATTRIBUTES = 0x0A, 0x0B, 0x0C
_LIST_NAMES = {DIMENSIONS: "dimensions", VARIABLES: "variables", ATTRIBUTES: "attributes"}
CHAR = 2
_FOUR, _EIGHT = struct.Struct(">I").unpack_from, struct.Struct(">Q").unpack_from
_NAME_MOST = 1 << 16
"""Bytes of a name: netCDF itself writes no more than 256 characters."""


@dataclass(frozen=True, slots=True)
class Type:
    """An external type: how its data are spelled by NumPy and by `struct`."""

    dtype: str
    code: str
    size: int


TYPES = {
    1: Type("|i1", "b", 1),
    CHAR: Type("|S1", "s", 1),
    3: Type(">i2", "h", 2),
    4: Type(">i4", "i", 4),
    5: Type(">f4", "f", 4),
    6: Type(">f8", "d", 8),
    7: Type("|u1", "B", 1),
    8: Type(">u2", "H", 2),
    9: Type(">u4", "I", 4),
    10: Type(">i8", "q", 8),
    11: Type(">u8", "Q", 8),
}
"""By the number in the file; those from 7 on are CDF-5's."""


class Header:
    """Reads tokens forward from a cursor that stands behind the magic.

    Every method raises TruncatedFile where the file ends too early, CorruptFile where a token cannot be.
    """

    def __init__(self, cursor: Cursor, version: int) -> None:
        self.cursor = cursor
        self.version = version
        self._wide = version == 5
        self._types = 11 if self._wide else 6

    def take(self, length: int, what: str) -> bytes:
        """The next `length` bytes."""
        begin = self._step(length, what)
        return self.cursor.buffer[begin : begin + length]

    def unsigned(self, what: str, *, wide: bool | None = None) -> int:
        """A number of 8 bytes in CDF-5, else of 4; `wide` says otherwise."""
        length, unpack = (8, _EIGHT) if (self._wide if wide is None else wide) else (4, _FOUR)
        begin = self._step(length, what)
        value: int = unpack(self.cursor.buffer, begin)[0]
        return value

    def count(self, what: str) -> int:
        """A NON_NEG: a number whose highest bit has to be clear."""
        value = self.unsigned(what)
        if value >> (63 if self._wide else 31):
            raise CorruptFile(f"{what} is negative", offset=self.cursor.tell() - (8 if self._wide else 4))
        return value

    def _step(self, length: int, what: str) -> int:
        """Steps over the next `length` bytes; where they begin in the buffer of the cursor."""
        cursor = self.cursor
        if len(cursor.buffer) - cursor.index < length and not cursor.ensure(length):
            raise TruncatedFile(f"the file ends within {what} of its header", offset=cursor.tell())
        begin = cursor.index
        cursor.index = begin + length
        return begin

    def number_of(self, tag: int, what: str) -> int:
        """How many entries the list of `tag` has: 0 where it is ABSENT."""
        at = self.cursor.tell()
        found = self.unsigned(what, wide=False)
        count = self.count(f"the number of {_LIST_NAMES[tag]}")
        if found == tag or (found == 0 and count == 0):
            return count
        raise CorruptFile(f"{what} begins with the tag {found} instead of {tag}", offset=at)

    def name(self, what: str) -> str:
        """A name."""
        at = self.cursor.tell()
        length = self.count(f"the length of {what}")
        if length > _NAME_MOST:
            raise CorruptFile(f"{what} has {length} bytes, which no name has", offset=at)
        name = self.take(length + -length % 4, what)[:length]
        if not name.strip(b"\0"):
            raise CorruptFile(f"{what} is empty", offset=at)
        return text(name)

    def type(self, what: str) -> Type:
        """An external type."""
        at = self.cursor.tell()
        code = self.unsigned(what, wide=False)
        if code not in TYPES or code > self._types:
            raise CorruptFile(f"{what} is {code}, which CDF-{self.version} does not have", offset=at)
        return TYPES[code]

    def attribute(self, what: str, longest: int) -> tuple[str, Any]:
        """One attribute: its name, and its value, or where it lies if it has more than `longest` bytes."""
        name = self.name(f"the name of an attribute of {what}")
        label = f"the attribute {name[:200]} of {what}"
        kind = self.type(f"the type of {label}")
        count = self.count(f"the length of {label}")
        at, length = self.cursor.tell(), count * kind.size
        padded = length + -length % 4
        if length > longest:
            if self.cursor.skip(padded) < length:
                raise TruncatedFile(f"the file ends within {label} of its header", offset=at)
            return name, {"bulk": True, "dtype": kind.dtype, "shape": [count], "offset": at, "length": length}
        return name, value(kind, count, self.take(padded, label))


def value(kind: Type, count: int, raw: bytes) -> Any:
    """The value of an attribute as netCDF's users have it: text, one number, or a list of several or none.

    Text is without NULs, with which C programs like to end or pad it.
    """
    if kind.code == "s":
        return text(raw[:count].replace(b"\0", b""))
    numbers = struct.unpack_from(f">{count}{kind.code}", raw)
    plain = [number(item) for item in numbers] if kind.code in "fd" else list(numbers)
    return plain[0] if count == 1 else plain
