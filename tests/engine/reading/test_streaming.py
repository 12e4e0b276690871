"""What a stream promises whatever its reader does: one `file`, one `end`, no exception, nothing left behind."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from itertools import count, islice
from pathlib import Path

import pytest

from memx import formats
from memx.engine.memory.process import resident
from memx.engine.options import StreamOptions
from memx.engine.reading.session import Session, error_record
from memx.engine.reading.streaming import Stream, stream
from memx.errors import TimedOut, UsageError
from memx.formats import Format
from memx.records import Record, decode, encode
from tests.samples import audio


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Runs one of the hostile readers over a file, in a worker unless told otherwise."""

    def run(reader: str, *, library: str | None = "hostile", **options) -> list[Record]:
        row = Format("hostile", "hostile", (), lambda _h, _s: True, "tests.engine.hostile", reader, library)
        monkeypatch.setattr(formats, "FORMATS", (row, *formats.FORMATS))
        path = tmp_path / "file.hostile"
        path.write_bytes(b"x" * 100)
        return list(stream(path, StreamOptions(**options)))

    return run


def types(records: list[Record]) -> list[str]:
    return [record["type"] for record in records]


@pytest.mark.parametrize("library", ["hostile", None])
def test_a_break_keeps_what_was_read(hostile, library):
    records = hostile("Breaks", library=library)
    assert types(records) == ["file", "thing", "error", "end"]
    assert records[2] == {"type": "error", "code": "corrupt", "message": "the thing is bent", "offset": 12}
    assert records[3]["status"] == "truncated"
    assert records[3]["reason"] == "the thing is bent"
    assert records[3]["records"] == 2


@pytest.mark.parametrize("library", ["hostile", None])
def test_a_bug_is_internal_and_has_no_traceback(hostile, library):
    records = hostile("Bug", library=library)
    assert types(records) == ["file", "thing", "error", "end"]
    assert records[2]["code"] == "internal"
    assert "ZeroDivisionError: by nobody" in records[2]["message"]
    assert records[3]["status"] == "failed"


@pytest.mark.parametrize(
    ("reader", "said"), [("Segfaults", "SIGSEGV"), ("Exits", "status 7"), ("SysExits", "status 3")]
)
def test_a_worker_that_dies_costs_its_file_only(hostile, reader, said):
    records = hostile(reader)
    assert types(records) == ["file", "thing", "error", "end"], "what it said before it died is not lost"
    assert records[-2]["code"] == "crashed"
    assert said in records[-2]["message"]
    assert records[-1]["status"] == "failed"
    assert records[-1]["records"] == len(records) - 2
    assert records[-1]["metrics"]["peak_rss"] > 0


def test_a_worker_that_dies_before_its_first_line(hostile):
    records = hostile("SegfaultsAtOpen", with_path=True)
    assert types(records) == ["file", "error", "end"]
    assert records[0]["format"] == "hostile"
    assert records[0]["size"] == 100
    assert {record["source"] for record in records} == {records[0]["path"]}


@pytest.mark.slow
def test_a_reading_that_hangs_is_asked_to_end(hostile):
    began = time.monotonic()
    records = hostile("Sleeps", timeout=1.0)
    assert types(records) == ["file", "thing", "error", "end"]
    assert records[2]["code"] == "timeout"
    assert records[3]["metrics"]["peak_exact"], "the worker itself should have said the end"
    assert time.monotonic() - began < 20


@pytest.mark.slow
def test_a_reading_that_does_not_listen_is_killed(hostile):
    records = hostile("IgnoresTermination", timeout=1.0)
    assert types(records) == ["file", "thing", "error", "end"]
    assert records[2]["code"] == "timeout"
    assert records[3]["status"] == "failed"


@pytest.mark.slow
def test_a_reading_without_end_ends_in_time(hostile):
    records = hostile("NeverEnds", timeout=1.0)
    assert [record["name"] for record in records[1:-2]] == [f"thing {n}" for n in range(len(records) - 3)]
    assert records[-2]["code"] == "timeout"
    assert records[-1]["records"] == len(records) - 2


@pytest.mark.parametrize("place", [(Stream, "_is_last"), (Session, "_stamp")], ids=["stream", "session"])
@pytest.mark.parametrize("strikes_at", [2, 3, 10])
def test_what_is_lost_when_time_is_up_is_not_counted(hostile, monkeypatch, place, strikes_at):
    owner, name = place
    calls, unharmed = count(1), getattr(owner, name)

    def struck(self, record):
        if next(calls) == strikes_at:
            raise TimedOut("the reading took more than 1 seconds")
        return unharmed(self, record)

    monkeypatch.setattr(owner, name, struck)
    records = hostile("NeverEnds", library=None, with_path=True)
    assert [record["name"] for record in records[1:-2]] == [f"thing {n}" for n in range(len(records) - 3)]
    assert records[-2]["code"] == "timeout"
    assert records[-1]["records"] == len(records) - 2


