"""Workers: whatever a file does to its worker, every file has exactly one line, and the others are read."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from memx.engine.dataset.pool import LEAST, OWN_GROWTH, Pool
from memx.engine.dataset.run import Run
from memx.engine.memory.process import resident
from memx.engine.options import StreamOptions
from memx.errors import UsageError
from memx.records import Record
from tests.contract import schema_faults
from tests.samples import dicom, fits

MIB = 1 << 20
HERE = "tests.engine.misbehaving"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Four small files."""
    folder = tmp_path / "files"
    folder.mkdir()
    for number in range(4):
        (folder / f"file{number}.txt").write_text(f"number {number}\n")
    return sorted(str(path) for path in folder.iterdir())


def told(files: list[str], name: str, *, jobs: int = 2, **options: object) -> list[Record]:
    """The records of a run with the extractor `name`."""
    run = Run(files, StreamOptions(extractor=f"{HERE}:{name}", **options), jobs=jobs)  # type: ignore[arg-type]
    records = list(run.records())
    assert Counter(record["path"] for record in records) == Counter(files), "exactly one line a file"
    assert schema_faults(records) == []
    assert run.tally.files == len(files)
    return records


def outcomes(records: list[Record]) -> set[tuple[str, str | None]]:
    return {(record["status"], record["code"]) for record in records}


@pytest.mark.slow
def test_what_it_returns_is_the_metadata(files: list[str]) -> None:
    for name in ("size", "reads_aloud", "forks", "leaves_a_child"):
        records = told(files, name)
        assert outcomes(records) == {("complete", None)}
        assert {record["metadata"]["size"] for record in records} == {9}
        assert all(record["metadata"].get("parent", True) for record in records)
        assert {record["extractor"] for record in records} == {f"{HERE}:{name}"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("crashes", "crashed", "SIGSEGV"),
        ("ends", "crashed", "status 7"),
        ("exits", "crashed", "sys.exit(3)"),
        ("interrupts", "internal", "KeyboardInterrupt"),
        ("raises", "internal", "raised ValueError: bad \\x1b[31mthing"),
        ("returns_an_object", "unsupported", "JSON cannot carry"),
        ("returns_itself", "over-limit", "holds itself"),
    ],
)
def test_a_misdeed_costs_its_own_file(name: str, code: str, said: str, files: list[str]) -> None:
    records = told(files, name)
    assert outcomes(records) == {("failed", code)}
    assert all(said in record["reason"] for record in records)
    assert {record["format"] for record in records} == {"binary"}


