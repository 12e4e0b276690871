"""Encapsulated data: a run of items, the first an offset table, up to a delimiter (PS3.5 A.4)."""

import struct

from memx.errors import CorruptFile, FormatError, TruncatedFile
from memx.formats.dicom.syntax import ITEM, SEQUENCE_END, Syntax
from memx.sources import Cursor

_BLOCK_OF_HEADERS, _BLOCK_OF_SCAN = 1 << 10, 1 << 16


def step_over_fragments(cursor: Cursor, syntax: Syntax) -> tuple[int, FormatError | None, bool]:
    """Steps behind the delimiter; how many fragments there were, what was wrong, and whether one can go on.

    The Basic Offset Table is no fragment, a fragment that is cut is one. Where something else than an item
    stands, the delimiter is looked for byte by byte, as pydicom does.
    """
    items = 0
    while True:
        cursor.block = _BLOCK_OF_HEADERS
        here = cursor.tell()
        if not cursor.ensure(8):
            return max(0, items - 1), TruncatedFile("end without a delimiter", offset=here), False
        tag, length = syntax.item(cursor.buffer, cursor.index)
        if tag == ITEM:
            items += 1
            cursor.index += 8
            if cursor.skip(length) < length:
                return max(0, items - 1), TruncatedFile("are cut off by the end of the file", offset=here), False
        elif tag == SEQUENCE_END:
            cursor.index += 8
            return max(0, items - 1), None, True
        else:
            found = _scan(cursor, struct.pack(f"{syntax.order}HH", SEQUENCE_END >> 16, SEQUENCE_END & 0xFFFF))
            broken = CorruptFile("have something else than an item among them", offset=here)
            return max(0, items - 1), broken, found


def _scan(cursor: Cursor, pattern: bytes) -> bool:
    """Goes behind the next delimiter, whose tag is `pattern`; whether there is one."""
    cursor.block = _BLOCK_OF_SCAN
    while cursor.ensure(8):
        at = cursor.buffer.find(pattern, cursor.index)
        if at >= 0 and len(cursor.buffer) - at >= 8:
            cursor.index = at + 8
            return True
        cursor.index = at if at >= 0 else len(cursor.buffer) - len(pattern) + 1
    return False
