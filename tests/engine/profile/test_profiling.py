"""`memx.engine.profile.profiling` and what it is made of: figures, verdicts, comparisons."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memx.engine.analysis.diagnosis import Trace
from memx.engine.dataset.discovery import discover
from memx.engine.options import StreamOptions
from memx.engine.profile.findings import Kind, in_doubt, problems
from memx.engine.profile.groups import MOST, Group, above_overhead
from memx.engine.profile.profiling import Profile
from memx.engine.profile.regression import Baseline
from memx.engine.profile.sampling import POINTS, Sample, Series, Top
from memx.engine.reading.closely import WORTH_NAMING, CloseLook
from memx.engine.reading.repeating import FEWEST, verdict_of
from memx.errors import UsageError
from memx.records import Record
from tests.contract import schema_faults
from tests.samples import fits

MIB = 1 << 20
WORKLOADS = "tests.samples.workloads"
_NUMBER = itertools.count()


def record(size: int = MIB, seconds: float = 0.1, peak: int = 40 * MIB, **members: Any) -> Record:
    """A `profile` record."""
    metrics = {
        "elapsed_s": seconds,
        "bytes_read": size,
        "peak_rss": peak,
        "peak_rss_delta": peak - 30 * MIB,
        "peak_exact": True,
        "gc": {"collections": 1, "pause_s": 0.001},
        "mean_rss": peak,
        "samples": 3,
    }
    path = f"{next(_NUMBER)}.bin"
    about = {"path": path, "format": "binary", "extractor": None, "size": size, "status": "complete", "reason": None}
    more = {"code": None, "worker": {"number": 0, "own": True}, "began_s": 0.0, "metrics": metrics}
    return {"type": "profile", **about, **more} | members


def group_of(records: list[Record]) -> Group:
    group = Group(("binary", None))
    for one in records:
        group.add(one)
    return group


def kinds(group: Group, over: int = 0, budget: int | None = None) -> list[Kind]:
    return [problem.kind for problem in problems(group, over, budget)]


SIZES = [MIB * 2**power for power in range(10)]


def test_who_is_healthy_is_not_accused() -> None:
    group = group_of([record(size, 0.001 * size / MIB) for size in SIZES])
    assert kinds(group) == []
    assert not in_doubt(group)


def test_n_log_n_is_healthy() -> None:
    assert kinds(group_of([record(size, 1e-9 * size * (size.bit_length())) for size in SIZES])) == []


@pytest.mark.parametrize(
    ("expected", "one"),
    [
        (Kind.MEMORY_GROWS, lambda size: record(size, peak=30 * MIB + size // 2)),
        (Kind.TIME_GROWS, lambda size: record(size, 0.002 + 0.0001 * (size / MIB) ** 2)),
    ],
)
def test_what_grows_is_named(expected: Kind, one: Callable[[int], Record]) -> None:
    group = group_of([one(size) for size in SIZES])
    assert kinds(group) == [expected]
    (problem,) = problems(group, 0, None)
    assert problem.format == "binary"
    assert problem.evidence


def test_what_grows_by_little_is_no_problem() -> None:
    sizes = [1000 * 2**power for power in range(10)]
    memory = group_of([record(size, peak=30 * MIB + 4 * size) for size in sizes])
    time = group_of([record(size, 1e-13 * size**2) for size in sizes])
    assert kinds(memory) == kinds(time) == []


def test_time_in_the_queue_is_not_the_readings() -> None:
    """A machine that others use too makes long readings wait, and short ones not."""
    records = [record(size, 0.01 * (size / MIB)) for size in SIZES]
    for one in records:
        waited = one["metrics"]["elapsed_s"] ** 2
        one["metrics"]["elapsed_s"] += waited
        one["metrics"]["queued_s"] = waited
    assert kinds(group_of(records)) == []


def test_a_hungry_reading_a_budget_and_failures_are_named() -> None:
    hungry = record(MIB, peak=130 * MIB)
    broken = record(status="failed", code="corrupt", reason="it is broken")
    group = group_of([record(), hungry, broken])
    found = problems(group, 1, 100 * MIB)
    assert [problem.kind for problem in found] == [Kind.OVER_BUDGET, Kind.HUNGRY, Kind.FAILURES]
    assert found[0].reason == "1 file peaks above 100 MiB, the highest at 130 MiB"
    assert found[0].evidence["path"] == found[1].evidence["path"] == hungry["path"]
    assert found[2].reason == "1 of 3 files failed: 1 corrupt"
    assert found[2].evidence["paths"] == [broken["path"]]


def test_doubt_needs_a_second_look() -> None:
    sizes = [MIB, 4 * MIB, 16 * MIB, 64 * MIB]
    assert in_doubt(group_of([record(size, (size / MIB) ** 2 * 0.001) for size in sizes]))
    assert not in_doubt(group_of([record(size, (size / MIB) * 0.001) for size in sizes]))
    assert not in_doubt(group_of([record(size, (size / MIB) ** 2 * 0.001) for size in SIZES * 2]))


def test_figures_of_a_group() -> None:
    group = group_of([record(size=size, seconds=size / MIB, peak=40 * MIB) for size in SIZES])
    figures = group.figures()
    assert figures["files"] == 10
    assert figures["bytes"] == 1023 * MIB
    assert figures["elapsed_s"] == {"median": 24.0, "p95": pytest.approx(396.8), "max": 512.0, "total": 1023.0}
    assert figures["peak_rss"] == {"median": 40 * MIB, "p95": 40 * MIB, "max": 40 * MIB}
    assert figures["bytes_per_second"] == MIB
    assert figures["slope"]["estimate"] == 0
    assert figures["time_exponent"]["estimate"] == pytest.approx(1)
    assert figures["gc"] == {"collections": 10, "pause_s": 0.01}
    assert figures["sampled"] is None
    assert above_overhead([1, 2, 3], [1.0, 2.0, 30.0]) == ([3], [30.0])


def test_a_group_holds_a_sample() -> None:
    group = group_of([record() for _ in range(MOST + 50)])
    assert (group.files, group.figures()["sampled"]) == (MOST + 50, MOST)


def test_samples_of_two_runs_hold_much_the_same() -> None:
    first, second = Sample[str](10), Sample[str](10)
    keys = [f"file-{number}" for number in range(500)]
    for key in keys:
        first.add(key, key)
    for key in reversed(keys[:490]):
        second.add(key, key)
    assert len(first) == len(second) == 10
    assert not first.complete
    assert len(set(first) & set(second)) >= 8


def test_top_keeps_the_highest() -> None:
    top = Top[int](3)
    for value in (5, 1, 9, 7, 7):
        top.add(value, value)
    assert list(top) == [9, 7, 7]


def test_a_series_keeps_its_peaks() -> None:
    series = Series()
    for at in range(10 * POINTS):
        series.add(at, 100 if at == 1234 else 1)
    assert len(series.points) <= POINTS
    assert (1234, 100) in series.points
    assert [at for at, _ in series.points] == sorted(at for at, _ in series.points)


def trace(before: int, left: int, trim: int = 0, cycles: int = 0, peak: int = 0) -> Trace:
    after = before + left
    return Trace(before, before + max(peak, left + trim + cycles), after + trim + cycles, after + cycles, after)


@pytest.mark.parametrize(
    ("verdict", "expected", "one"),
    [
        ("leak", MIB, lambda number: trace(number * MIB, MIB)),
        ("allocator-retention", 20 * MIB, lambda _: trace(0, 0, trim=20 * MIB)),
        ("cycle-garbage", 20 * MIB, lambda _: trace(0, 0, cycles=20 * MIB)),
        ("one-off-peak", 50 * MIB, lambda number: trace(0, 0, peak=50 * MIB if number == 3 else MIB)),
        ("steady", 0, lambda _: trace(0, 0, peak=MIB)),
        # what each leaves is what the next one finds free: nothing rises
        ("steady", 0, lambda _: trace(0, MIB)),
    ],
)
def test_repetition_tells_what_stays(verdict: str, expected: int, one: Callable[[int], Trace]) -> None:
    found = verdict_of([one(number) for number in range(10)])
    assert (found["verdict"], found["bytes_per_call"], found["runs"]) == (verdict, expected, 10)


def test_a_close_look_names_the_record_at_which_the_peak_rose(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = iter([10 * MIB, 10 * MIB, 15 * MIB, 15 * MIB + WORTH_NAMING - 1])
    monkeypatch.setattr("memx.engine.reading.closely._high_water", lambda: next(peaks))
    look = CloseLook(rises=True)
    records = [{"type": "file", "path": "x"}, {"type": "card", "keyword": "A\x1b"}, {"type": "end", "path": "x"}]
    assert list(look.over(records)) == records
    (rise,) = look.figures()["rises"]
    assert {**rise, "at_s": 0} == {
        "at_s": 0,
        "from": 10 * MIB,
        "to": 15 * MIB,
        "record": 1,
        "type": "card",
        "name": "A\\x1b",
    }


# comparisons


def report(folder: Path, records: list[Record]) -> str:
    file = folder / "before.json"
    file.write_text(json.dumps({"type": "profile-report", "sample": records}))
    return str(file)


def like(one: Record, factor: float, figure: str = "elapsed_s") -> Record:
    return one | {"metrics": one["metrics"] | {figure: round(one["metrics"][figure] * factor, 6)}}


def compared(folder: Path, before: list[Record], after: list[Record], again: float = 1.0) -> Baseline:
    """The second readings take `again` times the first."""
    baseline = Baseline(report(folder, before))
    baseline.compare(group_of(after), lambda some: [like(like(one, again), again, "peak_rss") for one in some])
    return baseline


def test_noise_is_no_regression(tmp_path: Path) -> None:
    before = [record(seconds=1.0 + 0.01 * number) for number in range(20)]
    after = [like(one, 1.2 if number % 2 else 0.85) for number, one in enumerate(before)]
    found = compared(tmp_path, before, after)
    assert found.holds
    assert found.compared == 20


@pytest.mark.parametrize("figure", ["elapsed_s", "peak_rss"])
def test_what_got_worse_is_named(figure: str, tmp_path: Path) -> None:
    before = [record(seconds=1.0) for _ in range(8)]
    after = [*before[:5], like(before[5], 1.6, figure), *before[6:]]
    found = compared(tmp_path, before, after)
    assert not found.holds
    (regression,) = found.regressions
    assert regression.path == before[5]["path"]
    assert regression.figure == {"elapsed_s": "time", "peak_rss": "peak"}[figure]
    assert before[5]["path"] in found.reason


def test_what_is_as_before_when_it_is_read_again_did_not_get_worse(tmp_path: Path) -> None:
    before = [record(seconds=1.0)]
    assert compared(tmp_path, before, [like(before[0], 2)], again=0.5).holds
    assert not compared(tmp_path, before, [like(before[0], 2)]).holds


def test_what_fails_now_got_worse(tmp_path: Path) -> None:
    before = record()
    found = compared(tmp_path, [before], [before | {"status": "truncated"}])
    assert [one.figure for one in found.regressions] == ["status"]


def test_a_file_that_changed_is_not_compared(tmp_path: Path) -> None:
    before = record()
    found = compared(tmp_path, [before], [like(before, 9) | {"size": 7}])
    assert not found.holds
    assert found.reason.startswith("none of the files")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "metadata"}', '{"type": "profile-report", "sample": [{}]}'])
def test_a_baseline_that_is_none_is_wrong_usage(text: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text)
    with pytest.raises(UsageError, match="the baseline"):
        Baseline(str(tmp_path / "x"))
    with pytest.raises(UsageError, match="cannot read"):
        Baseline(str(tmp_path / "gone"))


# real processes


def dataset(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for number, size in enumerate((64, 128, 256, 512, 768, 1024, 1536, 2048)):
        (folder / f"{number}.bin").write_bytes(bytes(range(256)) * (size * 4))
    return folder


def profiled(*paths: Path, **how: Any) -> Profile:
    run = Profile(lambda: discover(map(str, paths)), **how)
    assert schema_faults(list(run.records())) == []
    return run


def test_a_report_of_real_files(tmp_path: Path) -> None:
    (tmp_path / "broken.fits").write_bytes(fits.build(tmp_path).read_bytes()[:2000])
    traces: list[Record] = []
    run = profiled(tmp_path, trace=traces.append)
    told = run.report()
    assert schema_faults([told, *traces]) == []
    assert (told["files"], told["failed"], run.status) == (2, 1, "failed")
    (group,) = told["groups"]
    assert (group["format"], group["files"], group["failed"], group["peak_exact"]) == ("fits", 2, 1, True)
    assert group["repeat"]["verdict"] == "steady"
    assert [problem["kind"] for problem in told["problems"]] == ["failures"]
    assert {record["path"] for record in traces} == {record["path"] for record in told["worst"]}
    assert all(record["worker"]["own"] for record in told["sample"])
    assert min(memory for _, memory in told["memory"]) > MIB


def test_an_extractor_that_is_not_there_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="gone"):
        Profile(list, extractors=[f"{WORKLOADS}:gone"])


@pytest.mark.slow
def test_repetition_ends_when_the_time_is_up(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hang")
    run = profiled(
        tmp_path / "x", options=StreamOptions(timeout=0.5), extractors=[f"{WORKLOADS}:hostile"], repeat=FEWEST
    )
    (one,) = run.report()["sample"]
    assert (one["status"], one["code"]) == ("failed", "timeout")
    assert one["repeat"]["verdict"] is None


EXPECTED = {"leaking": {"leak"}, "quadratic": {Kind.TIME_GROWS}, "hungry": {Kind.MEMORY_GROWS}, "linear": set()}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("repeat", range(10))
def test_each_is_accused_of_what_it_does_and_of_nothing_else(repeat: int, tmp_path: Path) -> None:
    run = profiled(dataset(tmp_path / "set"), jobs=2, extractors=[f"{WORKLOADS}:{name}" for name in EXPECTED])
    found: dict[str, set[str]] = {name: set() for name in EXPECTED}
    for problem in run.report()["problems"]:
        found[problem["extractor"].partition(":")[2]].add(problem["kind"])
    assert found == EXPECTED


@pytest.mark.slow
def test_memxs_own_readers_are_not_accused(tmp_path: Path) -> None:
    fits.build(tmp_path)
    assert profiled(dataset(tmp_path / "set"), tmp_path).report()["problems"] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cyclic", "leaking", "linear"])
def test_repeating_tells_a_leak_from_garbage(name: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 1000)
    run = profiled(tmp_path / "x", extractors=[f"{WORKLOADS}:{name}"], repeat=10)
    (one,) = run.report()["sample"]
    verdict = {"cyclic": "cycle-garbage", "leaking": "leak", "linear": "steady"}[name]
    assert one["repeat"]["verdict"] == verdict
    if name == "leaking":
        assert one["repeat"]["bytes_per_call"] == pytest.approx(200 << 10, rel=0.1)
        assert one["repeat"]["runs"] == 30