def test_a_file_may_go_away_under_its_reader(files: list[str]) -> None:
    assert outcomes(told(files, "deletes")) == {("complete", None)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hangs", "spins"])
def test_time_is_kept(name: str, files: list[str]) -> None:
    records = told(files, name, timeout=0.5)
    assert outcomes(records) == {("failed", "timeout")}
    assert {record["reason"] for record in records} == {"the reading took more than 0.5 seconds"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["will_not_listen", "swallows"])
def test_who_does_not_listen_is_killed(name: str, files: list[str]) -> None:
    assert outcomes(told(files[:2], name, timeout=0.5)) == {("failed", "timeout")}


@pytest.mark.slow
def test_who_makes_no_progress_is_stopped(files: list[str]) -> None:
    records = told(files[:2], "hangs", stall=1.5)
    assert outcomes(records) == {("failed", "timeout")}
    assert {record["reason"] for record in records} == {"nothing was read or computed for 1.5 seconds"}


@pytest.mark.slow
def test_who_computes_is_not_stalled(files: list[str]) -> None:
    assert {record["reason"] for record in told(files[:1], "spins", stall=1.0, timeout=3.0)} == {
        "the reading took more than 3 seconds"
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["takes_eight_gigabytes", "takes_bit_by_bit", "maps_shared_memory", "has_a_fat_child"])
def test_memory_is_kept(name: str, files: list[str]) -> None:
    """No file takes more than the budget, whichever way it tries."""
    budget = 380 * MIB
    options = StreamOptions(extractor=f"{HERE}:{name}", max_memory=resident() + budget, timeout=60)
    run = Run(files[:2], options, jobs=2)
    peaks: list[int] = []
    records = list(_watched(run, peaks))
    if name == "has_a_fat_child":  # the kernel may choose the child: then the extractor lives to tell of it
        assert all(record["code"] == "over-memory" or record["metadata"] in (-signal.SIGKILL, 1) for record in records)
    else:
        assert outcomes(records) == {("failed", "over-memory")}
        assert run.pool is not None
        assert run.pool.retried == 2, "each is tried once more, alone"
    assert max(peaks) < budget * 1.1


def _watched(run: Run, peaks: list[int]) -> Iterator[Record]:
    """The records of `run`; what it and its workers kept resident meanwhile goes to `peaks`."""
    import threading

    stop = threading.Event()

    def look() -> None:
        own = resident()  # the tests' own process is none of memx's
        while not stop.wait(0.02):
            peaks.append(resident() - own + sum(memory for _, _, memory in run.in_hand()))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield from run.records()
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_refused_memory_is_tried_once_more_alone(files: list[str]) -> None:
    run = Run(
        files, StreamOptions(extractor=f"{HERE}:needs_more_than_a_part", max_memory=resident() + 240 * MIB), jobs=3
    )
    records = list(run.records())
    assert outcomes(records) == {("complete", None)}
    assert run.pool is not None
    assert run.pool.retried >= 1


@pytest.mark.slow
def test_who_stays_fat_is_replaced(files: list[str]) -> None:
    run = Run(files * 5, StreamOptions(extractor=f"{HERE}:leaks", max_memory=resident() + 300 * MIB), jobs=1)
    assert outcomes(list(run.records())) == {("complete", None)}
    assert run.pool is not None
    assert run.pool.recycled >= 1


@pytest.mark.slow
def test_all_workers_work_at_once_also_when_the_parent_has_grown(files: list[str]) -> None:
    options = StreamOptions(extractor=f"{HERE}:slow", max_memory=resident() + 240 * MIB)
    run = Run(files * 10, options, jobs=2)
    ballast = bytearray(b"x" * (12 * MIB))  # after the shares were made
    most = max(len(run.in_hand()) for _ in run.records())
    assert most == 2
    assert len(ballast) == 12 * MIB


def test_a_small_budget_has_fewer_workers() -> None:
    own = resident() + OWN_GROWTH
    assert Pool(StreamOptions(), 8, own + 3 * LEAST + MIB).jobs == 3
    assert Pool(StreamOptions(), 8, 1).jobs == 1


def test_too_large_a_result_is_cut(files: list[str]) -> None:
    (record,) = told(files[:1], "returns_much")
    assert record["metadata_truncated"] is True
    assert 500 < len(record["metadata"]) < 5000


def test_odd_values_are_carried(files: list[str]) -> None:
    (record,) = told(files[:1], "returns_odd_values")
    assert record["metadata"] == {
        "1": "NaN",
        "bytes": {"inline_binary": "/w=="},
        "array": [0, 1, 2],
        "when": "2026-11-22",
        "path": "a",
        "set": [5],
        "surrogate": "\\xff",
        "long": 1 << 80,
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tests.engine.nowhere:f", "no module tests.engine.nowhere"),
        (f"{HERE}:sise", "did you mean size"),
        (f"{HERE}:KEPT", "cannot be called"),
        ("nobody", "no extractor 'nobody'"),
    ],
)
def test_a_bad_extractor_is_said_before_the_run(name: str, said: str, files: list[str]) -> None:
    with pytest.raises(UsageError, match=said):
        Run(files, StreamOptions(extractor=name))


def test_same_documents_as_without_workers(tmp_path: Path) -> None:
    paths = [str(dicom.build(tmp_path)), str(fits.build(tmp_path)), str(tmp_path / "missing"), str(tmp_path)]

    def documents(jobs: int | None) -> dict[str, Record]:
        apart = ("metrics", "strategy")
        return {
            record["path"]: {key: item for key, item in record.items() if key not in apart}
            for record in Run(paths, jobs=jobs).records()
        }

    assert documents(None) == documents(2)


def test_nothing_is_left_running(files: list[str]) -> None:
    run = Run(files, StreamOptions(extractor=f"{HERE}:leaves_a_child"), jobs=2)
    lines = run.lines()
    next(lines)
    assert run.pool is not None
    pids = [place.worker.pid for place in run.pool._places if place.worker is not None]
    assert pids
    lines.close()  # type: ignore[attr-defined]
    for _ in range(100):
        if not any(os.path.exists(f"/proc/{pid}") for pid in pids) and not _in_groups(pids):
            return
        time.sleep(0.05)
    raise AssertionError("a worker, or what it started, is still there")


def _in_groups(groups: list[int]) -> list[int]:
    """Live processes of these process groups."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                state, _, group = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(group) in groups and state != "Z":
                found.append(int(name))
    return found
