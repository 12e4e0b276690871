"""DICOM: much pixel data, many fragments, many elements, many files."""

import os
import struct
from pathlib import Path

from pydicom._dicom_dict import DicomDictionary

from tests.bench.row import MIB, Peer, Row
from tests.samples.dicom import EXPLICIT, JPEG, UNDEFINED, Writer, file

SMALL_FILES, SMALL_ELEMENTS = 2_000, 80
FRAMES = 5_000

_VALUES: dict[str, bytes | str] = {
    "AS": "042Y",
    "CS": "ORIGINAL",
    "DA": "20200229",
    "DS": r"0.5\1.25\-3",
    "FD": struct.pack("<d", 0.5),
    "IS": "7",
    "LO": "a description of it",
    "PN": "Doe^Jane",
    "SH": "short",
    "TM": "101112.5",
    "UI": "1.2.840.113619.2.176.3596.3364818.7819.1259708454.105",
    "US": struct.pack("<H", 7),
}
_CHARACTER_SET = 0x00080005


def elements(count: int, writer: Writer) -> bytes:
    """`count` public elements of groups 0008 to 0020, evenly from among those that are there."""
    known = [
        (tag, row[0])
        for tag, row in sorted(DicomDictionary.items())
        if 0x0008 <= tag >> 16 <= 0x0020 and row[0] in _VALUES and not row[3] and tag != _CHARACTER_SET
    ]
    step = len(known) / count
    return b"".join(writer.element(tag, vr, _VALUES[vr]) for tag, vr in (known[int(n * step)] for n in range(count)))


def image(writer: Writer, bits: int) -> bytes:
    """The eight elements without which pixel data mean nothing (PS3.3 C.7.6.3)."""
    numbers = {
        0x00280010: 512,
        0x00280011: 512,
        0x00280100: bits,
        0x00280101: bits,
        0x00280102: bits - 1,
        0x00280103: 0,
    }
    return (
        writer.numbers(0x00280002, "US", "H", 1)
        + writer.element(0x00280004, "CS", "MONOCHROME2")
        + b"".join(writer.numbers(tag, "US", "H", value) for tag, value in numbers.items())
    )


def behind(writer: Writer) -> bytes:
    """Elements behind the pixel data."""
    return writer.element(0xFFFAFFFA, "SQ") + writer.element(0xFFFCFFFC, "OB", bytes(4))


def pixels(folder: Path) -> Path:
    """500 MB of native pixels, sixty elements before them and some behind."""
    writer, path = Writer(), folder / "pixels.dcm"
    length = 500_000_000
    block = os.urandom(1_000_000)
    with path.open("wb") as out:
        out.write(file(elements(60, writer) + image(writer, 16)) + writer.header(0x7FE00010, "OW", length))
        for _ in range(length // len(block)):
            out.write(block)
        out.write(behind(writer))
    return path


def fragments(folder: Path) -> Path:
    """500 MB in 5,000 fragments."""
    writer, path = Writer(JPEG), folder / "fragments.dcm"
    fragment = os.urandom(100_000)
    with path.open("wb") as out:
        head = elements(60, writer) + image(writer, 8) + writer.header(0x7FE00010, "OB", UNDEFINED)
        out.write(file(head, JPEG) + writer.item(b""))
        for _ in range(FRAMES):
            out.write(writer.item(fragment))
        out.write(writer.mark(0xFFFEE0DD) + behind(writer))
    return path


def frame(number: int, writer: Writer) -> bytes:
    """The thirteen elements of a frame's functional groups (PS3.3 C.7.6.16)."""
    content = (
        writer.element(0x00189074, "DT", f"20200229{number % 86_400:06d}")
        + writer.element(0x00189151, "DT", f"20200229{number % 86_400:06d}")
        + writer.element(0x00209056, "SH", str(number))
        + writer.numbers(0x00209057, "UL", "L", number)
        + writer.numbers(0x00209157, "UL", "L", 1, number)
    )
    spacing = writer.element(0x00180050, "DS", "1.25") + writer.element(0x00280030, "DS", r"0.5\0.5")
    return (
        writer.sequence(0x00209111, content)
        + writer.sequence(0x00209113, writer.element(0x00200032, "DS", rf"-120.5\-98.25\{number * 1.25}"))
        + writer.sequence(0x00209116, writer.element(0x00200037, "DS", r"1\0\0\0\1\0"))
        + writer.sequence(0x00289110, spacing)
    )


def frames(folder: Path, count: int = FRAMES) -> Path:
    """`count` items of thirteen elements."""
    writer, path = Writer(), folder / "frames.dcm"
    items = writer.sequence(0x52009230, *(frame(number, writer) for number in range(1, count + 1)))
    path.write_bytes(file(elements(20, writer) + items, EXPLICIT))
    return path


def small_files(folder: Path) -> Path:
    """2,000 files of 80 elements, the last one 8 KiB of pixels."""
    writer = Writer()
    data = elements(SMALL_ELEMENTS - 9, writer) + image(writer, 16) + writer.element(0x7FE00010, "OW", bytes(8192))
    for number in range(SMALL_FILES):
        (folder / f"{number:04}.dcm").write_bytes(file(data))
    return folder


_GDCMDUMP = Peer("gdcmdump {}", 0.5, "libgdcm-tools")

ROWS = (
    Row(
        "dicom-pixels",
        "DICOM, 500 MB native pixels, every element",
        pixels,
        "stream {}",
        (_GDCMDUMP,),
        peak=32 * MIB,
    ),
    Row(
        "dicom-fragments",
        "DICOM, 500 MB in 5,000 fragments",
        fragments,
        "stream {}",
        (_GDCMDUMP, Peer("exiftool -j {}", 1.0, "libimage-exiftool-perl")),
        peak=32 * MIB,
    ),
    Row(
        "dicom-frames",
        "DICOM, 5,000 frame items, 65,000 elements",
        frames,
        "stream {}",
        (Peer("dcm2json {}", 1.2, "dcmtk"),),
        peak=36 * MIB,
    ),
    Row(
        "dicom-files",
        "2,000 small DICOM files, one process",
        small_files,
        "stream {}/*.dcm",
        (Peer("dcmdump {}/*.dcm", 1.5, "dcmtk"),),
        peak=36 * MIB,
    ),
)
