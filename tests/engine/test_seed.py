"""The first description of the system: its snippets, run as people wrote them, and the 27 behaviours it lists.

A snippet's text is that of the description, with its imports taken from `memx`; a loop body that was a
comment alone has got a `pass`.
"""

import gc
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import memx
from memx import (
    AdaptiveChunkSizer,
    BinaryStreamReader,
    ExtractionStrategy,
    GarbageCollectionOptimizer,
    MemoryAnalyzer,
    MemoryEfficientExtractor,
    MemoryLevel,
    MemoryManagementAgent,
    MemoryMonitor,
    MemoryResourcePool,
    StreamingExtractionFactory,
    cleanup_memory_agent,
    get_memory_agent,
)
from tests.samples import binary, dicom, fits, video

MIB = 1 << 20


@pytest.fixture(autouse=True)
def no_agent_left() -> Iterator[None]:
    """Whatever a snippet leaves of the one agent is cleaned up."""
    yield
    cleanup_memory_agent()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the snippets name, to work in."""
    monkeypatch.chdir(tmp_path)
    scan = dicom.build(tmp_path)
    for name in ("scan.dcm", "large_scan.dcm", "large_file.dcm", "large_file.h5", "file.h5"):
        (tmp_path / name).write_bytes(scan.read_bytes())
    return tmp_path


def run(snippet: str, **names: Any) -> dict[str, Any]:
    """Runs a snippet and gives back its names."""
    exec(compile(snippet, "<snippet>", "exec"), names)
    return names


def read_whole(path: str) -> int:
    """An extraction function."""
    return len(Path(path).read_bytes())


class TestSnippets:
    def test_snapshots_and_report(self) -> None:
        names = run(
            """
# Get memory snapshots
snapshot = monitor.get_current_snapshot()

# Start background monitoring
monitor.start_monitoring()

# Analyze all extractions
report = analyzer.generate_report()
monitor.stop_monitoring()
""",
            monitor=MemoryMonitor(),
            analyzer=MemoryAnalyzer(),
        )
        assert str(names["snapshot"]).startswith("RSS: ")
        assert str(names["snapshot"]).endswith(f"Level: {names['snapshot'].level.name}")
        assert names["report"]["problematic_extractors"] == []

    def test_detected_stream(self, folder: Path) -> None:
        names = run(
            """
from memx import StreamingExtractionFactory
seen = []
for metadata in StreamingExtractionFactory.get_reader('large_scan.dcm'):
    seen.append(metadata)
"""
        )
        assert {"tag", "vr", "offset", "length"} <= set(names["seen"][0])

    def test_dicom_elements(self, folder: Path) -> None:
        names = run(
            """
from memx import DicomStreamReader
seen = []
reader = DicomStreamReader()
for element in reader.stream_dicom_elements('scan.dcm'):
    seen.append((element['tag'], element['vr'], element['length']))
"""
        )
        assert "00100010" in {tag for tag, _, _ in names["seen"]}

    def test_chunk_size(self) -> None:
        names = run("optimal_size = sizer.get_optimal_chunk_size()", sizer=AdaptiveChunkSizer())
        assert 256 * 1024 <= names["optimal_size"] <= 10 * MIB

    def test_buffer_pool(self) -> None:
        names = run(
            """
from memx import MemoryResourcePool
pool = MemoryResourcePool(buffer_size=10 * 1024 * 1024)

buf1 = pool.allocate_buffer()
first = pool.stats
pool.release_buffer(buf1)
second = pool.stats
buf2 = pool.allocate_buffer()
third = pool.stats
"""
        )
        counts = [(s.allocations, s.deallocations, s.reuses) for s in (names["first"], names["second"], names["third"])]
        assert counts == [(1, 0, 0), (1, 1, 0), (1, 1, 1)]

    def test_efficient_extractor(self, folder: Path) -> None:
        names = run(
            """
from memx import MemoryEfficientExtractor

