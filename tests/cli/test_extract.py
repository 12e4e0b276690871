"""`memx extract`: a line a file whatever happens, as lines and as a table."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

import pytest

from memx.cli import main
from memx.cli.columns import width_of
from memx.cli.documents import DocumentTable
from memx.cli.output import OutputOptions
from memx.engine.dataset.run import Run
from memx.engine.memory.strategy import ExtractionStrategy
from memx.engine.options import StreamOptions
from memx.engine.reading.documents import extract
from memx.records import MAX_LINE, Record, decode
from tests.cli.command import memx, on_terminal, random_bytes, records_of, started
from tests.contract import schema_faults
from tests.contract.sources import fed_pipe
from tests.samples import dicom, fits, video


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder with a file of three kinds, in two folders, and things to be left out."""
    folder = tmp_path / "archive"
    (folder / "deeper").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    dicom.build(folder)
    fits.build(folder / "deeper")
    random_bytes(folder, 5000)
    random_bytes(folder / ".hidden", 5000)
    os.mkfifo(folder / "pipe")
    return folder


NAMES = ["deeper/every.fits", "random.bin", "sample.dcm"]


def paths_of(output: bytes, folder: Path) -> list[str]:
    return [os.path.relpath(record["path"], folder) for record in records_of(output)]


def test_folders_are_walked_a_line_a_file(archive: Path) -> None:
    done = memx("extract", archive)
    assert (done.returncode, done.stderr) == (0, b"")
    records = records_of(done.stdout)
    assert paths_of(done.stdout, archive) == NAMES
    assert [record["format"] for record in records] == ["fits", "binary", "dicom"]
    assert {record["status"] for record in records} == {"complete"}
    assert all(len(line) < MAX_LINE for line in done.stdout.splitlines(keepends=True))
    assert schema_faults(records) == []


def test_same_documents_twice(archive: Path) -> None:
    def told() -> list[Record]:
        records = records_of(memx("extract", archive).stdout)
        return [{key: item for key, item in record.items() if key not in ("metrics", "strategy")} for record in records]

    assert told() == told()