@pytest.mark.parametrize("strikes_at", [1, 2, 7])
def test_the_line_in_hand_when_it_is_interrupted_is_given(monkeypatch, tmp_path, strikes_at):
    calls, path, lines = count(1), tmp_path / "bytes", []
    path.write_bytes(bytes(100))

    def struck(record):
        if next(calls) == strikes_at:
            raise KeyboardInterrupt
        return encode(record)

    monkeypatch.setattr("memx.engine.reading.streaming.encode", struck)
    with pytest.raises(KeyboardInterrupt):
        lines.extend(map(decode, Stream(path, StreamOptions(chunk_size=1)).lines()))
    file, *between, error, end = lines
    assert [record["index"] for record in between] == list(range(strikes_at - 1))
    assert (file["type"], error["message"]) == ("file", "interrupted")
    assert end["records"] == len(between) + 1


def test_what_a_library_prints_never_meets_the_records(hostile, capfd):
    records = hostile("Prints")
    assert types(records) == ["file", "thing", "thing", "end"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_memory_beyond_the_budget_is_refused_by_the_kernel(hostile):
    allowance = 300 << 20  # beside what this process keeps, which grows with the tests that it ran
    records = hostile("TakesMemory", max_memory=resident() + allowance)
    assert types(records) == ["file", "thing", "error", "end"]
    assert records[2]["code"] == "over-memory"
    assert records[3]["metrics"]["peak_rss"] < allowance
    assert types(hostile("TakesMemory")) == ["file", "thing", "thing", "end"]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        ImportError("libx264.so.165: failed to map segment from shared object"),
        ImportError("libavutil.so.60: cannot map zero-fill pages"),
    ],
    ids=str,
)
def test_memory_that_is_refused_is_told_as_that(error):
    assert error_record(error)["code"] == "over-memory"
    assert error_record(ImportError("no module named x"))["code"] == "internal"


def test_what_acts_on_want_of_memory_is_loaded_before_there_is_any(hostile):
    loaded = hostile("TellsWhatIsLoaded", max_memory=resident() + (300 << 20))[1]["name"].split()
    assert "memx.engine.memory.pressure" in loaded
    assert "memx.engine.memory.pressure" not in hostile("TellsWhatIsLoaded")[1]["name"].split()


def test_what_a_library_reserves_and_never_touches_is_no_part_of_the_budget(tmp_path):
    path = audio.build(tmp_path)  # which imports libraries into this process, that count too
    budget = resident() + (46 << 20)
    records = list(stream(path, StreamOptions(max_memory=budget)))
    assert records[-1]["status"] == "complete"
    assert records[-1]["metrics"]["peak_rss"] < 46 << 20


@pytest.mark.parametrize(
    ("options", "said", "blocks"),
    [
        ({}, [None, "whole", 0, 1, 2, None], 1),
        ({"limit": 3}, [None, "whole", 0, 1, None], 0),
        ({"select": ("part",)}, [None, 0, 1, 2, None], 0),
        ({"with_path": True}, [None, "whole", 0, 1, 2, None], 0),
    ],
)
def test_lines_that_a_reader_writes_itself_count(monkeypatch, tmp_path, options, said, blocks):
    row = Format("hostile", "hostile", (), lambda _h, _s: True, "tests.engine.hostile", "Blocks")
    monkeypatch.setattr(formats, "FORMATS", (row, *formats.FORMATS))
    path = tmp_path / "file.hostile"
    path.write_bytes(b"x" * 100)
    lines = list(Stream(path, StreamOptions(**options)).lines())
    records = [json.loads(line) for line in b"".join(lines).splitlines()]
    assert [record.get("name", record.get("number")) for record in records] == said
    assert records[-1]["records"] == len(said) - 2
    assert sum(line.count(b"\n") > 1 for line in lines) == blocks
    assert [record["type"] for record in Stream(path, StreamOptions(**options)).records()] == types(records)


@pytest.mark.parametrize("library", ["hostile", None])
def test_a_file_is_handed_on(hostile, library):
    records = hostile("HandsOn", library=library)
    assert types(records) == ["file", "chunk", "digest", "end"]
    assert (records[0]["format"], records[0]["reader"]) == ("binary", "direct")


def test_limit_counts_and_says_so(hostile):
    records = hostile("NeverEnds", limit=5)
    assert types(records) == ["file", *["thing"] * 5, "end"]
    assert records[-1]["status"] == "complete"
    assert "5" in records[-1]["reason"]
    exact = hostile("Hostile", limit=2)
    assert exact[-1]["reason"] is None, "nothing was cut"


def test_select_takes_shell_patterns(hostile):
    assert [r.get("name") for r in hostile("Hostile", select=("l?st",))[1:-1]] == ["last"]
    assert len(hostile("Hostile", select=("thing",))) == 4
    assert len(hostile("Hostile", select=("nothing", "[x-z]*"))) == 2


