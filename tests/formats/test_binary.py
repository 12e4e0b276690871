import hashlib
import io
import itertools
import math
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.formats import binary
from memx.formats.base import ReadOptions
from memx.formats.binary import PIECE, SHORT, BinaryStreamReader, PairCounter, count_simply, entropy
from memx.records import Record
from memx.sources import open_source
from tests.oracles.binary import disagreements
from tests.samples.binary import build


def read(origin: object, **options: int) -> list[Record]:
    with open_source(origin) as source, BinaryStreamReader(source, ReadOptions(**options)) as reader:
        return list(reader)


def test_agrees_with_a_plain_count(tmp_path: Path) -> None:
    path = build(tmp_path)
    records = read(path)
    assert [record["type"] for record in records] == ["chunk", "chunk", "chunk", "digest"]
    assert [record["length"] for record in records[:3]] == [1 << 20, 1 << 20, 1 << 19]
    assert records[0]["entropy"] > 7.99
    assert records[1]["entropy"] == 0.0
    assert disagreements(path, records) == []


def test_the_oracle_sees_a_wrong_number(tmp_path: Path) -> None:
    path = build(tmp_path)
    records = read(path)
    records[0] = records[0] | {"entropy": records[0]["entropy"] + 1e-6}
    assert disagreements(path, records)


@pytest.mark.parametrize("chunk_size", [1 << 12, 65537, 1 << 18, 1 << 20, 10 << 20])
def test_how_memx_reads_does_not_show(tmp_path: Path, chunk_size: int) -> None:
    path = build(tmp_path)
    assert read(path, chunk_size=chunk_size) == read(path)


@pytest.mark.parametrize("chunk_length", [1000, 65536, 1 << 19, (1 << 20) + 1, 3 << 20])
def test_chunk_size_is_the_length_of_chunks(tmp_path: Path, chunk_length: int) -> None:
    path = build(tmp_path)
    records = read(path, chunk_length=chunk_length)
    assert disagreements(path, records, chunk_length) == []


def test_an_empty_source_has_a_digest_alone() -> None:
    assert read(io.BytesIO()) == [{"type": "digest", "sha256": hashlib.sha256().hexdigest(), "size": 0}]


def test_both_ways_of_counting_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build(tmp_path)
    with_numpy = read(path)
    monkeypatch.setattr(binary, "SMALL", 1 << 30)
    assert read(path) == with_numpy


@given(st.lists(st.binary(max_size=3000), max_size=4))
def test_counts_are_right(parts: list[bytes]) -> None:
    counter = PairCounter()
    for part in parts:
        found = Counter(part)
        expected = [found[byte] for byte in range(256)]
        assert counter(memoryview(part)) == count_simply(memoryview(part)) == expected


@pytest.mark.parametrize("length", [SHORT - 1, SHORT, SHORT + 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2])
def test_lengths_at_which_it_is_counted_otherwise(length: int) -> None:
    data = (bytes(range(251)) * (length // 251 + 1))[:length]
    counter = PairCounter()
    for _ in range(2):
        assert counter(memoryview(data)) == [data.count(byte) for byte in range(256)]


def test_more_pairs_than_the_table_holds() -> None:
    counter = PairCounter()
    data = b"ab" * SHORT
    counter(memoryview(data))
    counter._table[counter._table > 0] = (1 << 32) - 1
    counter._before[[ord("a"), ord("b")]] = (1 << 32) - 1
    assert counter(memoryview(data)) == [data.count(byte) for byte in range(256)]


@pytest.mark.parametrize("chunk_length", [1000, 1 << 15, 100_000])
@pytest.mark.parametrize("size", [1 << 20, 30_000, 999])
def test_what_is_read_at_once_may_change(tmp_path: Path, chunk_length: int, size: int) -> None:
    path = build(tmp_path)
    sizes = itertools.cycle((size, 1 << 20, 7))
    options = ReadOptions(chunk_length=chunk_length, current_chunk_size=lambda: next(sizes))
    with open_source(path) as source, BinaryStreamReader(source, options) as reader:
        assert list(reader) == read(path, chunk_length=chunk_length)


def test_a_chunk_of_a_pipe_is_told_before_more_is_read() -> None:
    data = bytes(range(256)) * 64

    class Pipe(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            taken = min(len(buffer), len(data), (1 << 20) - self.given)
            buffer[:taken] = data[:taken]
            self.given += taken
            return taken

    pipe = Pipe()
    with open_source(pipe) as source:
        assert not source.seekable
        records = iter(BinaryStreamReader(source, ReadOptions(chunk_length=1 << 18)))
        assert next(records)["entropy"] == 8.0
        assert pipe.given <= 3 << 17
        records.close()  # type: ignore[attr-defined] # a generator, by its yield


@given(st.lists(st.integers(0, 1 << 20), min_size=1, max_size=256).filter(any))
def test_entropy_is_shannons(counts: list[int]) -> None:
    total = sum(counts)
    expected = -sum(count / total * math.log2(count / total) for count in counts if count)
    assert math.isclose(entropy(counts), expected, abs_tol=1e-9)
    assert 0.0 <= entropy(counts) <= 8.0


def test_entropy_of_all_bytes_is_eight_and_of_one_is_zero() -> None:
    assert entropy([3] * 256) == 8.0
    assert entropy([5]) == 0.0
    assert math.copysign(1, entropy([5])) == 1  # not -0.0


def test_an_abandoned_reading_leaves_no_thread(tmp_path: Path) -> None:
    path = build(tmp_path)
    before = threading.active_count()
    with open_source(path) as source:
        records = iter(BinaryStreamReader(source))
        next(records)
        assert threading.active_count() > before
        records.close()  # type: ignore[attr-defined] # a generator, by its yield
    assert threading.active_count() == before


def test_what_goes_wrong_in_a_counting_thread_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_self: PairCounter, _data: memoryview) -> None:
        raise MemoryError

    monkeypatch.setattr(PairCounter, "__call__", fails)
    with pytest.raises(MemoryError):
        read(build(tmp_path))


def test_summary_is_one_digest_with_the_entropy_of_all(tmp_path: Path) -> None:
    path = build(tmp_path)
    *chunks, digest = read(path)
    (summary,) = BinaryStreamReader(options=ReadOptions(summary=True)).stream(path)
    assert chunks
    assert summary == digest | {"entropy": pytest.approx(entropy(Counter(path.read_bytes()).values()))}


@pytest.mark.parametrize("megabytes", [48, 64])
def test_where_numpy_does_not_fit_bytes_are_counted_without(megabytes: int, tmp_path: Path) -> None:
    path = build(tmp_path)
    code = (
        "import resource; from memx.engine.reading.streaming import stream\n"
        f"limit = {megabytes} << 20; resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))\n"
        f"end = list(stream({str(path)!r}))[-1]; print(end['status'], end['reason'])"
    )
    environment = {name: text for name, text in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (done.stdout, done.stderr) == ("complete None\n", "")


def test_a_digest_that_found_no_memory_to_be_loaded_in_is_want_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """hashlib imports without it, and says nothing (seen under RLIMIT_DATA)."""
    import hashlib
    import sys

    from memx.formats.binary import _sha256

    for name in ("hashlib", "_hashlib"):
        monkeypatch.setitem(sys.modules, name, sys.modules[name])  # back as it was, in the end
    monkeypatch.delattr(hashlib, "sha256")
    with pytest.raises(MemoryError):
        _sha256()
    assert _sha256().name == "sha256", "the next one is loaded anew"