def test_several_sources_one_of_them_broken(archive: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.fits"
    cut.write_bytes((archive / "deeper" / "every.fits").read_bytes()[:6000])
    done = memx("extract", tmp_path / "missing", archive / "sample.dcm", cut, archive / "deeper")
    assert (done.returncode, done.stderr) == (1, b"")
    records = records_of(done.stdout)
    assert [record["code"] for record in records] == ["not-found", None, "truncated", None]
    assert [record["status"] for record in records] == ["failed", "complete", "truncated", "complete"]
    assert records[2]["metadata"]["hdus"][0]["header"]["SIMPLE"] is True


def test_to_a_file_inside_of_what_is_walked(archive: Path) -> None:
    for target in ("metadata.jsonl", "aaa.jsonl"):
        done = memx("extract", ".", "-o", target, cwd=archive)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert paths_of((archive / target).read_bytes(), Path()) == NAMES
        (archive / target).unlink()
    with open(archive / "redirected", "wb") as file:
        memx("extract", archive, stdout=file)
    assert paths_of((archive / "redirected").read_bytes(), archive) == NAMES


def test_a_source_is_never_written_to(archive: Path) -> None:
    before = (archive / "sample.dcm").read_bytes()
    done = memx("extract", archive / "sample.dcm", "-o", archive / "sample.dcm")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"is a source" in done.stderr
    assert (archive / "sample.dcm").read_bytes() == before


@pytest.mark.parametrize("null", [False, True])
def test_lists_of_files(null: bool, archive: Path, tmp_path: Path) -> None:
    end = b"\0" if null else b"\n"
    names = end.join(os.fsencode(archive / name) for name in reversed(NAMES))
    (tmp_path / "list").write_bytes(names)
    options = ["-0"] if null else []
    done = memx("extract", "--files-from", tmp_path / "list", *options)
    assert paths_of(done.stdout, archive) == NAMES[::-1]
    done = memx("extract", "--files-from", "-", *options, input=names + end + os.fsencode(archive / "deeper"))
    assert paths_of(done.stdout, archive) == [*NAMES[::-1], NAMES[0]]
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_list_is_read_as_it_comes(archive: Path) -> None:
    process = started("extract", "--files-from", "-", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for name in NAMES:
            process.stdin.write(f"{archive / name}\n".encode())
            process.stdin.flush()
            assert decode(process.stdout.readline())["path"] == str(archive / name)
        process.stdin.close()
    assert process.returncode == 0


def test_standard_input_is_a_source(archive: Path) -> None:
    with fed_pipe((archive / "deeper" / "every.fits").read_bytes()) as pipe:
        done = memx("extract", "-", stdin=pipe)
    (record,) = records_of(done.stdout)
    assert (record["path"], record["size"], record["format"], record["status"]) == ("-", None, "fits", "complete")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], b"nothing to read"),
        (["--null", "x"], b"--files-from"),
        (["--files-from", "missing"], b"cannot be read"),
        (["--files-from", "-", "-"], b"at once"),
        (["--format", "hdf", "x"], b"did you mean hdf5"),
        (["--max-memory", "lots", "x"], b"is no size"),
        (["--timeout", "0", "x"], b"is no time"),
        (["--strategy", "fast", "x"], b"fast"),
        (["--jobs", "0", "x"], b"--jobs"),
        (["--resume", "x"], b"say which with --output"),
        (["--extractor", "no_such_module:f", "x"], b"there is no module no_such_module"),
        (["--extractor", "no_such_point", "x"], b"write MODULE:FUNCTION"),
        (["--extractor", "json:lodas", "x"], b"did you mean load"),
        (["--extractor", "json:__name__", "x"], b"cannot be called"),
    ],
    ids=str,
)
def test_wrong_usage(arguments: list[str], said: bytes, tmp_path: Path) -> None:
    done = memx("extract", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_the_command_makes_one_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs: list[tuple[list[str], StreamOptions, int | None]] = []
    outputs: list[OutputOptions] = []

    class Fake(Run):
        def __init__(self, paths: Iterable[str], options: StreamOptions, *, jobs: int | None, journal: None) -> None:
            super().__init__(())
            runs.append((list(paths), options, jobs))

    def emit(streams: list[Run], options: OutputOptions, look: object, finish: object) -> bool:
        outputs.append(options)
        return True

    monkeypatch.setattr("memx.engine.dataset.run.Run", Fake)
    monkeypatch.setattr("memx.cli.output.emit", emit)
    (tmp_path / "list").write_text("three\n")
    line = (
        f"extract one -o {tmp_path}/out --format HDF5 --json --max-memory 1G --strategy balanced --max-value-bytes 9 "
        f"--timeout 2.5 --stall 7 --jobs 3 --extractor json:load --no-color --files-from {tmp_path}/list two"
    )
    assert main(line.split()) == 0
    wanted = StreamOptions(
        format="hdf5",
        max_value_bytes=9,
        strategy=ExtractionStrategy.BALANCED,
        max_memory=1 << 30,
        timeout=2.5,
        stall=7.0,
        extractor="json:load",
    )
    assert runs == [(["one", "two", "three"], wanted, 3)]
    assert outputs == [OutputOptions(file=f"{tmp_path}/out", table=False, color=False, sources=["one", "two"])]


def test_options_reach_the_reading(archive: Path) -> None:
    source = archive / "sample.dcm"
    (record,) = records_of(memx("extract", "--max-value-bytes", 4, "--strategy", "conservative", source).stdout)
    assert record["metadata"]["00081030"]["BulkDataURI"].startswith("?offset=")
    assert (record["strategy"]["name"], record["strategy"]["reason"]) == ("conservative", "asked for")
    (record,) = records_of(memx("extract", "--format", "binary", source).stdout)
    assert (record["format"], list(record["metadata"])) == ("binary", ["sha256", "entropy"])


def test_a_budget_that_is_too_small_fails_each_file(archive: Path) -> None:
    done = memx("extract", "--max-memory", "8M", archive)
    assert (done.returncode, done.stderr) == (1, b"")
    assert [record["code"] for record in records_of(done.stdout)] == ["over-memory"] * 3


def test_a_budget_that_is_enough_is_kept(archive: Path) -> None:
    done = memx("extract", "--max-memory", "128M", archive)
    assert done.returncode == 0
    for record in records_of(done.stdout):
        assert record["status"] == "complete"
        assert record["strategy"]["available"] < 128 << 20


@pytest.mark.slow
def test_time_is_kept(tmp_path: Path) -> None:
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(1 << 40)
    began = time.monotonic()
    done = memx("extract", "--timeout", "0.7", big)
    assert time.monotonic() - began < 10
    (record,) = records_of(done.stdout)
    assert (done.returncode, record["status"], record["code"]) == (1, "failed", "timeout")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [[], ["-j", "2"]], ids=["here", "workers"])