def test_an_unknown_format_is_a_usage_error():
    with pytest.raises(UsageError, match="dicom, hdf5"):
        Stream("x", StreamOptions(format="dicm"))


@pytest.fixture(params=[None, "hostile"], ids=["here", "worker"])
def endless(request, monkeypatch, tmp_path):
    row = Format("hostile", "hostile", (), lambda _h, _s: True, "tests.engine.hostile", "NeverEnds", request.param)
    monkeypatch.setattr(formats, "FORMATS", (row,))
    (tmp_path / "f").write_bytes(b"x")
    return Stream(tmp_path / "f")


def test_an_interrupt_still_gives_the_end(endless):
    records = endless.records()
    assert next(records)["type"] == "file"
    next(records)
    assert records.throw(KeyboardInterrupt()) == {"type": "error", "code": "truncated", "message": "interrupted"}
    end = next(records)
    assert (end["type"], end["status"], end["reason"], end["records"]) == ("end", "truncated", "interrupted", 2)
    with pytest.raises(KeyboardInterrupt):
        next(records)


def test_an_interrupt_before_anything_still_gives_file_and_end(endless, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("memx.engine.reading.streaming.open_source", interrupted)
    lines = endless.lines()
    assert [json.loads(line)["type"] for line in islice(lines, 3)] == ["file", "error", "end"]
    with pytest.raises(KeyboardInterrupt):
        next(lines)


def test_closing_early_leaves_no_process(hostile, monkeypatch, tmp_path):
    row = Format("hostile", "hostile", (), lambda _h, _s: True, "tests.engine.hostile", "NeverEnds", "hostile")
    monkeypatch.setattr(formats, "FORMATS", (row,))
    (tmp_path / "f").write_bytes(b"x")
    opened = Stream(tmp_path / "f")
    records = opened.records()
    next(records)
    pid = opened.worker_pid
    assert pid is not None
    records.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.slow
def test_a_worker_ends_with_its_parent(tmp_path):
    code = (
        "from memx import formats\n"
        "from memx.engine.reading.streaming import Stream\n"
        "formats.FORMATS = (formats.Format('h', 'h', (), lambda h, s: True, 'tests.engine.hostile', 'Sleeps', 'h'),)\n"
        f"s = Stream({str(tmp_path / 'f')!r})\n"
        "records = s.records(); next(records); print(s.worker_pid, flush=True); next(records); next(records)\n"
    )
    (tmp_path / "f").write_bytes(b"x")
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_copy_of_a_pipe_goes_when_memx_is_killed(tmp_path):
    code = (
        "import os\n"
        "from memx import formats\n"
        "from memx.engine.reading.streaming import Stream\n"
        "formats.FORMATS = (formats.Format('h', 'h', (), lambda h, s: True, 'tests.engine.hostile', 'Sleeps', 'h'),)\n"
        "reading, writing = os.pipe(); os.write(writing, b'x'); os.close(writing)\n"
        "records = Stream(os.fdopen(reading, 'rb')).records(); next(records); next(records)\n"
        "print('there', flush=True); next(records)\n"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"there\n"
    assert len(os.listdir(tmp_path)) == 1
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    for _ in range(100):
        if not os.listdir(tmp_path):
            break
        time.sleep(0.05)
    assert os.listdir(tmp_path) == []


def test_names_that_are_no_utf8_survive(tmp_path):
    path = os.fsencode(tmp_path) + b"/caf\xe9\x1b[31m"
    Path(os.fsdecode(path)).write_bytes(b"x")
    for options in (StreamOptions(), StreamOptions(timeout=30)):
        lines = b"".join(Stream(os.fsdecode(path), options).lines()).splitlines()
        file, *_, end = map(json.loads, lines)
        assert file["path"].endswith("caf\\xe9\x1b[31m")
        assert end["status"] == "complete"


@pytest.mark.parametrize("reader", ["Hostile", "Segfaults", "HandsOn"])
@pytest.mark.parametrize("piped", [False, True], ids=["path", "pipe"])
def test_a_direct_reader_hands_on_to_a_library_in_a_worker(monkeypatch, tmp_path, reader, piped):
    direct = Format("direct", "hostile", (), lambda _h, _s: True, "tests.engine.hostile", "HandsOnToALibrary", None)
    library = Format("library", "hostile", (), lambda _h, _s: False, "tests.engine.hostile", reader, "hostile")
    monkeypatch.setattr(formats, "FORMATS", (direct, library, *formats.FORMATS))
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    if piped:
        reading, writing = os.pipe()
        os.write(writing, b"x" * 100)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            records = list(stream(file))
        assert records[0]["spooled"] is True
    else:
        records = list(stream(path))
    expected = {
        "Hostile": ["file", "thing", "thing", "end"],
        "Segfaults": ["file", "thing", "error", "end"],
        "HandsOn": ["file", "chunk", "digest", "end"],
    }
    assert types(records) == expected[reader]
    assert records[0]["reader"] == ("direct" if reader == "HandsOn" else "hostile")
