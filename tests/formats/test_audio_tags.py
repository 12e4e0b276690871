"""Tags of WAVE and FLAC read by memx itself: what FFmpeg says of the same bytes."""

import struct
from pathlib import Path

import pytest
import soundfile

from memx.formats.audio.libav import AvFile
from memx.formats.audio.tags import Tags, read_tags
from memx.formats.base import ReadOptions
from memx.sources import open_source
from tests.samples import audio as samples


def chunk(kind: bytes, body: bytes, order: str = "<") -> bytes:
    return kind + struct.pack(f"{order}I", len(body)) + body + b"\0" * (len(body) % 2)


def wave_with(folder: Path, *chunks: bytes, form: bytes = b"RIFF") -> Path:
    path = samples.wave(folder / "tagged.wav", bytes(800), form=form)
    raw = path.read_bytes() + b"".join(chunks)
    path.write_bytes(raw[:4] + struct.pack(">I" if form == b"RIFX" else "<I", len(raw) - 8) + raw[8:])
    return path


def flac_with(folder: Path, *blocks: tuple[int, bytes]) -> Path:
    plain = folder / "plain.flac"
    soundfile.write(plain, samples.signal(0.1), samples.RATE)
    raw = plain.read_bytes()
    path = folder / "tagged.flac"
    bodies = b"".join(struct.pack(">I", kind << 24 | len(body)) + body for kind, body in blocks)
    path.write_bytes(raw[:4] + bytes((raw[4] & 127,)) + raw[5:42] + bodies + raw[42:])
    return path


def comments(*items: bytes) -> tuple[int, bytes]:
    listed = b"".join(struct.pack("<I", len(item)) + item for item in items)
    return 4, struct.pack("<I", 4) + b"memx" + struct.pack("<I", len(items)) + listed


def picture(data: bytes, mime: bytes = b"image/png") -> tuple[int, bytes]:
    head = struct.pack(">II", 3, len(mime)) + mime + struct.pack(">I", 5) + b"cover"
    return 6, head + struct.pack(">IIIII", 2, 1, 24, 0, len(data)) + data


def tags_of(path: Path, limit: int = 1 << 16) -> Tags | None:
    with open_source(path) as source:
        return read_tags(source, limit)


def assert_as_ffmpeg_has_it(path: Path) -> None:
    found = tags_of(path)
    assert found is not None
    file = AvFile(str(path), ReadOptions())
    theirs = dict(file.streams()[0]["tags"])
    file.close()
    theirs.pop("encoder", None)
    assert found.tags == theirs
    assert found.tags


def test_every_name_of_riff(tmp_path: Path) -> None:
    names = ["IART", "ICMT", "ICOP", "ICRD", "IGNR", "ILNG", "INAM", "IPRD", "IPRT", "ISFT", "ISMP", "ITCH", "IXYZ"]
    info = b"".join(chunk(name.encode(), f"value {name}".encode() + b"\0") for name in names if name != "ISFT")
    assert_as_ffmpeg_has_it(wave_with(tmp_path, chunk(b"LIST", b"INFO" + info)))


def test_broadcast_extension(tmp_path: Path) -> None:
    texts = [b"Description".ljust(256, b"\0"), b"Originator".ljust(32, b"\0"), b"Reference".ljust(32, b"\0")]
    fixed = b"".join(texts) + b"2024-01-02" + b"03:04:05" + struct.pack("<QH", 123456789, 1) + b"\1" * 64 + bytes(190)
    assert_as_ffmpeg_has_it(wave_with(tmp_path, chunk(b"bext", fixed + b"A=PCM,F=8000\r\n")))


def test_vorbis_comments(tmp_path: Path) -> None:
    items = (b"TITLE=Ein St\xc3\xbcck", b"artist=A", b"ARTIST=B", b"TRACKNUMBER=3", b"DISCNUMBER=1", b"ALBUMARTIST=C")
    odd = (b"DESCRIPTION=x=y", b"EMPTY=", b"no equals", b"BAD=\xff", b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK=0x3")
    found = tags_of(flac_with(tmp_path, comments(*items, *odd)))
    assert found is not None
    assert found.tags == {
        "TITLE": "Ein Stück",
        "ARTIST": "A;B",
        "track": "3",
        "disc": "1",
        "album_artist": "C",
        "comment": "x=y",
        "BAD": "\\xff",
    }


@pytest.mark.parametrize("limit", [1 << 16, 3])
def test_a_value_that_is_too_long_is_not_read(limit: int, tmp_path: Path) -> None:
    path = wave_with(tmp_path, chunk(b"LIST", b"INFO" + chunk(b"INAM", b"a title\0")))
    found = tags_of(path, limit)
    assert found is not None
    offset = path.read_bytes().index(b"a title")
    assert found.tags == {"title": "a title" if limit > 8 else {"offset": offset, "length": 8, "bulk": True}}


def test_pictures_are_named_and_not_read(tmp_path: Path) -> None:
    path = flac_with(tmp_path, picture(b"\x89PNG" * 20))
    found = tags_of(path)
    assert found is not None
    offset = path.read_bytes().index(b"\x89PNG")
    described = {"kind": 3, "media_type": "image/png", "description": "cover", "width": 2, "height": 1}
    assert found.pictures == [{**described, "offset": offset, "length": 80, "bulk": True}]


@pytest.mark.parametrize("kind", [b"id3 ", b"ID3 "])
def test_id3_is_left_to_ffmpeg(kind: bytes, tmp_path: Path) -> None:
    assert tags_of(wave_with(tmp_path, chunk(kind, b"ID3\3\0\0\0\0\0\0"))) is None


def test_lengths_that_lie_end_the_reading(tmp_path: Path) -> None:
    lying = chunk(b"INAM", b"kept\0") + b"IART" + struct.pack("<I", 0xFFFFFFFF)
    found = tags_of(wave_with(tmp_path, chunk(b"LIST", b"INFO" + lying)))
    assert found is not None
    assert found.tags == {"title": "kept"}
    kind, body = comments(b"TITLE=kept", b"")
    path = flac_with(tmp_path, (kind, body[:-4] + b"\xff\xff\xff\x7f"))
    found = tags_of(path)
    assert found is not None
    assert found.tags == {"TITLE": "kept"}


def test_chunks_without_end(tmp_path: Path) -> None:
    path = wave_with(tmp_path, chunk(b"junk", b"") * 50_000)
    found = tags_of(path)
    assert found is not None
    assert found.tags == {}