extractor = MemoryEfficientExtractor(extract_func, 'large_file.h5')
result, metrics = extractor.extract_with_optimization()
""",
            extract_func=read_whole,
        )
        assert names["result"] == os.path.getsize("large_file.h5")
        assert {"peak_rss", "strategy", "elapsed_s"} <= set(names["metrics"])

    def test_collector_strategies(self) -> None:
        names = run(
            """
import gc
from memx import ExtractionStrategy, GarbageCollectionOptimizer
optimizer = GarbageCollectionOptimizer()

optimizer.optimize_for_extraction(ExtractionStrategy.AGGRESSIVE)
aggressive = gc.get_threshold()
optimizer.optimize_for_extraction(ExtractionStrategy.BALANCED)
balanced = gc.get_threshold()
optimizer.optimize_for_extraction(ExtractionStrategy.CONSERVATIVE)
conservative = gc.get_threshold()
optimizer.reset_to_default()
"""
        )
        assert (names["aggressive"], names["balanced"]) == ((5000, 10, 10), (700, 10, 10))
        assert names["conservative"] == (100, 5, 5)

    def test_collector_control(self) -> None:
        names = run(
            """
optimizer.disable_collection_during_critical()
try:
    fast_extraction()
finally:
    optimizer.enable_collection()

freed = optimizer.force_collection()

unreachable = optimizer.get_unreachable_objects()
if unreachable > 100:
    logger.warning(f"Potential leak: {unreachable} objects")

optimizer.reset_to_default()
""",
            optimizer=GarbageCollectionOptimizer(),
            fast_extraction=lambda: None,
            logger=logging.getLogger("test"),
        )
        assert isinstance(names["freed"], int)
        assert names["unreachable"] >= 0

    def test_basic_usage(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        run(
            """
from memx import get_memory_agent

agent = get_memory_agent()

status = agent.get_memory_status()
print(f"Memory level: {status['memory_level']}")
print(f"Available: {status['available_mb']:.1f}MB")
print(f"Used: {status['used_percent']:.1f}%")

from memx import StreamingExtractionFactory

reader = StreamingExtractionFactory.get_reader('large_file.dcm')
for metadata in reader.stream_dicom_elements('large_file.dcm'):
    pass

from memx import MemoryEfficientExtractor

extractor = MemoryEfficientExtractor(extract_func, 'file.h5')
result, metrics = extractor.extract_with_optimization()

from memx import cleanup_memory_agent
cleanup_memory_agent()
""",
            extract_func=read_whole,
        )
        said = capsys.readouterr().out.splitlines()
        assert [line.split(":")[0] for line in said] == ["Memory level", "Available", "Used"]

    def test_integration_points(self, folder: Path) -> None:
        names = run(
            """
from memx import get_memory_agent

agent = get_memory_agent()

def extract_with_memory_optimization(file_path, extraction_func):
    return agent.execute_extraction(file_path, extraction_func)

def get_memory_status():
    agent = get_memory_agent()
    return agent.get_memory_status()

def get_memory_analysis():
    agent = get_memory_agent()
    return agent.get_analysis_report()

def batch_extract_with_memory_awareness(files):
    agent = get_memory_agent()
    results = []

    for file_path in files:
        status = agent.get_memory_status()

        # Adjust strategy if memory critical
        if status['memory_level'] == 'critical':
            agent.gc_optimizer.force_collection()

        # Extract
        result = agent.execute_extraction(file_path, extract_func)
        results.append(result)

    return results
