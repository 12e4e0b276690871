"""One source, one `metadata` record: whatever its reader does, measured, bounded, and nothing left behind."""

import gc
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from memx import formats
from memx.engine.analysis.prediction import MARGIN, PeakHistory
from memx.engine.memory.process import resident
from memx.engine.memory.strategy import ExtractionStrategy
from memx.engine.options import StreamOptions
from memx.engine.reading.documents import Extraction, Fold, extract, folded
from memx.engine.reading.session import Session
from memx.engine.workers.worker import Worker
from memx.errors import TimedOut, UsageError
from memx.formats import Format, by_key
from memx.formats.documents import Document, PlainDocument
from memx.records import MAX_LINE, Record, decode, encode
from memx.sources import open_source
from tests.contract import schema_faults
from tests.samples import fits, video

MEMBERS = ["type", "path", "format", "size", "status", "reason", "code", "strategy", "metadata", "mtime", "metrics"]
METRICS = ["elapsed_s", "bytes_read", "peak_rss", "peak_rss_delta", "peak_exact", "gc"]


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Extracts a file with one of the hostile readers, in a worker unless told otherwise."""

    def run(reader: str, *, library: str | None = "hostile", **options) -> Record:
        row = Format("hostile", "hostile", (), lambda _h, _s: True, "tests.engine.hostile", reader, library)
        monkeypatch.setattr(formats, "FORMATS", (row, *formats.FORMATS))
        path = tmp_path / "file.hostile"
        path.write_bytes(b"x" * 100)
        return extract(path, StreamOptions(**options))

    return run


def test_members_are_those_of_the_contract(tmp_path: Path) -> None:
    record = extract(fits.build(tmp_path))
    assert list(record) == MEMBERS
    assert list(record["metrics"]) == METRICS
    assert list(record["strategy"]) == ["name", "reason", "available", "predicted_peak"]
    assert list(record["metrics"]["gc"]) == ["collections", "pause_s"]
    assert (record["type"], record["format"], record["status"]) == ("metadata", "fits", "complete")
    assert record["strategy"]["name"] == "aggressive"
    assert record["strategy"]["available"] > 0
    assert record["metrics"]["peak_rss"] > 1 << 20
    assert schema_faults([record]) == []


@pytest.mark.parametrize("strategy", list(ExtractionStrategy))
def test_strategy_that_is_asked_for_is_the_collector_that_runs(
    strategy: ExtractionStrategy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from memx.engine.memory.strategy import GC_THRESHOLDS
    from memx.formats.fits import FitsStreamReader

    seen = []
    real = FitsStreamReader.batches

    def batches(self: FitsStreamReader) -> Iterator[list[Record]]:
        seen.append(gc.get_threshold())
        return real(self)

    monkeypatch.setattr(FitsStreamReader, "batches", batches)
    before = gc.get_threshold()
    record = extract(fits.build(tmp_path), StreamOptions(strategy=strategy))
    assert seen == [GC_THRESHOLDS[strategy]]
    assert gc.get_threshold() == before
    assert (record["strategy"]["name"], record["strategy"]["reason"]) == (strategy, "asked for")


@pytest.mark.slow
def test_collections_are_counted_and_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Document.add

    left = iter(range(10))

    def add(self: Document, record: Record) -> None:
        if next(left, None) is not None:
            gc.collect()
        real(self, record)

    monkeypatch.setattr(Document, "add", add)
    told = extract(fits.build(tmp_path))["metrics"]["gc"]
    assert 10 <= told["collections"] <= 20
    assert 0 < told["pause_s"] < 60


def test_a_library_is_asked_in_a_worker_which_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "plain.bin"
    path.write_bytes(b"some bytes")
    monkeypatch.setattr("memx.engine.reading.documents.Fold.take", None)  # here nothing is folded
    extraction = Extraction(path, StreamOptions(timeout=60))
    (block,) = extraction.lines()
    record = decode(block)
    assert (record["status"], extraction.status) == ("complete", "complete")
    assert record["metadata"]["entropy"] > 2


def test_a_break_keeps_what_was_read(hostile) -> None:
    for library in ("hostile", None):
        record = hostile("Breaks", library=library)
        assert (record["status"], record["code"], record["reason"]) == ("truncated", "corrupt", "the thing is bent")
        assert record["metadata"] == {"things": [{"name": "first"}]}


def test_a_bug_is_internal(hostile) -> None:
    for library in ("hostile", None):
        record = hostile("Bug", library=library)
        assert (record["status"], record["code"]) == ("failed", "internal")
        assert "ZeroDivisionError" in record["reason"]


@pytest.mark.parametrize(
    ("reader", "said"),
    [("Segfaults", "SIGSEGV"), ("SegfaultsAtOpen", "SIGSEGV"), ("Exits", "status 7"), ("SysExits", "status 3")],
)
def test_a_worker_that_dies_gives_a_record(hostile, reader: str, said: str) -> None:
    record = hostile(reader)
    assert list(record) == MEMBERS
    assert list(record["metrics"]) == METRICS
    assert (record["status"], record["code"], record["format"], record["size"]) == ("failed", "crashed", "hostile", 100)
    assert said in record["reason"]
    assert record["strategy"]["name"] == "aggressive"
    assert record["metrics"]["peak_rss"] > 1 << 20


@pytest.mark.slow
def test_what_hangs_is_asked_to_end_and_keeps_what_was_read(hostile) -> None:
    record = hostile("Sleeps", timeout=1.0)
    assert (record["status"], record["code"]) == ("failed", "timeout")
    assert record["reason"] == "the reading took more than 1 seconds"
    assert record["metadata"] == {"things": [{"name": "first"}]}


@pytest.mark.slow
def test_what_does_not_listen_is_killed(hostile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memx.engine.workers.worker._GRACE", 0.2)
    record = hostile("IgnoresTermination", timeout=1.0)
    assert (record["status"], record["code"], record["metadata"]) == ("failed", "timeout", {})


@pytest.mark.slow
def test_records_without_end_are_one_bounded_document(hostile) -> None:
    record = hostile("NeverEnds", timeout=6.0)
    assert (record["status"], record["code"], record["metadata_truncated"]) == ("failed", "timeout", True)
    assert MAX_LINE * 0.9 < len(encode(record)) <= MAX_LINE
    assert record["metrics"]["peak_rss"] < 100 << 20


def test_too_little_memory_is_over_memory(hostile) -> None:
    record = hostile("TakesMemory", max_memory=resident() + (200 << 20))
    assert (record["status"], record["code"]) == ("failed", "over-memory")
    assert record["metadata"] == {"things": [{"name": "first"}]}
    assert record["strategy"]["available"] < 200 << 20


def test_a_budget_that_holds_not_even_a_worker_is_over_memory(hostile) -> None:
    record = hostile("Prints", max_memory=1 << 20)
    assert (record["status"], record["code"], record["strategy"]["available"]) == ("failed", "over-memory", 0)
    assert record["strategy"]["name"] == "conservative"


@pytest.mark.parametrize(
    ("origin", "code"), [("missing", "not-found"), (".", "unsupported"), ("/dev/null/x", "internal")], ids=str
)
def test_what_cannot_be_opened(origin: str, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    record = extract(origin)
    assert list(record) == MEMBERS
    assert (record["path"], record["format"], record["size"], record["status"]) == (origin, None, None, "failed")
    assert (record["code"], record["metadata"], record["strategy"]["name"]) == (code, {}, None)
    assert record["reason"]
    assert schema_faults([record]) == []


def test_a_stream_of_bytes(tmp_path: Path) -> None:
    data = fits.build(tmp_path).read_bytes()
    record = extract(io.BytesIO(data))
    assert (record["path"], record["size"], record["status"]) == ("-", None, "complete")
    assert extract(tmp_path / "every.fits")["metadata"] == record["metadata"]


def test_same_document_in_a_worker_and_here(tmp_path: Path) -> None:
    path = fits.build(tmp_path)
    here, there = extract(path), extract(path, StreamOptions(timeout=60))
    for member in set(MEMBERS) - {"metrics", "strategy"}:
        assert here[member] == there[member]


@pytest.mark.slow
def test_large_metadata_is_one_line_of_at_most_a_mebibyte(tmp_path: Path) -> None:
    import h5py

    path = tmp_path / "wide.h5"
    with h5py.File(path, "w") as file:
        for number in range(12_000):
            file.create_group(f"a group with a long name and a number, which is {number:06}").attrs["number"] = number
    record = extract(path)
    assert record["metadata_truncated"] is True
    assert list(record)[-3:] == ["metadata_truncated", "mtime", "metrics"]
    assert record["status"] == "complete"
    assert MAX_LINE * 0.9 < len(encode(record)) <= MAX_LINE
    assert schema_faults([record]) == []


def test_no_such_format() -> None:
    with pytest.raises(UsageError, match="no format 'tiff'"):
        extract("x", StreamOptions(format="tiff"))


# the fold


def start(fold: Fold) -> None:
    fold.take({"type": "file", "path": "p", "format": "other", "size": 3})


def end(status: str = "truncated") -> Record:
    return {"type": "end", "path": "p", "status": status, "reason": "first", "records": 0, "metrics": {"elapsed_s": 0}}


def error(code: str, message: str) -> Record:
    return {"type": "error", "code": code, "message": message}


@pytest.mark.parametrize(
    ("errors", "code", "reason"),
    [
        ([error("corrupt", "first")], "corrupt", "first"),
        ([error("corrupt", "first"), error("truncated", "b")], "corrupt", "first; 1 more fault was found"),
        (
            [error("corrupt", "a"), error("corrupt", "b"), error("timeout", "c")],
            "timeout",
            "c; 2 more faults were found",
        ),
    ],
)
def test_faults_come_to_one_code_and_one_reason(errors: list[Record], code: str, reason: str) -> None:
    fold = Fold()
    start(fold)
    fold.take_all([*errors, end()])
    record = fold.record(None, 5, None)
    assert (record["code"], record["reason"]) == (code, reason)
    assert record["metrics"] == {"elapsed_s": 0, "gc": {"collections": 0, "pause_s": 0.0}}


@pytest.mark.parametrize(
    ("struck", "code"), [(TimedOut("the reading took more than 1 seconds"), "timeout"), (MemoryError(), "over-memory")]
)
def test_what_strikes_between_two_records_ends_the_reading(
    struck: Exception, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = iter([None, struck])
    real = Document.add

    def add(self: Document, record: Record) -> None:
        real(self, record)
        if (now := next(left, None)) is not None:
            raise now

    monkeypatch.setattr(Document, "add", add)
    with open_source(fits.build(tmp_path)) as source:
        (record,) = folded(Session(source, by_key("fits"), StreamOptions(summary=True)))
    assert (record["status"], record["code"]) == ("failed", code)
    assert len(record["metadata"]["hdus"]) == 1
    assert not any(getattr(call, "__self__", None).__class__.__name__ == "PauseRecorder" for call in gc.callbacks)


def test_plain_documents_are_for_formats_without_a_shape() -> None:
    fold = Fold()
    start(fold)
    assert isinstance(fold._document, PlainDocument)


# what is expected of the next file


def test_first_peak_is_expected_near_what_is_resident() -> None:
    assert abs(PeakHistory().predict("fits", 100) - resident() - MARGIN) < 16 << 20


def test_later_peaks_are_expected_by_those_that_were_seen() -> None:
    history = PeakHistory()
    for _ in range(5):
        history.note("fits", 100, 50 << 20)
    history.note("hdf5", 100, 900 << 20)
    assert history.predict("fits", 100) == (50 << 20) + MARGIN
    assert history.predict("hdf5", None) == (900 << 20) + MARGIN


def test_what_was_seen_is_bounded() -> None:
    history = PeakHistory()
    for peak in range(1, 2000):
        history.note("fits", 100, peak)
    assert len(history._runs["fits"]) == 256


def test_extractions_learn_from_each_other(tmp_path: Path) -> None:
    path, history = str(fits.build(tmp_path)), PeakHistory()
    first, second = (Extraction(path, history=history).document() for _ in range(2))
    seen = first["metrics"]["peak_rss"]
    assert second["strategy"]["predicted_peak"] == seen + MARGIN


# real limits


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cgroup", "rlimit"])
def test_under_a_real_limit(kind: str, tmp_path: Path) -> None:
    """A budget of 96 MiB that the kernel holds is seen, named in the reason, and kept; too little is told."""
    import resource

    from tests.engine.memory.test_budget import real_cgroup

    path = video.build(tmp_path)
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(400 << 20)
    code = (
        "import json; from memx.engine.reading.documents import extract; input()\n"
        f"print(json.dumps([extract({str(path)!r}), extract({str(big)!r})]))"
    )
    folder = real_cgroup() if kind == "cgroup" else None
    if kind == "cgroup" and folder is None:
        pytest.skip("no memory cgroup can be made here")
    try:
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            if folder is not None:
                name = "memory.max" if (folder / "memory.max").exists() else "memory.limit_in_bytes"
                (folder / name).write_text(str(96 << 20))
                (folder / "cgroup.procs").write_text(str(child.pid))
            else:
                resource.prlimit(child.pid, resource.RLIMIT_DATA, (96 << 20, 96 << 20))
            out, _ = child.communicate("\n", timeout=100)
    finally:
        if folder is not None:
            folder.rmdir()
    film, bytes_ = json.loads(out)
    for record in (film, bytes_):
        assert (record["status"], record["reason"]) == ("complete", None)
        assert record["strategy"]["available"] <= 96 << 20
        assert record["metrics"]["peak_rss"] < 96 << 20
    assert bytes_["strategy"]["name"] == "conservative"
    assert "less than its size" in bytes_["strategy"]["reason"]


@pytest.mark.parametrize(
    ("status", "kills", "limited", "code"),
    [
        (-signal.SIGKILL, 4, False, "over-memory"),
        (-signal.SIGKILL, 3, False, "crashed"),
        (71, 3, False, "over-memory"),
        (1, 3, False, "crashed"),
        (1, 3, True, "over-memory"),
        (-signal.SIGSEGV, 4, True, "crashed"),
    ],
)
def test_what_a_worker_died_of(
    status: int, kills: int, limited: bool, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memx.engine.workers.worker.oom_kills", lambda: kills)
    worker = object.__new__(Worker)
    worker._limited, worker._oom_kills, worker._fence = limited, 3, None
    assert worker._death(status).code == code
