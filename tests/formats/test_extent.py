"""What containers announce, and whether it is there."""

import io
import struct

import pytest

from memx.formats.extent import boxes, cut_off
from memx.sources import open_source


def judged(data: bytes, container: str) -> str | None:
    error = cut_off(open_source(io.BytesIO(data)), container)
    if error is None:
        return None
    assert error.offset == len(data)
    return error.message


def box(kind: bytes, size: int, there: int | None = None) -> bytes:
    header = struct.pack(">I4s", size, kind) if size < 1 << 32 else struct.pack(">I4sQ", 1, kind, size)
    return header.ljust(size if there is None else there, b"\0")


def ebml(name: str, size: bytes, body: bytes = b"") -> bytes:
    return bytes.fromhex(name) + size + body


HEADER = ebml("1a45dfa3", b"\x84", bytes(4))
UNKNOWN = b"\x01" + b"\xff" * 7
OGG = b"OggS\0\0" + bytes(20)
WHOLE = {
    "mp4": ("mov", box(b"ftyp", 16) + box(b"moov", 100) + box(b"mdat", 1000)),
    "mdat to the end": ("mov", box(b"ftyp", 16) + box(b"mdat", 0, 500)),
    "mp4 with junk behind": ("mov", box(b"ftyp", 16) + b"\xde\xad\xbe\xef" * 9),
    "mp4 with an unknown box too long": ("mov", box(b"ftyp", 16) + box(b"abcd", 1 << 20, 40)),
    "mp4 with zeros behind": ("mov", box(b"ftyp", 16) + bytes(7)),
    "mkv": ("matroska", HEADER + ebml("18538067", b"\x8a", bytes(10))),
    "live mkv": ("matroska", HEADER + ebml("18538067", UNKNOWN, ebml("1f43b675", b"\x83", bytes(3)))),
    "live mkv and cluster": ("matroska", HEADER + ebml("18538067", UNKNOWN, ebml("1f43b675", UNKNOWN, bytes(3)))),
    "avi": ("avi", b"RIFF\x0c\0\0\0AVI " + bytes(8)),
    "open-dml": ("avi", b"RIFF\x05\0\0\0AVI \0\0" + b"RIFF\x04\0\0\0AVIX"),
    "unfinished avi": ("avi", b"RIFF\0\0\0\0AVI " + bytes(30)),
    "ogg": ("ogg", OGG + b"\2\3\4" + bytes(7)),
    "asf": ("asf", bytes(16) + struct.pack("<Q", 30) + bytes(6) + bytes(16) + struct.pack("<Q", 28) + bytes(4)),
    "live asf": ("asf", bytes(16) + struct.pack("<Q", 24) + bytes(16) + struct.pack("<Q", 0) + bytes(4)),
    "asf of no length": ("asf", bytes(16) + struct.pack("<Q", 24) + bytes(16) + struct.pack("<Q", 1 << 54)),
    "transport": ("mpegts", (b"G" + bytes(187)) * 6),
    "transport with junk": ("mpegts", (b"G" + bytes(187)) * 25 + b"junk"),
    "flash": ("swf", b"FWS\6" + struct.pack("<I", 20) + bytes(12)),
    "nothing known": ("flv", b"FLV\1"),
    "empty": ("mov", b""),
}
CUT = {
    "mdat": ("mov", box(b"ftyp", 16) + box(b"mdat", 1000, 500), "mdat box at 16, which announces bytes up to 1016"),
    "mdat of 64 bits": ("mov", box(b"ftyp", 16) + box(b"mdat", 1 << 40, 500), "up to 1099511627792"),
    "moov": ("mov", box(b"moov", 4 << 20, 300), "moov box at 0"),
    "mkv": ("matroska", HEADER + ebml("18538067", b"\x8a", bytes(9)), "element 0x18538067 at 9"),
    "mkv in its header": ("matroska", HEADER[:7], "element 0x1A45DFA3 at 0"),
    "live mkv": (
        "matroska",
        HEADER + ebml("18538067", UNKNOWN, ebml("1f43b675", b"\x83", bytes(2))),
        "element 0x1F43B675 at 21",
    ),
    "avi": ("avi", b"RIFF\x0d\0\0\0AVI " + bytes(8), "RIFF chunk at 0"),
    "second riff": ("avi", b"RIFF\x04\0\0\0AVI " + b"RIFF\xff\0\0\0AVIX", "RIFF chunk at 12"),
    "ogg": ("ogg", OGG + b"\2\3\4" + bytes(6), "page at 0, which announces bytes up to 36"),
    "ogg in its table": ("ogg", OGG + b"\x09\3\4", "page at 0"),
    "asf": ("asf", bytes(16) + struct.pack("<Q", 24) + bytes(16) + struct.pack("<Q", 99), "Data Object at 24"),
    "transport": ("mpegts", ((b"G" + bytes(187)) * 26)[:-1], "transport packet at 4700"),
    "flash": ("swf", b"FWS\6" + struct.pack("<I", 21) + bytes(12), "Flash file at 0"),
}


@pytest.mark.parametrize(("container", "data"), WHOLE.values(), ids=WHOLE)
def test_whole(container: str, data: bytes) -> None:
    assert judged(data, container) is None


@pytest.mark.parametrize(("container", "data", "where"), CUT.values(), ids=CUT)
def test_cut(container: str, data: bytes, where: str) -> None:
    message = judged(data, container)
    assert message is not None
    assert where in message


def test_boxes_that_never_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memx.formats.extent._MOST_PARTS", 10)
    data = box(b"free", 8) * 1000
    assert len(list(boxes(open_source(io.BytesIO(data)), len(data)))) == 10


def test_a_box_of_no_length_ends_the_walk() -> None:
    assert list(boxes(open_source(io.BytesIO(box(b"ftyp", 4, 64))), 64)) == []