def test_interrupted_a_file_that_takes_too_long_is_given_up(jobs: list[str], tmp_path: Path, archive: Path) -> None:
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(1 << 40)
    with started("extract", *jobs, archive, big) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in NAMES]
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert (process.returncode, rest) == (130, b"")
    assert errors == b"memx: interrupted: 3 files done, 1 left\n"
    assert [decode(line)["status"] for line in lines] == ["complete"] * 3


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [[], ["-j", "2"]], ids=["here", "workers"])
def test_interrupted_what_is_in_hand_is_finished(jobs: list[str], tmp_path: Path, archive: Path) -> None:
    pipe = archive / "deeper" / "a.pipe"
    os.mkfifo(pipe)
    with started("extract", *jobs, pipe, archive, "-o", tmp_path / "out.jsonl") as process:
        assert process.stderr is not None
        with pipe.open("wb") as writer:
            writer.write(b"first")
            writer.flush()
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
            writer.write(b"last")
        errors = process.stderr.read()
    assert process.returncode == 130
    records = records_of((tmp_path / "out.jsonl").read_bytes())
    of_pipe = [record for record in records if record["path"] == str(pipe)]
    assert [record["status"] for record in of_pipe] == ["complete"]
    done = f"{len(records)} {'file' if len(records) == 1 else 'files'} done"
    assert errors.startswith(f"memx: interrupted: {done}, {4 - len(records)} left".encode())


def test_reader_of_the_pipe_goes_away(archive: Path) -> None:
    with started("extract", *[archive] * 200) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"caf\xe9.bin")
    name.write_bytes(b"x")
    (record,) = records_of(memx("extract", tmp_path).stdout)
    assert record["path"].endswith("caf\\xe9.bin")
    assert record["status"] == "complete"


# on a terminal


def test_a_terminal_gets_a_table(archive: Path, tmp_path: Path) -> None:
    status, shown = on_terminal("extract", "--no-color", archive, tmp_path / "missing")
    lines = shown.splitlines()
    assert status == 1
    assert lines[0].split() == ["file", "format", "status", "size", "peak", "time"]
    assert max(map(len, lines)) <= 80
    assert any("sample.dcm" in line and "dicom" in line and "complete" in line for line in lines)
    assert "Doe^Jane" in shown
    assert "not-found: there is no file" in shown
    assert lines[-1].startswith("4 files: 3 complete, 1 failed")


def test_a_wide_terminal_has_a_column_for_what_is_in_it(archive: Path) -> None:
    status, shown = on_terminal("extract", "--no-color", archive / "deeper", columns=160)
    assert status == 0
    head, line = shown.splitlines()
    assert head.endswith("what is in it")
    assert "6 HDUs: PRIMARY 2x3x4" in line
    assert len(line) <= 160


