"""The analyzer: its figures, its verdicts against made and real growth, and its prediction."""

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.analysis.analyzer import RECENT, ExtractionRun, MemoryAnalyzer
from memx.engine.analysis.diagnosis import Trace, Verdict, diagnose, examine
from memx.engine.analysis.prediction import MARGIN, predict_peak

MIB = 1 << 20


def trace(rise: int = 1, stays: int = 0, trimmed: int = 0, collected: int = 0, before: int = 100) -> Trace:
    """A run that rose by `rise` MiB, and of it left what the allocator and cycles held, and what stays."""
    after = before + stays + trimmed + collected
    return Trace(*(MIB * n for n in (before, before + rise, after, after - trimmed, after - trimmed - collected)))


def run(name: str = "dicom", growth: int = 10, size: int | None = 5, error: str | None = None) -> ExtractionRun:
    sized = None if size is None else size * MIB
    return ExtractionRun(name, f"{name}.{growth}", sized, 0.5, Trace(0, growth * MIB, 0), error=error)


def test_growth_that_goes_on_is_a_leak() -> None:
    found = diagnose([trace(stays=2)] * 8)
    assert found.verdict is Verdict.LEAK
    assert "2 MiB" in found.reason
    assert found.evidence["left_per_run"] == 2 * MIB


def test_growth_that_ends_is_no_leak() -> None:
    assert diagnose([trace(stays=50)] + [trace()] * 7).verdict is Verdict.STEADY
    warming = [trace(stays=n) for n in (50, 40, 20, 5, 0, 0, 0, 0, 0)]
    assert diagnose(warming).verdict is Verdict.STEADY


def test_growth_now_and_then_is_no_leak() -> None:
    assert diagnose([trace(stays=4 if n % 4 == 0 else -1) for n in range(12)]).verdict is Verdict.STEADY


def test_few_runs_are_no_leak_yet() -> None:
    assert diagnose([trace(stays=5)] * 3).verdict is Verdict.STEADY


def test_what_falls_at_the_trim_was_the_allocators() -> None:
    assert diagnose([trace(trimmed=40, collected=1)] * 3).verdict is Verdict.ALLOCATOR


def test_what_falls_at_the_collection_was_in_cycles() -> None:
    assert diagnose([trace(trimmed=1, collected=40)] * 3).verdict is Verdict.CYCLES


def test_one_high_peak_among_many() -> None:
    found = diagnose([trace(rise=5)] * 6 + [trace(rise=90)])
    assert found.verdict is Verdict.ONE_OFF
    assert "90 MiB" in found.reason
    assert diagnose([trace(rise=90)]).verdict is Verdict.STEADY


def test_nothing_run_is_steady() -> None:
    assert diagnose([]).verdict is Verdict.STEADY


@pytest.mark.slow
def test_real_leak_is_found() -> None:
    kept: list[bytes] = []
    found = examine(lambda: kept.append(b"x" * MIB))
    assert found.verdict is Verdict.LEAK
    assert found.evidence["left_per_run"] == pytest.approx(MIB, rel=0.3)


@pytest.mark.slow
def test_real_cycles_are_found() -> None:
    class Node:
        def __init__(self) -> None:
            self.me, self.load = self, b"x" * MIB

    def work() -> None:
        for _ in range(30):
            Node()

    assert examine(work, runs=5).verdict is Verdict.CYCLES


@pytest.mark.slow
def test_real_retention_by_the_allocator_is_found() -> None:
    def work() -> object:
        blocks = [b"x" * 100_000 for _ in range(400)]
        pin = b"y" * 100_000  # behind them in the heap: the top cannot fall
        blocks.clear()
        return pin

    held: list[object] = [None]

    def pinned() -> None:
        held[0] = work()

    assert examine(pinned, runs=5).verdict is Verdict.ALLOCATOR


@pytest.mark.slow
def test_real_run_that_gives_all_back_is_steady() -> None:
    assert examine(lambda: sum(range(1000)), runs=6).verdict is Verdict.STEADY


def test_examined_function_may_raise() -> None:
    def broken() -> None:
        raise KeyError("no")

    with pytest.raises(KeyError):
        MemoryAnalyzer().examine(broken)


def test_report_of_nothing() -> None:
    report = MemoryAnalyzer().generate_report()
    assert (report["total_extractions"], report["extractors"], report["problematic_extractors"]) == (0, {}, [])
    assert json.dumps(report, allow_nan=False)


