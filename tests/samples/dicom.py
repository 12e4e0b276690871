"""DICOM files and parts of them, byte by byte (PS3.5 7, PS3.10 7)."""

import struct
import zlib
from pathlib import Path

IMPLICIT, EXPLICIT, DEFLATED, BIG, JPEG = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2", ".4.50"))
UNDEFINED = 0xFFFFFFFF
_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


class Writer:
    """Writes elements in one syntax; everything it returns are bytes."""

    def __init__(self, syntax: str = EXPLICIT) -> None:
        self.implicit = syntax == IMPLICIT
        self.order = ">" if syntax == BIG else "<"

    def header(self, tag: int, vr: str, length: int) -> bytes:
        start = struct.pack(f"{self.order}HH", tag >> 16, tag & 0xFFFF)
        if self.implicit:
            return start + struct.pack(f"{self.order}L", length)
        if vr in _LONG:
            return start + vr.encode() + struct.pack(f"{self.order}HL", 0, length)
        return start + vr.encode() + struct.pack(f"{self.order}H", length)

    def element(self, tag: int, vr: str, value: bytes | str = b"") -> bytes:
        """An element with `value`, padded to an even length."""
        raw = value.encode("latin-1") if isinstance(value, str) else value
        if len(raw) % 2:
            raw += b"\0" if vr in ("UI", "OB", "UN") else b" "
        return self.header(tag, vr, len(raw)) + raw

    def numbers(self, tag: int, vr: str, code: str, *values: float) -> bytes:
        return self.element(tag, vr, struct.pack(f"{self.order}{len(values)}{code}", *values))

    def mark(self, tag: int, length: int = 0) -> bytes:
        """An item or a delimiter."""
        return struct.pack(f"{self.order}HHL", tag >> 16, tag & 0xFFFF, length)

    def item(self, content: bytes, *, defined: bool = True) -> bytes:
        if defined:
            return self.mark(0xFFFEE000, len(content)) + content
        return self.mark(0xFFFEE000, UNDEFINED) + content + self.mark(0xFFFEE00D)

    def sequence(self, tag: int, *items: bytes, defined: bool = True, vr: str = "SQ") -> bytes:
        """A sequence whose items, and itself, tell their lengths, or end with delimiters."""
        content = b"".join(self.item(item, defined=defined) for item in items)
        if defined:
            return self.header(tag, vr, len(content)) + content
        return self.header(tag, vr, UNDEFINED) + content + self.mark(0xFFFEE0DD)

    def encapsulated(self, *fragments: bytes, table: bytes = b"") -> bytes:
        """Pixel Data of `fragments` behind an offset table."""
        content = b"".join(self.item(fragment) for fragment in (table, *fragments))
        return self.header(0x7FE00010, "OB", UNDEFINED) + content + self.mark(0xFFFEE0DD)


def meta(syntax: str) -> bytes:
    """Preamble, prefix and file meta information."""
    writer = Writer()
    content = (
        writer.element(0x00020001, "OB", b"\0\1")
        + writer.element(0x00020002, "UI", "1.2.840.10008.5.1.4.1.1.4")
        + writer.element(0x00020003, "UI", "1.2.3.4")
        + writer.element(0x00020010, "UI", syntax)
    )
    return bytes(128) + b"DICM" + writer.numbers(0x00020000, "UL", "L", len(content)) + content


def file(data_set: bytes, syntax: str = EXPLICIT) -> bytes:
    """A whole file."""
    if syntax == DEFLATED:
        engine = zlib.compressobj(wbits=-15)
        data_set = engine.compress(data_set) + engine.flush()
    return meta(syntax) + data_set


def data_set(syntax: str = EXPLICIT) -> bytes:
    """Elements of every kind but pixel data."""
    writer = Writer(syntax)
    code = writer.element(0x00080100, "SH", "T-11500") + writer.element(0x00080104, "LO", "Spine")
    inner = writer.sequence(0x00082218, code, defined=False)
    return b"".join(
        [
            writer.element(0x00080005, "CS", "ISO_IR 100"),
            writer.element(0x00080008, "CS", r"DERIVED\SECONDARY\\MPR"),
            writer.element(0x00080020, "DA", "20200229"),
            writer.element(0x00081030, "LO", "R\xfccken"),
            writer.sequence(0x00081111),
            writer.sequence(0x00081115, writer.element(0x0020000E, "UI", "1.2.5") + inner, code),
            writer.element(0x00100010, "PN", "Doe^Jane=x^y=z"),
            writer.element(0x00100040, "CS"),
            writer.numbers(0x00189087, "FD", "d", 0.5),
            writer.element(0x00200013, "IS", "7"),
            writer.element(0x00200032, "DS", r"-1.5\0\2.25e2"),
            writer.numbers(0x00280010, "US", "H", 2),
            writer.numbers(0x00280103, "US", "H", 1),
            writer.numbers(0x00280106, "SS", "h", -5),
            writer.element(0x00290010, "LO", "SIEMENS CSA HEADER"),
            writer.element(0x00291008, "CS", "IMAGE NUM 4"),
            writer.sequence(0x00400275, b"", code, defined=False),
            writer.element(0x60003000, "OW", b"\1\2\3\4"),
        ]
    )


def build(folder: Path) -> Path:
    """An encapsulated image of three fragments with sequences, a private block, and an element behind its pixels."""
    writer = Writer(JPEG)
    pixels = writer.encapsulated(b"\xff\xd8" * 50, b"\xff\xd9" * 60, b"\0" * 70, table=struct.pack("<L", 0))
    path = folder / "sample.dcm"
    path.write_bytes(file(data_set(JPEG) + pixels + writer.element(0xFFFCFFFC, "OB", bytes(4)), JPEG))
    return path


def build_small(folder: Path) -> Path:
    """The structure of the giant in some 50 kB."""
    return _encapsulated(folder / "small.dcm", 1 << 10)


def build_giant(folder: Path) -> Path:
    """Fifty sparse fragments of 2 GiB."""
    return _encapsulated(folder / "giant.dcm", 2 << 30)


def _encapsulated(path: Path, length: int) -> Path:
    writer = Writer(JPEG)
    with path.open("wb") as out:
        out.write(file(data_set(JPEG), JPEG) + writer.header(0x7FE00010, "OB", UNDEFINED) + writer.item(b""))
        for _ in range(50):
            out.write(writer.mark(0xFFFEE000, length))
            out.seek(length, 1)
        out.write(writer.mark(0xFFFEE0DD) + writer.element(0xFFFCFFFC, "OB", bytes(4)))
    return path
