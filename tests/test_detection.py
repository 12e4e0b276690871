"""Which format a file is of: its bytes decide, for any bytes and any name."""

import bz2
import gzip
import io
import lzma
import random
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.errors import UsageError
from memx.formats import FORMATS, HEAD, StreamingExtractionFactory, detect, format_names
from memx.formats.signatures import HDF5_SIGNATURE
from memx.sources import open_source

SUFFIXES = sorted({suffix for row in FORMATS for suffix in row.suffixes} | {"", ".txt", ".gz", ".mp2", ".dat"})
MAGIC = [
    b"DICM",
    b"\x08\0\x05\0CS",
    b"SIMPLE  =                    T",
    HDF5_SIGNATURE,
    b"CDF\x01",
    b"CDF\x05",
    b"RIFF\xff\xff\xff\xffWAVE",
    b"RIFF\xff\xff\xff\xffAVI ",
    b"fLaC",
    b"ID3\x04\0\0\0\0\0\0",
    b"\xff\xfb\x90\x64",
    b"\xff\xf1\x50\x80",
    b"\x0b\x77",
    b"OggS\0\x02",
    b"FORM\0\0\0\0AIFF",
    b"\x1a\x45\xdf\xa3",
    b"\0\0\0\x18ftypisom",
    b"\0\0\0\x08free",
    b"\x47\x40\0\x10",
    b"\0\0\1\xba\x44",
    b"\x1f\x8b\x08\0\0\0\0\0\0\0",
    b"BZh91AY&SY",
    b"\xfd7zXZ\0",
]
NO_SOUND_SUFFIX = [suffix for suffix in SUFFIXES if suffix not in (".mp3", ".mp2", ".aac", ".opus")]
"""What is named like sound without a container is tried by the libraries, whose `no` the contract suite tests."""


def key_of(head: bytes, suffix: str = "") -> str:
    """The key of the row that a file with these bytes and this name is of, by detection alone."""
    file = io.BytesIO(head)
    file.name = f"name{suffix}"  # type: ignore[misc] # a file object that has a name
    with open_source(file) as source:
        return detect(source).key


@given(st.binary(max_size=600), st.sampled_from(SUFFIXES))
@example(b"", ".dcm")
def test_any_bytes_have_a_format(head: bytes, suffix: str) -> None:
    assert key_of(head, suffix) in {row.key for row in FORMATS}


@given(
    st.integers(0, 200), st.sampled_from(MAGIC), st.integers(0, 30), st.binary(max_size=300), st.sampled_from(SUFFIXES)
)
def test_broken_signatures_break_nothing(before: int, magic: bytes, cut: int, after: bytes, suffix: str) -> None:
    head = bytes(before) + magic[: max(1, len(magic) - cut)] + after
    assert key_of(head, suffix) in {row.key for row in FORMATS}


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Z")), max_size=2000), st.sampled_from(SUFFIXES))
def test_prose_is_binary_whatever_its_name(prose: str, suffix: str) -> None:
    assert key_of(b"It reads: " + prose.encode("ascii"), suffix) == "binary"


@given(st.integers(1, HEAD * 2), st.integers(0, 255), st.sampled_from(NO_SOUND_SUFFIX))
def test_one_byte_again_and_again_is_binary(length: int, byte: int, suffix: str) -> None:
    if byte != 0x47:  # the synchronization byte of transport streams
        assert key_of(bytes([byte]) * length, suffix) == "binary"


@given(st.integers(0, 1 << 30), st.integers(1, HEAD), st.sampled_from(NO_SOUND_SUFFIX))
def test_noise_is_binary_whatever_its_name(seed: int, length: int, suffix: str) -> None:
    head = b"\x01" + random.Random(seed).randbytes(length - 1)
    assert key_of(head, suffix) == "binary"


@pytest.mark.parametrize(
    "head",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        b"GIF89a",
        b"BM\x36\0\x03\0\0\0\0\0",
        b"II*\0\x08\0\0\0",
        b"%PDF-1.7\n",
        b"PK\x03\x04\x14\0\0\0\x08\0",
        b"7z\xbc\xaf\x27\x1c",
        b"\x7fELF\x02\x01\x01\0",
        b"MZ\x90\0\x03",
        b"SQLite format 3\0",
        b"\x0e\x03\x13\x01",
        b"PAR1",
        b"GRIB\0\0\0\x02",
        b"RIFF\x24\0\0\0WEBPVP8 ",
        b"MThd\0\0\0\x06",
        b"OggX",
        b"#!/bin/sh\n",
        b"<?xml version='1.0'?>",
        b'{"SIMPLE": true}',
        b"SIMPLE things first",
        b"CDF",
        b"CDF\x03",
        b"\0\0\0\x20ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf",
    ],
    ids=lambda head: head[:12].hex(),
)
def test_what_memx_does_not_know_is_binary(head: bytes) -> None:
    for suffix in NO_SOUND_SUFFIX:
        assert key_of(head + bytes(200), suffix) == "binary", suffix


