"""How `memx stream` ends: its exit status, whole lines, a standard error that is empty or one line."""

import os
import resource
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.command import memx, random_bytes, records_of, started


def test_complete_is_0_and_silent(tmp_path: Path) -> None:
    done = memx("stream", random_bytes(tmp_path, 5000))
    assert (done.returncode, done.stderr) == (0, b"")
    assert records_of(done.stdout)[-1]["status"] == "complete"


def test_one_failure_among_many_is_1(tmp_path: Path) -> None:
    source = random_bytes(tmp_path, 5000)
    done = memx("stream", source, tmp_path / "missing", tmp_path, source)
    assert (done.returncode, done.stderr) == (1, b"")
    records = records_of(done.stdout)
    assert [record["status"] for record in records if record["type"] == "end"] == [
        "complete",
        "failed",
        "failed",
        "complete",
    ]
    assert [record["code"] for record in records if record["type"] == "error"] == ["not-found", "unsupported"]


def test_standard_input(tmp_path: Path) -> None:
    data = random_bytes(tmp_path, 70000).read_bytes()
    done = memx("stream", "-", input=data)
    file, *_, end = records_of(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (file["path"], file["size"], end["path"], end["status"]) == ("-", None, "-", "complete")


def test_output_to_a_file(tmp_path: Path) -> None:
    source, target = random_bytes(tmp_path, 5000), tmp_path / "records.jsonl"
    target.write_text("what was there before, and is longer than nothing\n" * 100)
    done = memx("stream", "-o", target, source)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [record["type"] for record in records_of(target.read_bytes())] == ["file", "chunk", "digest", "end"]
    assert memx("stream", "--output", "-", source).stdout.count(b"\n") == 4


def test_the_reader_of_the_pipe_went_away(tmp_path: Path) -> None:
    source = random_bytes(tmp_path, 100_000)
    with started("stream", "--chunk-size", 1, source) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"type":"file"')
        process.stdout.close()
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == b""


@pytest.mark.parametrize("arguments", [("--help",), ("stream", "--help"), ("--version",), ("stream", "--schema")])
def test_nobody_reads_at_all(arguments: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    done = memx(*arguments, stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    source = random_bytes(tmp_path, 5000)
    with open("/dev/full", "wb") as full:
        done = memx("stream", source, stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"memx: cannot write standard output: No space left on device\n"
    done = memx("stream", "-o", "/dev/full", source)
    assert (done.returncode, done.stderr) == (1, b"memx: cannot write /dev/full: No space left on device\n")


def test_a_file_that_can_grow_no_more_ends_with_a_whole_line(tmp_path: Path) -> None:
    source, target = random_bytes(tmp_path, 5000), tmp_path / "records.jsonl"
    limit = 100_003
    done = memx(
        "stream",
        "--chunk-size",
        1,
        "-o",
        target,
        source,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    written = target.read_bytes()
    assert limit - 200 < len(written) < limit
    assert len(records_of(written)) > 100


def test_output_that_cannot_be_opened(tmp_path: Path) -> None:
    done = memx("stream", "-o", tmp_path / "nowhere" / "records", random_bytes(tmp_path, 10))
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.count(b"\n") == 1
    assert f"there is no folder {tmp_path / 'nowhere'}".encode() in done.stderr


def test_closed_standard_streams(tmp_path: Path) -> None:
    source = random_bytes(tmp_path, 10)

    def shell(redirection: str) -> "subprocess.CompletedProcess[bytes]":
        return memx("stream", source, stdout=subprocess.PIPE, preexec_fn=lambda: os.close(int(redirection)))

    assert shell("1").returncode == 1
    assert b"standard output is closed" in shell("1").stderr
    assert shell("2").returncode == 0


def test_a_record_is_not_kept_waiting() -> None:
    read, write = os.pipe()
    with started("stream", "--chunk-size", "1K", "-", stdin=read) as process:
        os.close(read)
        assert process.stdout is not None
        os.write(write, bytes(5000))  # 4 chunks and a part: the fifth has to wait, the others need not
        began = time.monotonic()
        got = b""
        while got.count(b"\n") < 5:
            got += os.read(process.stdout.fileno(), 1 << 16)
        assert time.monotonic() - began < 5
        assert process.poll() is None
        os.close(write)
        got += process.stdout.read()
        assert [record["type"] for record in records_of(got)] == ["file", *["chunk"] * 5, "digest", "end"]


def test_warnings_of_libraries_stay_inside(tmp_path: Path) -> None:
    source = random_bytes(tmp_path, 10)
    code = (
        "import sys, warnings, memx.formats.binary as binary, memx.cli\n"
        "real = binary.BinaryStreamReader.records\n"
        "def records(self):\n"
        "    warnings.warn('remark')\n"
        "    return real(self)\n"
        "binary.BinaryStreamReader.records = records\n"
        f"sys.argv = ['memx', 'stream', {str(source)!r}]\n"
        "memx.cli.run()\n"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert records_of(done.stdout)[-1]["status"] == "complete"
