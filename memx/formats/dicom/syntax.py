"""How the header of a data element is written: explicit or implicit VR, little or big endian (PS3.5 7.1, 10).

What it met of headers is remembered, from file to file: most elements are told by one look-up.
"""

import struct
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from memx.formats.dicom import dictionary
from memx.formats.dicom.values import Convert, converter

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
DEFLATED = {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
"""Deflated Explicit VR Little Endian (PS3.5 A.5), and the JPIP syntaxes that deflate too (A.7, A.11)."""

SHORT = frozenset("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())  # noqa: SIM905 - words read better
"""VRs with a length of 16 bits in explicit VR (PS3.5 table 7.1-2)."""
LONG = frozenset("OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())  # noqa: SIM905
"""VRs with two reserved bytes and a length of 32 bits (PS3.5 table 7.1-1)."""

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
DELIMITERS = frozenset({ITEM, ITEM_END, SEQUENCE_END})
"""Tags without VR that bound items and sequences (PS3.5 7.5)."""

CHARACTER_SET, PIXEL_REPRESENTATION, LUT_DESCRIPTOR, LUT_DATA = 0x00080005, 0x00280103, 0x00283002, 0x00283006
TRANSFER_SYNTAX = 0x00020010
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float Pixel Data, Double Float Pixel Data, Pixel Data: never read."""
DESCRIPTORS = frozenset({0x00281101, 0x00281102, 0x00281103, LUT_DESCRIPTOR})
"""Their first value counts entries and has no sign, whatever the VR (PS3.3 C.11.1.1.1, C.7.6.3.1.5)."""
_TELLING = frozenset({CHARACTER_SET, PIXEL_REPRESENTATION, LUT_DATA, TRANSFER_SYNTAX}) | PIXEL_DATA | DESCRIPTORS
"""Elements that say how to read others, or are read in a way of their own."""

_MARKS = {
    order: {tag: struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF) for tag in DELIMITERS} for order in ("<", ">")
}
"""The tags of delimiters as they are written."""
_MOST_KNOWN = 4096

Known = tuple[str, str, str | None, Convert, Callable[[bytes, int], tuple[Any, ...]], int, int]
"""Tag, VR, keyword, converter, and how to read the length: its unpacker, where it is, where the value begins."""


@cache
def _headers(implicit: bool, order: str, group: int | None) -> dict[bytes, Known]:
    """The headers that were met in one way of writing: what they mean depends on nothing else."""
    return {}


class Header(NamedTuple):
    """A data element, without its value. `vr` is None where the header has none; `size` is in bytes."""

    tag: int
    vr: str | None
    length: int
    size: int


class Syntax:
    """One of the ways to write a header.

    `known` holds the headers that need no thought, by their first `key` bytes; `group` bounds it to one group
    of tags.
    """

    __slots__ = (
        "_implicit_form",
        "_item",
        "_tag",
        "_u16",
        "_u32",
        "group",
        "implicit",
        "key",
        "known",
        "marks",
        "order",
    )

    def __init__(self, *, implicit: bool, order: str = "<", group: int | None = None) -> None:
        self.implicit = implicit
        self.order = order
        self.group = group
        self.key = 4 if implicit else 6
        self.known = _headers(implicit, order, group)
        self._tag = struct.Struct(f"{order}HH").unpack_from
        self._u16 = struct.Struct(f"{order}H").unpack_from
        self._u32 = struct.Struct(f"{order}L").unpack_from
        self._item = struct.Struct(f"{order}HHL").unpack_from
        self.marks = _MARKS[order]
        self._implicit_form: Syntax | None = self if implicit else None

    def implicit_form(self) -> "Syntax":
        """The same byte order and group with implicit VR."""
        if self._implicit_form is None:
            self._implicit_form = Syntax(implicit=True, order=self.order, group=self.group)
        return self._implicit_form

    def tag(self, buffer: bytes, at: int) -> int:
        """The tag that stands at `at`."""
        group, element = self._tag(buffer, at)
        tag: int = group << 16 | element
        return tag

    def item(self, buffer: bytes, at: int) -> tuple[int, int]:
        """Tag and length of an item or a delimiter, 8 bytes, which have no VR (PS3.5 7.5)."""
        group, element, length = self._item(buffer, at)
        return group << 16 | element, length

    def header(self, buffer: bytes, at: int) -> Header | None:
        """The header at `at`, of 8 or 12 bytes; None where the buffer ends too early (8 bytes are there).

        Inside explicit VR a header whose VR is no two capital letters is taken for implicit VR, as pydicom
        does; a VR of a future edition has the long form if its two next bytes are zero, the short one if not.
        """
        tag, field = self.tag(buffer, at), buffer[at + 4 : at + 6]
        if self.implicit or not (field.isalpha() and field.isascii() and field.isupper()) or tag >> 16 == 0xFFFE:
            return Header(tag, None, self._u32(buffer, at + 4)[0], 8)
        vr = field.decode("ascii")
        if vr in SHORT or (vr not in LONG and self._u16(buffer, at + 6)[0]):
            return Header(tag, vr, self._u16(buffer, at + 6)[0], 8)
        if len(buffer) - at < 12:
            return None
        return Header(tag, vr, self._u32(buffer, at + 8)[0], 12)

    def learn(self, tag: int, key: bytes, size: int, vr: str) -> None:
        """Remembers the header of `tag` that begins with `key`, if elements like it mean the same in every file."""
        group = tag >> 16
        if tag in _TELLING or vr == "UN" or group == 0xFFFE or self.group not in (None, group):
            return
        if group & 1 and (self.implicit or tag & 0xFFFF < 0x100):  # private: its block tells
            return
        entry = dictionary.entry(tag)
        if self.implicit and (vr == "SQ" or entry is None or entry[0] != vr):  # what stands around it told
            return
        if len(self.known) >= _MOST_KNOWN:
            self.known.clear()
        read, at = (self._u32, size - 4) if self.implicit or size == 12 else (self._u16, 6)
        self.known[key] = (f"{tag:08X}", vr, entry and entry[1], converter(vr, self.order), read, at, size)


def guess(head: bytes, transfer_syntax: str | None) -> Syntax:
    """The syntax of a data set from its first bytes and its Transfer Syntax UID, None where that is missing.

    Every syntax but two is explicit VR little endian (PS3.5 A). Where the first element contradicts the UID,
    the element is right. Without a UID this does as pydicom does.
    """
    first, field = head[:2], head[4:6]
    if transfer_syntax is None:
        explicit = field.decode("latin-1") in SHORT | LONG
        big = explicit and len(first) == 2 and first[1] >= 4
    else:
        explicit = transfer_syntax != IMPLICIT_LITTLE
        big = transfer_syntax == EXPLICIT_BIG
        if len(field) == 2:
            explicit = all(0x40 < letter < 0x5B for letter in field)
    # group 0008 is where nearly every data set begins; there is no group 0800
    big = first == b"\x00\x08" or (big and first != b"\x08\x00")
    return Syntax(implicit=not explicit, order=">" if big else "<")