FITS = b"SIMPLE  =                    T".ljust(80) + b"BITPIX  =                    8".ljust(80)
FITS += b"NAXIS   =                    0".ljust(80) + b"END".ljust(2880 - 240)


@pytest.mark.parametrize("suffix", [".fits", ".dcm", ".h5", ".mp4", ".wav", ""])
@pytest.mark.parametrize(
    ("key", "head"),
    [
        ("fits", FITS),
        ("dicom", bytes(128) + b"DICM\x02\0\0\0UL\x04\0\0\0\0\0"),
        ("hdf5", HDF5_SIGNATURE + bytes(88)),
        ("netcdf", b"CDF\x01" + bytes(28)),
        ("netcdf", b"CDF\x02" + bytes(28)),
        ("netcdf", b"CDF\x05" + bytes(44)),
        ("pcm", b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + bytes(24)),
        ("audio", b"fLaC\x80\0\0\x22" + bytes(34)),
        ("pcm", b"FORM\0\0\0\x2eAIFFCOMM" + bytes(30)),
        ("isobmff", b"\0\0\0\x14ftypisom\0\0\0\0isom"),
        ("matroska", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01"),
        ("avi", b"RIFF\x24\0\0\0AVI LIST"),
    ],
)
def test_a_signature_stands_under_any_name(key: str, head: bytes, suffix: str) -> None:
    assert key_of(head, suffix) == key


@pytest.mark.parametrize("exponent", range(16))
def test_hdf5_behind_a_user_block(exponent: int, tmp_path: Path) -> None:
    """The signature stands at 0, 512, 1024, 2048 and so on, doubled; nowhere else."""
    path = tmp_path / "user block"
    path.write_bytes(b"\x01" * (256 << exponent) + HDF5_SIGNATURE + bytes(88))
    with open_source(path) as source:
        assert detect(source).key == ("hdf5" if exponent else "binary")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bzip2", "xz"])
def test_through_compression(compress: object) -> None:
    assert callable(compress)
    assert key_of(compress(FITS)) == "fits"
    assert key_of(compress(b"no format of ours"), ".fits") == "binary"
    assert key_of(compress(compress(FITS)), ".fits") == "binary"
    assert key_of(compress(FITS)[:-20][:30], ".fits.gz") in ("fits", "binary")


def test_a_bomb_is_not_inflated_to_be_detected() -> None:
    bomb = gzip.compress(bytes(64 << 20), 9)
    assert key_of(bomb, ".fits.gz") == "binary"


def test_zlib_streams_are_no_compressed_files() -> None:
    assert key_of(zlib.compress(FITS)) == "binary"


def test_the_user_may_say_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(FITS)
    with open_source(path) as source:
        assert detect(source, "binary").name == "binary"
        for name in format_names():
            assert detect(source, name).name == name
        with pytest.raises(UsageError, match="choose from dicom, "):
            detect(source, "jpeg")


def test_detection_reads_little_and_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with open_source(path) as source:
        assert detect(source).key == "binary"
        assert source.tell() == 0
        assert source.bytes_read < 2 * HEAD


def test_a_wrong_name_costs_nothing_in_a_pipe() -> None:
    file = io.BytesIO(b"some text that is no DICOM")
    file.name = "x.dcm"  # type: ignore[misc] # a file object that has a name
    records = list(Stream(file, StreamOptions()).records())
    assert [record["type"] for record in records] == ["file", "chunk", "digest", "end"]
    assert records[0]["format"] == "binary"


def test_the_factory_knows_what_has_structure(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(FITS)
    assert StreamingExtractionFactory.supports_streaming(path)
    assert not StreamingExtractionFactory.supports_streaming(io.BytesIO(b"bytes"))
    with StreamingExtractionFactory.get_reader(io.BytesIO(b"bytes")) as reader:
        assert [record["type"] for record in reader] == ["chunk", "digest"]