def test_json_on_a_terminal_and_a_table_in_a_pipe(archive: Path) -> None:
    _, shown = on_terminal("extract", "--json", archive)
    assert [decode(line.encode())["type"] for line in shown.splitlines()] == ["metadata"] * 3
    done = memx("extract", "--table", archive)
    assert done.stdout.startswith(b"file  ")
    assert b"\x1b" not in done.stdout
    assert done.stderr == b""


def test_no_escape_of_a_file_reaches_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "\x1b[31mred\u202e.bin").write_bytes(b"x")
    _, shown = on_terminal("extract", "--no-color", tmp_path)
    assert "\x1b[31m" not in shown
    assert "\u202e" not in shown


@pytest.mark.slow
def test_progress_is_shown_only_for_long_runs_and_taken_away(tmp_path: Path) -> None:
    quick, slow = tmp_path / "quick", tmp_path / "slow"
    quick.mkdir()
    slow.mkdir()
    random_bytes(quick, 100)
    _, shown = on_terminal("extract", "--no-color", quick)
    assert "\x1b" not in shown
    with (slow / "big.bin").open("wb") as file:
        file.truncate(1 << 40)
    random_bytes(slow, 100)
    status, shown = on_terminal(
        "extract", "--no-color", slow, tmp_path / "quick", when=lambda text: "of 3 files" in text
    )
    assert status == 130
    assert "0 of 3 files" in shown
    assert "files/s" in shown


# the table alone


def rows(*records: Record, width: int = 80) -> list[str]:
    table = DocumentTable(width, lambda text, _style: text)
    return [*(line for record in records for line in table.lines(record)), *table.closing()]


def test_table_of_every_format_fits(tmp_path: Path) -> None:
    random_bytes(tmp_path, 100)
    files = [dicom.build(tmp_path), fits.build(tmp_path), video.build(tmp_path), tmp_path / "random.bin"]
    records = [extract(path) for path in files]
    for width in (80, 119, 120, 160):
        lines = rows(*records, width=width)
        assert max(map(width_of, lines)) <= width
        for record in records:
            assert any(Path(record["path"]).name in line for line in lines)


def test_table_of_made_documents() -> None:
    base = extract("/missing") | {"status": "complete", "code": None, "reason": None, "size": 2048}
    tree = {
        "datasets": {"a": {"shape": [2, 3]}},
        "groups": {"g": {"datasets": {"b": {"shape": []}, "c": {"shape": None}}, "groups": {"h": {}}}},
    }
    net = {
        "dimensions": {"time": {"size": 3, "unlimited": True}},
        "variables": {name: {} for name in "abcde"},
        "groups": {"g": {}},
    }
    sound = {
        "duration_s": 75.0,
        "tags": {"artist": "A", "title": "T"},
        "streams": [{"codec": "flac", "sample_rate": 44100, "channels": 6}],
    }
    shown = rows(
        base | {"format": "hdf5", "metadata": tree},
        base | {"format": "netcdf", "metadata": net, "metadata_truncated": True},
        base | {"format": "audio", "metadata": sound},
        base | {"format": "other", "metadata": {"things": [1, 2]}},
        base | {"format": "binary", "metadata": {}, "status": "failed", "code": "timeout", "reason": "late " * 40},
        width=300,
    )
    text = "\n".join(shown)
    assert "3 datasets: /a 2x3, /g/b, /g/c · 2 groups" in text
    assert "5 variables: a, b, c, d ... · 1 dimension: time=3 (unlimited) · 1 group: g · and more than" in text
    assert "A - T · 1:15 min · flac 44.1 kHz 6 channels" in text
    assert "2 things" in text
    assert "timeout: late late" in text
    assert shown[-1].startswith("5 files: 4 complete, 1 failed · 10 KiB")


def test_one_file_needs_no_sum() -> None:
    assert not any("files:" in line for line in rows(extract("/missing")))