""",
            extract_func=read_whole,
        )
        size = os.path.getsize("scan.dcm")
        assert names["extract_with_memory_optimization"]("scan.dcm", read_whole) == size
        assert names["batch_extract_with_memory_awareness"](["scan.dcm", "file.h5"]) == [size, size]
        assert names["get_memory_status"]()["memory_level"] in set(MemoryLevel)
        assert names["get_memory_analysis"]()["total_extractions"] == 3

    def test_every_name_is_public(self) -> None:
        named = """
            MemoryMonitor MemoryAnalyzer StreamingExtractionFactory DicomStreamReader FitsStreamReader HDF5StreamReader
            NetCDFStreamReader AudioStreamReader VideoStreamReader BinaryStreamReader MemoryEfficientExtractor
            AdaptiveChunkSizer MemoryResourcePool GarbageCollectionOptimizer ExtractionStrategy MemoryManagementAgent
            MemoryLevel MemorySnapshot get_memory_agent cleanup_memory_agent
        """
        assert set(named.split()) <= set(memx.__all__)


class TestMemoryMonitor:
    def test_memory_snapshot_collection(self) -> None:
        snapshot = MemoryMonitor().get_current_snapshot()
        assert snapshot.rss > MIB
        assert snapshot.available > 0
        assert 0 <= snapshot.used_percent <= 100

    def test_memory_level_detection(self) -> None:
        assert MemoryMonitor().get_current_snapshot().level in set(MemoryLevel)
        full = MemoryMonitor(max_memory=1).get_current_snapshot()
        assert full.level is MemoryLevel.CRITICAL

    def test_background_monitoring_thread(self) -> None:
        monitor = MemoryMonitor(0.01)
        monitor.start_monitoring()
        time.sleep(0.1)
        monitor.stop_monitoring()
        assert len(monitor.history) >= 3

    def test_peak_memory_tracking(self) -> None:
        monitor = MemoryMonitor()
        data = b"x" * (32 * MIB)
        held = monitor.get_current_snapshot().rss
        del data
        assert monitor.peak >= held


class TestGarbageCollectionOptimizer:
    def test_configuration_retrieval(self) -> None:
        assert GarbageCollectionOptimizer().get_current_config()["thresholds"] == list(gc.get_threshold())

    def test_strategy_optimization(self) -> None:
        optimizer = GarbageCollectionOptimizer()
        for strategy in ExtractionStrategy:
            optimizer.optimize_for_extraction(strategy)
            assert optimizer.get_current_config()["thresholds"] == list(gc.get_threshold())
        assert gc.get_threshold() == (100, 5, 5)
        optimizer.reset_to_default()

    def test_force_collection(self) -> None:
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert GarbageCollectionOptimizer().force_collection() >= 1

    def test_reset_to_default(self) -> None:
        before = gc.get_threshold()
        optimizer = GarbageCollectionOptimizer()
        optimizer.optimize_for_extraction(ExtractionStrategy.AGGRESSIVE)
        optimizer.reset_to_default()
        assert gc.get_threshold() == before


class TestMemoryResourcePool:
    def test_buffer_allocation(self) -> None:
        pool = MemoryResourcePool(buffer_size=1024)
        assert len(pool.allocate_buffer()) == 1024
        assert pool.stats.allocations == 1

    def test_buffer_reuse(self) -> None:
        pool = MemoryResourcePool(buffer_size=1024)
        buffer = pool.allocate_buffer()
        pool.release_buffer(buffer)
        assert pool.allocate_buffer() is buffer

    def test_pool_statistics(self) -> None:
        pool = MemoryResourcePool(buffer_size=512)
        buffers = [pool.allocate_buffer() for _ in range(3)]
        for buffer in buffers[:2]:
            pool.release_buffer(buffer)
        assert pool.get_stats() == {
            "allocations": 3,
            "deallocations": 2,
            "reuses": 0,
            "in_use": 1,
            "idle": 2,
            "buffer_size": 512,
        }


class TestAdaptiveChunkSizer:
    def test_optimal_chunk_size_calculation(self) -> None:
        sizer = AdaptiveChunkSizer()
        assert sizer.min_chunk <= sizer.get_optimal_chunk_size() <= sizer.max_chunk

    def test_size_bounds_enforcement(self) -> None:
        sizer = AdaptiveChunkSizer(min_chunk=300 * 1024, max_chunk=300 * 1024)
        assert sizer.get_optimal_chunk_size() == 300 * 1024


class TestBinaryStreamReader:
    def test_chunk_reading(self, tmp_path: Path) -> None:
        file = tmp_path / "x.bin"
        file.write_bytes(b"x" * (3 * MIB))
        records = list(BinaryStreamReader().stream(file))
        assert [record["length"] for record in records if record["type"] == "chunk"] == [MIB, MIB, MIB]
        assert records[-1]["type"] == "digest"

    def test_offset_reading(self, tmp_path: Path) -> None:
        data = b"0123456789" * 100
        (tmp_path / "x.bin").write_bytes(data)
        with StreamingExtractionFactory.get_reader(tmp_path / "x.bin") as reader:
            assert reader.source.read_at(105, 50) == data[105:155]


class TestMemoryManagementAgent:
    def test_agent_creation(self) -> None:
        with MemoryManagementAgent() as agent:
            assert isinstance(agent.monitor, MemoryMonitor)
            assert isinstance(agent.analyzer, MemoryAnalyzer)
            assert isinstance(agent.gc_optimizer, GarbageCollectionOptimizer)
            assert isinstance(agent.buffer_pool, MemoryResourcePool)

    def test_memory_status(self) -> None:
        with MemoryManagementAgent() as agent:
            assert {"memory_level", "available_mb", "used_percent"} <= set(agent.get_memory_status())

    def test_analysis_report(self) -> None:
        with MemoryManagementAgent() as agent:
            report = agent.get_analysis_report()
        assert {"timestamp", "memory_status", "gc_config", "buffer_pool_stats"} <= set(report)

    def test_optimize_all(self) -> None:
        with MemoryManagementAgent() as agent:
            assert agent.optimize_all()["freed_mb"] >= 0

    def test_global_agent_singleton(self) -> None:
        assert get_memory_agent() is get_memory_agent()


class TestStreamingFactory:
    def test_reader_selection(self, tmp_path: Path) -> None:
        wanted = {dicom: "dicom", fits: "fits", video: "video", binary: "binary"}
        for sample, name in wanted.items():
            with StreamingExtractionFactory.get_reader(sample.build(tmp_path)) as reader:
                assert reader.format == name
                assert next(iter(reader))["type"] in ("element", "card", "stream", "chunk")

    def test_streaming_support_detection(self, tmp_path: Path) -> None:
        assert StreamingExtractionFactory.supports_streaming(dicom.build(tmp_path))
        (tmp_path / "file.txt").write_text("words")
        assert not StreamingExtractionFactory.supports_streaming(tmp_path / "file.txt")


class TestMemoryEfficiency:
    def test_extraction_with_memory_tracking(self, tmp_path: Path) -> None:
        file = dicom.build(tmp_path)
        with MemoryManagementAgent() as agent:
            count = agent.execute_extraction(file, lambda path: sum(1 for _ in memx.stream(path)))
            stats = agent.get_analysis_report()["extractors"]
        assert count > 10
        assert [figures["runs"] for figures in stats.values()] == [1]
        assert all(figures["peak_memory_mb"] > 1 for figures in stats.values())

    def test_large_file_streaming_strategy(self, tmp_path: Path) -> None:
        file = tmp_path / "large"
        with open(file, "wb") as out:
            out.truncate(1 << 43)
        plan = MemoryEfficientExtractor(read_whole, file).plan()
        assert plan.strategy is ExtractionStrategy.CONSERVATIVE
        assert plan.drop_behind


class TestMemoryPerformance:
    def test_monitor_overhead(self) -> None:
        with MemoryMonitor() as monitor:
            began = time.process_time()
            for _ in range(100):
                monitor.get_current_snapshot()
            assert time.process_time() - began < 0.1

    def test_buffer_pool_performance(self) -> None:
        pool = MemoryResourcePool()
        began = time.perf_counter()
        for _ in range(1000):
            pool.release_buffer(pool.allocate_buffer())
        assert time.perf_counter() - began < 1.0

    def test_streaming_memory_efficiency(self, tmp_path: Path) -> None:
        file = tmp_path / "x.bin"
        with open(file, "wb") as out:
            out.truncate(200 * MIB)
        list(memx.stream(tmp_path / "x.bin", memx.StreamOptions(limit=1)))  # what is imported is no part of it
        end = list(memx.stream(file))[-1]
        assert end["metrics"]["peak_rss_delta"] < 20 * MIB
