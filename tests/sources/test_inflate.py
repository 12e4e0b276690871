"""Compressed bytes, read forward: whole, in members, cut, broken, and blown up."""

import bz2
import gzip
import io
import lzma
import random
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.errors import CorruptFile, OverMemory
from memx.sources import InflatedSource, open_source
from memx.sources.inflate import compression, inflate_head

DATA = random.Random(3).randbytes(3000) + bytes(200_000) + b"the end"


def _deflate(data: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(data) + engine.flush()


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "deflate": _deflate,
}
SEVERAL = ("gzip", "bzip2", "xz")
kinds = pytest.mark.parametrize("kind", COMPRESS)


def inflated(packed: bytes, kind: str) -> InflatedSource:
    return InflatedSource(open_source(io.BytesIO(packed)), kind)


def all_of(source: InflatedSource, piece: int = 4096) -> tuple[bytes, CorruptFile | None]:
    """All that can be had, and what ended it."""
    parts = []
    try:
        while part := source.read(piece):
            parts.append(part)
    except CorruptFile as exc:
        return b"".join(parts), exc
    return b"".join(parts), None


@kinds
@pytest.mark.parametrize("piece", [1000, 70_000, 1 << 20])
def test_whole(kind: str, piece: int) -> None:
    source = inflated(COMPRESS[kind](DATA), kind)
    assert all_of(source, piece) == (DATA, None)
    assert source.tell() == len(DATA)
    assert not source.ended_early


@kinds
def test_empty(kind: str) -> None:
    source = inflated(COMPRESS[kind](b""), kind)
    assert source.read(10) == b""
    assert not source.ended_early


@pytest.mark.parametrize("kind", SEVERAL)
@pytest.mark.parametrize("zeros", [0, 4, 1 << 17])
def test_several_members_are_one_stream(kind: str, zeros: int) -> None:
    packed = bytes(zeros).join(COMPRESS[kind](part) for part in (DATA, b"", DATA[:100])) + bytes(zeros)
    source = inflated(packed, kind)
    assert all_of(source) == (DATA + DATA[:100], None)
    assert not source.ended_early


def test_raw_deflate_ends_at_its_end() -> None:
    source = inflated(_deflate(DATA) + b"more", "deflate")
    assert all_of(source) == (DATA, None)
    assert not source.ended_early


@kinds
def test_cut_anywhere(kind: str) -> None:
    packed = COMPRESS[kind](DATA)
    for cut in sorted(
        {*range(min(40, len(packed))), *range(40, len(packed), 97), *range(len(packed) - 12, len(packed))}
    ):
        source = inflated(packed[:cut], kind)
        data, fault = all_of(source)
        assert DATA.startswith(data)
        assert fault is None
        assert source.ended_early or cut == 0
        assert source.read(1) == b""


@kinds
def test_broken_anywhere(kind: str) -> None:
    packed = COMPRESS[kind](DATA)
    rng = random.Random(4)
    for _ in range(60):
        at = rng.randrange(len(packed))
        bad = bytearray(packed)
        bad[at] ^= 1 << rng.randrange(8)
        source = inflated(bytes(bad), kind)
        data, fault = all_of(source)
        if fault is not None:
            assert source.ended_early
            assert "compressed data is broken" in fault.message
            assert source.read(1) == b""  # said once
        assert len(data) <= 2 * len(DATA)


def test_what_was_inflated_before_a_break_is_given_first() -> None:
    packed = gzip.compress(DATA) + b"\x1f\x8b\x08garbage that is no member" * 10
    source = inflated(packed, "gzip")
    assert source.read(len(DATA) + 5) == DATA
    with pytest.raises(CorruptFile):
        source.read(1)
    assert source.read(1) == b""


def test_nothing_asked_for_is_no_fault() -> None:
    source = inflated(b"\x1f\x8b\x08garbage" * 10, "gzip")
    assert source.read(0) == b""
    with pytest.raises(CorruptFile):
        source.read(1)


@kinds
def test_a_bomb_takes_no_more_memory_than_was_asked_for(kind: str) -> None:
    packed = COMPRESS[kind](bytes(32 << 20))
    source = inflated(packed, kind)
    tracemalloc.start()
    try:
        source.read(1000)
        assert source.skip(31 << 20) == 31 << 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 12 << 20  # xz's dictionary alone is 8 MiB


def test_a_dictionary_beyond_bounds_is_refused() -> None:
    # its size stands in the block's header, so that no such dictionary is needed to write it
    packed = bytearray(lzma.compress(b"x"))
    at = packed.index(b"\x21\x01", 12) + 2
    packed[at] = 36  # 1 GiB (xz file format 1.1.0, 5.3.1)
    header = 12
    size = (packed[header] + 1) * 4
    packed[header + size - 4 : header + size] = zlib.crc32(packed[header : header + size - 4]).to_bytes(4, "little")
    with pytest.raises(OverMemory, match="128 MiB"):
        inflated(bytes(packed), "xz").read(1)


@given(
    st.sampled_from(sorted(COMPRESS)),
    st.binary(max_size=3000),
    st.lists(st.tuples(st.sampled_from(["read", "readinto", "skip"]), st.integers(0, 900)), max_size=12),
    st.integers(0, 1000),
)
def test_any_way_through(kind: str, data: bytes, steps: list[tuple[str, int]], ahead: int) -> None:
    source, at = inflated(COMPRESS[kind](data), kind), 0
    assert source.peek(ahead) == data[:ahead]
    for way, length in steps:
        expected = data[at : at + length]
        if way == "read":
            assert source.read(length) == expected
        elif way == "readinto":
            buffer = bytearray(length)
            assert source.readinto(memoryview(buffer)) == len(expected)
            assert bytes(buffer[: len(expected)]) == expected
        else:
            assert source.skip(length) == len(expected)
        at += len(expected)
        assert source.tell() == at


@pytest.mark.parametrize("kind", SEVERAL)
def test_compression_is_told_by_the_first_bytes(kind: str) -> None:
    packed = COMPRESS[kind](DATA)
    assert compression(packed) == kind
    assert inflate_head(packed[:4096], kind, 512) == DATA[:512]
    assert inflate_head(packed[:6] + b"\xff" * 500, kind, 512) == b""


def test_what_is_not_compressed() -> None:
    assert compression(b"SIMPLE  = T") is None
    assert compression(b"") is None
    assert inflate_head(b"", "gzip", 10) == b""


def test_only_compressed_bytes_count_as_read() -> None:
    packed = gzip.compress(DATA)
    source = inflated(packed, "gzip")
    assert source.skip(1 << 30) == len(DATA)
    assert source.bytes_read == len(packed)
