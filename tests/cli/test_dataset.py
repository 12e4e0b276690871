"""`memx extract` over many files: patterns, workers, going on where it was, and what it says of how far it came."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from memx.records import decode
from tests.cli.command import MEMX, memx, on_terminal, records_of, started

EXTRACTOR = "tests.engine.misbehaving:"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    for name in ("a.txt", "b.dat", "raw/c.txt", "raw/deep/d.txt", "kept/raw.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def names(output: bytes, folder: Path) -> list[str]:
    return sorted(os.path.relpath(record["path"], folder) for record in records_of(output))


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--include", "*.txt"], ["a.txt", "kept/raw.txt", "raw/c.txt", "raw/deep/d.txt"]),
        (["--exclude", "raw"], ["a.txt", "b.dat", "kept/raw.txt"]),
        (["--exclude", "raw/deep"], ["a.txt", "b.dat", "kept/raw.txt", "raw/c.txt"]),
        (["--include", "raw/*", "--exclude", "c.*"], ["raw/deep/d.txt"]),
        (["--include", "*.dat", "--include", "a.*"], ["a.txt", "b.dat"]),
    ],
    ids=str,
)
def test_patterns(arguments: list[str], found: list[str], archive: Path) -> None:
    assert names(memx("extract", archive, *arguments).stdout, archive) == found


def test_a_file_that_is_named_is_read_whatever_the_patterns(archive: Path) -> None:
    done = memx("extract", archive / "a.txt", archive, "--include", "*.dat")
    assert names(done.stdout, archive) == ["a.txt", "b.dat"]


def test_workers_read_standard_input_too(archive: Path) -> None:
    done = memx("extract", "-", archive, "-j", 2, input=b"some bytes")
    assert (done.returncode, done.stderr) == (0, b"")
    records = records_of(done.stdout)
    (piped,) = [record for record in records if record["path"] == "-"]
    assert (piped["size"], piped["mtime"], piped["status"]) == (None, None, "complete")
    assert len(records) == 6


def test_an_extractor_of_the_current_folder(archive: Path) -> None:
    (archive / "mine.py").write_text("def letters(path):\n    return {'letters': len(open(path).read())}\n")
    done = memx("extract", "--extractor", "mine:letters", "a.txt", "b.dat", cwd=archive)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [record["metadata"] for record in records_of(done.stdout)] == [{"letters": 5}] * 2


def test_resume_reads_what_is_missing(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert memx("extract", archive, "-o", out, "--resume").returncode == 0
    whole = out.read_bytes()
    out.write_bytes(whole[: len(whole) - 40])
    done = memx("extract", archive, "-o", out, "--resume", "--summary", tmp_path / "summary.json", "-j", 2)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert names(out.read_bytes(), archive) == names(whole, archive)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["files"], summary["skipped"], summary["status"]) == (1, 4, {"complete": 1})


def test_resume_leaves_alone_what_it_did_not_write(archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis.txt"
    out.write_text("my thesis\n")
    done = memx("extract", archive, "-o", out, "--resume")
    assert done.returncode == 2
    assert b"no output of memx extract" in done.stderr
    assert out.read_text() == "my thesis\n"


def test_summary_and_plain_progress(archive: Path, tmp_path: Path) -> None:
    done = memx("extract", archive, "--progress", "--summary", tmp_path / "s.json", "-j", 2)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith(b"memx: 5 files: 5 complete")
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["formats"] == {"binary": 5}
    assert summary["peak_rss"] > 1 << 20


def test_a_full_disk_ends_it_cleanly(archive: Path) -> None:
    done = memx("extract", archive, "-j", 2, "-o", "/dev/full")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"no space left" in done.stderr.lower()


def test_a_slow_list_does_not_hold_back_what_is_done(archive: Path) -> None:
    with started("extract", "-j", 2, "--files-from", "-", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for name in ("a.txt", "b.dat"):
            process.stdin.write(os.fsencode(archive / name) + b"\n")
            process.stdin.flush()
            assert decode(process.stdout.readline())["path"] == str(archive / name)
        process.stdin.close()
    assert process.returncode == 0


@pytest.mark.slow
def test_interrupted_and_resumed(tmp_path: Path) -> None:
    folder, out = tmp_path / "many", tmp_path / "out.jsonl"
    folder.mkdir()
    for number in range(400):
        (folder / f"{number}.txt").write_bytes(b"x")
    command = ["extract", folder, "-j", 2, "--extractor", f"{EXTRACTOR}slow", "-o", out, "--resume"]
    with started(*command) as process:
        assert process.stderr is not None
        for _ in range(200):
            if out.exists() and out.stat().st_size:
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read().decode()
    assert process.returncode == 130
    done = len(records_of(out.read_bytes()))
    assert said == f"memx: interrupted: {done} files done, {400 - done} left; go on with --resume -o {out}\n"
    assert memx(*command).returncode == 0
    assert len(names(out.read_bytes(), folder)) == 400


@pytest.mark.slow
def test_the_live_view_names_workers_and_goes(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}.txt").write_bytes(b"x")
    read, write = os.pipe()
    with os.fdopen(read), os.fdopen(write, "wb"):
        status, shown = on_terminal(
            "extract", folder, "-j", 2, "--extractor", f"{EXTRACTOR}slow", "-o", tmp_path / "out.jsonl", columns=100
        )
    assert status == 0
    assert "of 300 files" in shown
    assert "worker" in shown
    assert shown.rpartition("\x1b[J")[2].strip().startswith("memx: 300 files: 300 complete")


def test_memx_can_be_found_by_its_workers_from_anywhere(archive: Path) -> None:
    done = subprocess.run([*MEMX, "extract", "-j", "1", "a.txt"], cwd=archive, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_extractor_that_is_installed_has_a_name(archive: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    about = packages / "lab-1.0.dist-info"
    about.mkdir(parents=True)
    (packages / "lab.py").write_text("def shout(path):\n    return open(path).read().upper()\n")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[memx.extractors]\nlab-shout = lab:shout\n")
    environment = os.environ | {"PYTHONPATH": str(packages)}
    done = memx("extract", "--extractor", "lab-shout", archive / "a.txt", env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert records_of(done.stdout)[0]["metadata"] == "A.TXT"
    done = memx("extract", "--extractor", "lab", archive / "a.txt", env=environment)
    assert done.returncode == 2
    assert b"installed are lab-shout" in done.stderr


def test_the_reader_of_the_pipe_goes_away_from_workers(archive: Path) -> None:
    with started("extract", "-j", 2, *[archive] * 50) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