def test_report_gives_figures_by_extractor() -> None:
    analyzer = MemoryAnalyzer()
    for growth in (10, 20, 30):
        analyzer.record(run(growth=growth, size=10))
    analyzer.record(run("fits", growth=4, size=None, error="corrupt"))
    report = json.loads(json.dumps(analyzer.generate_report(), allow_nan=False))
    assert (report["total_extractions"], report["failures"]) == (4, 1)
    assert (report["peak_memory_mb"], report["average_memory_mb"]) == (30, 16)
    assert report["memory_ratio"] == 2.0
    dicom = report["extractors"]["dicom"]
    assert (dicom["runs"], dicom["failures"], dicom["elapsed_s"], dicom["mean_s"]) == (3, 0, 1.5, 0.5)
    assert (dicom["peak_memory_mb"], dicom["average_memory_mb"], dicom["highest_ratio"]) == (30, 20, 3)
    assert dicom["peak_path"] == "dicom.30"
    assert report["extractors"]["fits"]["memory_ratio"] is None


def test_problems_come_with_reason_and_evidence() -> None:
    analyzer = MemoryAnalyzer()
    analyzer.record(run("greedy", growth=400, size=40))
    analyzer.record(run("modest", growth=400, size=400))
    analyzer.record(run("full", growth=1, error="over-memory"))
    for n in range(4):
        analyzer.record(run("broken", growth=1, error="corrupt" if n else None))
    for _ in range(8):
        analyzer.record(ExtractionRun("leaky", "x", MIB, 0.1, trace(stays=3)))
    problems = {problem["extractor"]: problem for problem in analyzer.get_problematic_extractors()}
    assert sorted(problems) == ["broken", "full", "greedy", "leaky"]
    assert problems["greedy"]["reason"] == "greedy.400 took 400 MiB, 10.0 times its size"
    assert problems["greedy"]["evidence"]["growth"] == 400 * MIB
    assert "ran out of memory" in problems["full"]["reason"]
    assert problems["broken"]["reason"] == "3 of 4 runs failed"
    assert problems["leaky"]["verdict"] == "leak"
    assert problems["leaky"]["evidence"]["goes_on"] is True


def test_memory_of_the_analyzer_is_bounded_and_its_sums_are_not() -> None:
    analyzer = MemoryAnalyzer()
    for _ in range(RECENT + 50):
        analyzer.record(run())
    assert len(analyzer.runs("dicom")) == RECENT
    assert analyzer.get_extractor_stats("dicom")["runs"] == RECENT + 50
    analyzer.clear()
    assert analyzer.runs("dicom") == ()
    assert analyzer.get_extractor_stats("dicom")["runs"] == 0


def test_runs_of_several_threads_are_all_counted() -> None:
    analyzer = MemoryAnalyzer()
    threads = [threading.Thread(target=lambda: [analyzer.record(run()) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert analyzer.generate_report()["total_extractions"] == 800


def test_prediction_is_a_line_where_size_and_peak_go_together() -> None:
    sizes = [n * MIB for n in (100, 200, 300, 400)]
    assert predict_peak(sizes, [2 * size for size in sizes], 250 * MIB) == 500 * MIB + MARGIN
    assert predict_peak(sizes, [2 * size for size in sizes], 9000 * MIB) == 800 * MIB + MARGIN


def test_prediction_is_the_highest_peak_where_they_do_not() -> None:
    sizes = [n * MIB for n in (100, 200, 300, 400)]
    assert predict_peak(sizes, [50 * MIB] * 4, 250 * MIB) == 50 * MIB + MARGIN
    assert predict_peak(sizes, [n * MIB for n in (80, 70, 60, 50)], 1) == 80 * MIB + MARGIN
    assert predict_peak(sizes, [2 * size for size in sizes], None) == 800 * MIB + MARGIN
    assert predict_peak([], [], 5) is None


@given(
    st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(0, 1 << 40)), min_size=1, max_size=20),
    st.integers(0, 1 << 42),
)
def test_prediction_is_never_below_what_room_for_error_asks(seen: list[tuple[int, int]], size: int) -> None:
    sizes, peaks = [s for s, _ in seen], [p for _, p in seen]
    predicted = predict_peak(sizes, peaks, size)
    assert predicted is not None
    assert predicted >= min(peaks) + MARGIN


def test_analyzer_predicts_from_runs_that_did_not_fail() -> None:
    analyzer = MemoryAnalyzer()
    analyzer.record(run(growth=999, error="over-memory"))
    assert analyzer.predict_peak("dicom", MIB) is None
    analyzer.record(run(growth=10))
    assert analyzer.predict_peak("dicom", MIB) == 10 * MIB + MARGIN
