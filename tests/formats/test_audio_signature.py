"""Sound told by its first bytes, and other bytes not taken for sound."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.formats import detect, framesync
from memx.formats.signatures import is_audio
from memx.sources import open_source
from tests.samples import audio as samples

MPEG = {
    "layer III": bytes.fromhex("fffb9000"),  # 128 kbit/s at 44,100 Hz: 417 bytes
    "layer II": bytes.fromhex("fffd8000"),
    "layer I": bytes.fromhex("ffff6000"),
    "MPEG-2 layer III": bytes.fromhex("fff38000"),
    "MPEG-2.5 layer III": bytes.fromhex("ffe38000"),
}
ADTS = bytes.fromhex("fff1508003fffc")  # 31 bytes
AC3 = bytes.fromhex("0b77000014404300")  # 48,000 Hz, 192 kbit/s: 768 bytes
EAC3 = bytes.fromhex("0b7700ff3f860000")  # 512 bytes
LOAS = bytes.fromhex("56e010")  # 19 bytes


def frames(header: bytes, length: int, count: int) -> bytes:
    return header.ljust(length, b"\x55") * count


def mpeg(header: bytes, count: int) -> bytes:
    return frames(header, framesync.mpeg_frame(header, 0)[0], count)


BARE = {
    **{name: mpeg(header, 2) for name, header in MPEG.items()},
    "ADTS": frames(ADTS, 31, 2),
    "LOAS": frames(LOAS, 19, 3),
    "AC-3": frames(AC3, 768, 2),
    "E-AC-3": frames(EAC3, 512, 2),
}
HEADS = {
    **BARE,
    "WAVE": b"RIFF\x24\0\0\0WAVEfmt ",
    "WAVE, big endian": b"RIFX\0\0\0\x24WAVEfmt ",
    "RF64": b"RF64\xff\xff\xff\xffWAVEds64",
    "BW64": b"BW64\xff\xff\xff\xffWAVEds64",
    "QCP": b"RIFF\x24\0\0\0QLCMfmt ",
    "Wave64": bytes.fromhex("726966662e91cf11a5d628db04c10000"),
    "AIFF": b"FORM\0\0\0\x20AIFFCOMM",
    "AIFC": b"FORM\0\0\0\x20AIFCFVER",
    "8SVX": b"FORM\0\0\0\x20" + b"8SVXVHDR",
    "FLAC": b"fLaC\0\0\0\x22",
    "ID3": b"ID3\x03\0\0\0\0\x0f\x76",
    "Vorbis": b"OggS\0\2" + bytes(20) + b"\1\x1e\1vorbis" + bytes(23),
    "Opus": b"OggS\0\2" + bytes(20) + b"\1\x13OpusHead" + bytes(11),
    "CAF": b"caff\0\1\0\0desc",
    "AU": b".snd\0\0\0\x18",
    "VOC": b"Creative Voice File\x1a\x1a\0",
    "AMR": b"#!AMR\n",
    "APE": b"MAC \x96\x0f",
    "WavPack": b"wvpk\x20\0\0\0",
    "TTA": b"TTA1\1\0",
    "TAK": b"tBaK\1\r",
    "Musepack 8": b"MPCKSH",
    "Musepack 7": b"MP+\x07",
    "DSF": b"DSD \x1c\0\0\0\0\0\0\0",
    "DSDIFF": b"FRM8\0\0\0\0\0\0\1\0DSD FVER",
    "ADIF": b"ADIF\0\x3e",
    "DTS": b"\x7f\xfe\x80\x01\xfc",
    "NIST": b"NIST_1A\n   1024\n",
    "IRCAM": b"\x64\xa3\2\0",
    "RealAudio": b".ra\xfd\0\4",
    "Audible": b"\0\0\5\x2a\x57\x90\x75\x36",
}


@pytest.mark.parametrize("name", HEADS)
def test_the_bytes_alone_tell_sound(name: str) -> None:
    assert is_audio(HEADS[name].ljust(64, b"\x55"), "")


@pytest.mark.parametrize("name", BARE)
def test_one_frame_is_not_enough(name: str) -> None:
    length = len(BARE[name]) // (3 if name == "LOAS" else 2)
    assert not is_audio(BARE[name][:length].ljust(4096, b"\x55"), "")


@pytest.mark.parametrize("name", ["layer III", "AC-3"])
def test_three_frames_behind_other_bytes_are_sound(name: str) -> None:
    three = mpeg(MPEG[name], 3) if name in MPEG else frames(AC3, 768, 3)
    assert is_audio((b"\x11" * 100 + three).ljust(4096, b"\x55"), "")
    assert not is_audio((b"\x11" * 100 + three[: len(three) // 3 * 2]).ljust(4096, b"\x55"), "")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        bytes(4096),
        b"MThd\0\0\0\6\0\1\0\2",
        b"RIFF\x24\0\0\0AVI LIST",
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"FORM\0\0\0\x20ILBMBMHD",
        b"Extended Module: song",
        b"OggS\0\2" + bytes(20) + b"\1\x2a\x80theora" + bytes(35),
        b"OggS\0\2"
        + bytes(20)
        + b"\1\x1e\1vorbis"
        + bytes(23)
        + b"OggS\0\2"
        + bytes(20)
        + b"\1\x2a\x80theora"
        + bytes(35),
        "plain text\n".encode("utf-16"),
        b"\xff" * 4096,
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(4000),
    ],
)
def test_other_bytes_are_no_sound(head: bytes) -> None:
    assert not is_audio(head, "")


def test_a_suffix_tips_what_the_bytes_leave_open_and_no_text() -> None:
    assert is_audio(b"\x12\x34" * 100, ".mp3")
    assert not is_audio(b"\x12\x34" * 100, ".wav")
    assert not is_audio(b"plain text\n", ".mp3")
    assert not is_audio(b"", ".mp3")


@given(st.binary(max_size=4096))
def test_any_bytes_get_an_answer(head: bytes) -> None:
    assert is_audio(head, "") in (True, False)


@given(st.integers(0, 1 << 32))
def test_noise_is_no_sound(seed: int) -> None:
    import random

    assert not is_audio(b"\0" + random.Random(seed).randbytes(4095), "")


@given(st.binary(max_size=64), st.integers(0, 70))
def test_frame_headers_are_read_anywhere(data: bytes, at: int) -> None:
    for frame_at in (framesync.mpeg_frame, framesync.adts_frame, framesync.loas_frame, framesync.ac3_frame):
        length, common = frame_at(data, at)
        assert 0 <= length <= 1 << 13
        assert length or common is None


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("fffb9000", 417),
        ("fffb9200", 418),
        ("fff38000", 208),
        ("ffe38000", 417),
        ("fffd8000", 417),
        ("ffff6000", 208),
        ("fffb0000", 0),
        ("fffbf000", 0),
        ("ffeb9000", 0),
        ("fff99000", 0),
        ("fffb9c00", 0),
    ],
)
def test_lengths_of_mpeg_frames(header: str, length: int) -> None:
    assert framesync.mpeg_frame(bytes.fromhex(header), 0)[0] == length


@pytest.mark.parametrize("kind", samples.KINDS)
def test_real_files_are_told_without_their_name(kind: str, tmp_path: Path) -> None:
    path = samples.build_kind(tmp_path, kind).rename(tmp_path / "nameless")
    with open_source(path) as source:
        row = detect(source)
    assert row.name == ("video" if kind in ("m4a", "mka") else "audio")  # whose reader hands them on


def test_a_tag_in_front_of_frames() -> None:
    tag = b"ID3\x04\0\0" + bytes((0, 0, 0, 20)) + bytes(20)
    assert is_audio(tag + mpeg(MPEG["layer III"], 2), "")
    assert struct.unpack(">I", MPEG["layer III"])[0] >> 21 == 0x7FF
