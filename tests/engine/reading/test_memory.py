"""What a strategy changes in a real reading, and that a reading gives way to memory while it runs."""

import gc
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memx.engine.memory.strategy import ExtractionStrategy
from memx.engine.options import StreamOptions
from memx.engine.reading import memory as reading
from memx.engine.reading.memory import POOLED, ReadingMemory
from memx.engine.reading.streaming import Stream
from memx.errors import OverMemory
from memx.sources import LocalFile

MIB = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes(range(256)) * 4096 * 3)
    return path


@pytest.mark.parametrize("strategy", ExtractionStrategy)
def test_collector_follows_the_strategy_and_is_put_back(file: Path, strategy: ExtractionStrategy) -> None:
    before = gc.get_threshold()
    seen = [gc.get_threshold() for _ in Stream(file, StreamOptions(strategy=strategy)).records()]
    wanted = {"aggressive": (5000, 10, 10), "balanced": (700, 10, 10), "conservative": (100, 5, 5)}
    assert set(seen[:-1]) == {wanted[strategy]}
    assert gc.get_threshold() == before


def test_collector_is_put_back_by_a_reading_that_is_left(file: Path) -> None:
    before = gc.get_threshold()
    records = Stream(file, StreamOptions(strategy=ExtractionStrategy.AGGRESSIVE)).records()
    next(records)
    assert gc.get_threshold() == (5000, 10, 10)
    records.close()
    assert gc.get_threshold() == before


def test_page_cache_policy_follows_the_strategy(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: dict[str, list[Any]] = {}
    forgo = LocalFile.forgo_read_ahead

    def note(source: LocalFile) -> None:
        done[strategy].append("no read-ahead")
        forgo(source)

    monkeypatch.setattr(LocalFile, "forgo_read_ahead", note)
    for strategy in ExtractionStrategy:
        done[strategy] = []
        list(Stream(file, StreamOptions(strategy=strategy)).records())
    assert done == {"aggressive": [], "balanced": [], "conservative": ["no read-ahead"]}


def test_write_batch_follows_the_strategy(file: Path) -> None:
    batches = []
    for strategy in ExtractionStrategy:
        stream = Stream(file, StreamOptions(strategy=strategy))
        list(stream.records())
        batches.append(stream.write_batch)
    assert batches == [64 << 10, 32 << 10, 16 << 10]


def watched(monkeypatch: pytest.MonkeyPatch, available: Callable[[], int]) -> ReadingMemory:
    """A reading's memory that looks at every poll, where `available` says how much there is."""
    monkeypatch.setattr(reading, "_LOOK_EVERY", 0.0)
    monkeypatch.setattr("memx.engine.memory.chunks.available_memory", available)
    monkeypatch.setattr(
        "memx.engine.memory.chunks.AdaptiveChunkSizer.__init__.__kwdefaults__", {"available": available}
    )
    return ReadingMemory(4 * MIB)


def test_chunks_of_a_long_reading_shrink_when_memory_gets_tight(monkeypatch: pytest.MonkeyPatch) -> None:
    left = 64 << 30
    memory = watched(monkeypatch, lambda: left)
    memory.poll()
    assert memory.current_chunk_size() == 4 * MIB
    left = 300 * MIB
    memory.poll()
    assert memory.current_chunk_size() < 2 * MIB
    left = 0
    memory.poll()
    assert memory.current_chunk_size() == 256 << 10
    left = 64 << 30
    memory.poll()
    assert memory.current_chunk_size() == 4 * MIB


def test_polls_between_two_looks_cost_nothing() -> None:
    memory = ReadingMemory(MIB)
    memory.poll()
    assert memory._ladder is None


def test_same_records_whatever_is_read_at_once(file: Path) -> None:
    def records(chunk: int) -> list[dict[str, Any]]:
        from memx.formats.base import ReadOptions
        from memx.formats.binary import BinaryStreamReader

        options = ReadOptions(current_chunk_size=lambda: chunk)
        return list(BinaryStreamReader(options=options).stream(file))

    assert records(1000) == records(MIB) == records(1 << 30)


def test_pooled_buffers_are_lent_and_used_again() -> None:
    memory = ReadingMemory(MIB)
    with memory.lend(1000) as first:
        assert len(first) == 1000
        kept = first.obj
    with memory.lend(POOLED) as second:
        assert second.obj is kept
    with memory.lend(POOLED + 1) as large:
        assert len(large) == POOLED + 1


def test_reading_that_finds_nothing_left_ends_with_over_memory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def empty(_memory: ReadingMemory) -> None:
        raise OverMemory("memory is used up")

    monkeypatch.setattr(ReadingMemory, "poll", empty)
    records = list(Stream(file, StreamOptions(chunk_size=64 << 10)).records())
    assert [record["code"] for record in records if record["type"] == "error"] == ["over-memory"]
    assert (records[-1]["status"], records[-1]["records"]) == ("failed", 33)


def test_short_reading_imports_nothing_of_the_ladder(tmp_path: Path) -> None:
    file = tmp_path / "small"
    file.write_bytes(b"few")
    code = (
        "import sys; from memx.engine.reading.streaming import Stream\n"
        f"assert list(Stream({str(file)!r}).records())[-1]['status'] == 'complete'\n"
        "loaded = set(sys.modules)\n"
        "assert not {'memx.engine.memory.pressure', 'memx.engine.collector.pauses', 'psutil', 'logging'} & loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
