"""Any callable under memory management."""

import gc
import mmap
import time
from pathlib import Path
from typing import Any

import pytest

from memx.engine.analysis.analyzer import MemoryAnalyzer
from memx.engine.extraction import MemoryEfficientExtractor
from memx.engine.memory.strategy import ExtractionStrategy
from memx.errors import CorruptFile, OverMemory

MIB = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scan.bin"
    path.write_bytes(bytes(MIB))
    return path


def test_result_and_metrics(file: Path) -> None:
    def extract(path: Path, factor: int = 1) -> int:
        return len(path.read_bytes()) * factor

    result, metrics = MemoryEfficientExtractor(extract, file).extract_with_optimization(factor=2)
    assert result == 2 * MIB
    assert metrics["file_size"] == MIB
    assert (metrics["strategy"], metrics["path"]) == ("aggressive", str(file))
    assert metrics["reason"].endswith("more than 3 times its size")
    assert metrics["peak_rss"] > metrics["peak_rss_delta"] >= 0
    assert metrics["elapsed_s"] > 0
    assert metrics["extractor"].endswith("extract")


def test_peak_of_the_run_is_measured(file: Path) -> None:
    def touch(_path: Path) -> None:
        with mmap.mmap(-1, 50 * MIB) as memory:  # not from what the allocator kept of other tests
            memory[:: mmap.PAGESIZE] = bytes(len(memory) // mmap.PAGESIZE)

    _, metrics = MemoryEfficientExtractor(touch, file).extract_with_optimization()
    if not metrics["peak_exact"]:
        pytest.skip("this kernel does not let the high-water mark be reset")
    assert 45 * MIB < metrics["peak_rss_delta"] < 120 * MIB
    assert metrics["memory_ratio"] == pytest.approx(metrics["peak_rss_delta"] / MIB, rel=0.01)


@pytest.mark.parametrize(("share", "thresholds"), [(100, (5000, 10, 10)), (2, (700, 10, 10)), (0.5, (100, 5, 5))])
def test_function_runs_under_the_thresholds_of_its_strategy(
    file: Path, share: float, thresholds: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = MemoryEfficientExtractor(lambda _path: gc.get_threshold(), file)
    monkeypatch.setattr(extractor, "_probe", Fixed(int(share * MIB)))
    assert extractor.extract_with_optimization()[0] == thresholds


class Fixed:
    def __init__(self, available: int) -> None:
        self.available = available

    def read(self) -> Any:
        return self


def test_strategy_can_be_asked_for(file: Path) -> None:
    extractor = MemoryEfficientExtractor(
        lambda _path: gc.get_threshold(), file, strategy=ExtractionStrategy.CONSERVATIVE
    )
    result, metrics = extractor.extract_with_optimization()
    assert result == (100, 5, 5)
    assert (metrics["strategy"], metrics["reason"]) == ("conservative", "asked for")


def test_max_memory_makes_the_choice_careful(file: Path) -> None:
    assert MemoryEfficientExtractor(len, file, max_memory=1).plan().strategy is ExtractionStrategy.CONSERVATIVE


def test_error_is_raised_and_all_is_put_back(file: Path) -> None:
    analyzer, before = MemoryAnalyzer(), (gc.get_threshold(), gc.isenabled(), list(gc.callbacks))

    def broken(_path: Path) -> None:
        raise CorruptFile("no such thing")

    extractor = MemoryEfficientExtractor(broken, file, analyzer=analyzer, name="broken")
    with pytest.raises(CorruptFile):
        extractor.extract_with_optimization()
    assert (gc.get_threshold(), gc.isenabled(), list(gc.callbacks)) == before
    assert [run.error for run in analyzer.runs("broken")] == ["corrupt"]
    assert extractor.metrics["elapsed_s"] >= 0


def test_memory_error_becomes_over_memory(file: Path) -> None:
    analyzer = MemoryAnalyzer()

    def huge(_path: Path) -> bytearray:
        return bytearray(1 << 62)

    with pytest.raises(OverMemory, match="huge ran out of memory"):
        MemoryEfficientExtractor(huge, file, analyzer=analyzer, name="huge").extract_with_optimization()
    assert analyzer.get_problematic_extractors()[0]["extractor"] == "huge"


def test_file_that_is_not_there_is_the_functions_business(tmp_path: Path) -> None:
    extractor = MemoryEfficientExtractor(lambda path: Path(path).read_bytes(), tmp_path / "none")
    assert extractor.plan().strategy is ExtractionStrategy.BALANCED
    with pytest.raises(FileNotFoundError):
        extractor.extract_with_optimization()
    assert MemoryEfficientExtractor(str, tmp_path).extract_with_optimization()[1]["file_size"] is None


def test_extractions_nest(file: Path) -> None:
    def outer(path: Path) -> tuple[object, object, int]:
        inner, metrics = MemoryEfficientExtractor(
            lambda _p: gc.get_threshold(), path, strategy=ExtractionStrategy.CONSERVATIVE
        ).extract_with_optimization()
        return inner, gc.get_threshold(), metrics["peak_rss_delta"]

    (inner, after, _), metrics = MemoryEfficientExtractor(
        outer, file, strategy=ExtractionStrategy.AGGRESSIVE
    ).extract_with_optimization()
    assert (inner, after) == ((100, 5, 5), (5000, 10, 10))
    assert metrics["strategy"] == "aggressive"


def test_collector_is_measured(file: Path) -> None:
    def garbage(_path: Path) -> None:
        for _ in range(20_000):
            holder: list[object] = []
            holder.append(holder)

    _, metrics = MemoryEfficientExtractor(garbage, file).extract_with_optimization()
    assert metrics["gc"]["collections"] >= 3
    assert metrics["gc"]["collected"] > 10_000
    assert metrics["gc"]["pause_s"] > 0


def test_callables_without_a_name_have_one(file: Path) -> None:
    class Extract:
        def __call__(self, path: Path) -> int:
            return 1

    assert "Extract" in MemoryEfficientExtractor(Extract(), file).name


@pytest.mark.slow
def test_cycles_that_hold_bytes_do_not_pile_up_under_high_thresholds(file: Path) -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me, self.load = self, b"x" * MIB

    def extract(_path: Path) -> None:
        for _ in range(400):
            Cycle()
            time.sleep(0.001)  # so that the thread which looks is let in on a busy machine too

    extractor = MemoryEfficientExtractor(extract, file, strategy=ExtractionStrategy.AGGRESSIVE)
    assert extractor.extract_with_optimization()[1]["peak_rss_delta"] < 300 * MIB
