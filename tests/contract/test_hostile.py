"""Every row of FORMATS: what is broken, missing, or not a file at all."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from memx.records import Record
from tests.contract import assert_contract, comparable
from tests.contract.sources import command, fed_pipe, lines_of, read

HARMLESS_ENDS = {"complete", "truncated", "failed"}


def cuts(size: int, count: int) -> list[int]:
    """Lengths to cut to: the first bytes, the last, and places between, the same on every run."""
    between = random.Random(size).sample(range(16, size - 8), count)
    return sorted({1, 7, 131, size // 2, size - 1, *between} & set(range(1, size)))


def check_cut(sample: Path, whole: list[Record], length: int, folder: Path) -> None:
    cut = folder / f"cut-{length}{sample.suffix}"
    with sample.open("rb") as file:
        cut.write_bytes(file.read(length))
    records = read(cut)
    assert_contract(records, cut)
    assert records[-1]["status"] in HARMLESS_ENDS
    if records[0]["format"] == whole[0]["format"] != "binary" and records[-1]["status"] == "failed":
        assert len(records) <= 3, "what was read must stand as truncated, not failed"
    cut.unlink()


@pytest.mark.slow
def test_cut_off(sample: Path, expected: list[Record], tmp_path: Path) -> None:
    for length in cuts(sample.stat().st_size, 3):
        check_cut(sample, expected, length, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_cut_off_in_many_places(sample: Path, expected: list[Record], tmp_path: Path) -> None:
    for length in cuts(sample.stat().st_size, 60):
        check_cut(sample, expected, length, tmp_path)


def test_cut_off_in_a_pipe(sample: Path, expected: list[Record]) -> None:
    data = sample.read_bytes()
    with fed_pipe(data[: len(data) * 2 // 3]) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        records = read(file)
    assert_contract(records)


@pytest.mark.parametrize("length", [1, 512, 5000])
def test_random_bytes_behind(sample: Path, expected: list[Record], length: int, tmp_path: Path) -> None:
    longer = tmp_path / f"longer{sample.suffix}"
    longer.write_bytes(sample.read_bytes() + random.Random(length).randbytes(length))
    records = read(longer)
    assert_contract(records, longer)
    assert records[0]["format"] == expected[0]["format"]


@pytest.mark.slow
def test_the_command_ends_with_one_and_no_traceback(sample: Path, tmp_path: Path) -> None:
    cut = tmp_path / f"cut{sample.suffix}"
    cut.write_bytes(sample.read_bytes()[: sample.stat().st_size * 9 // 10])
    records = read(cut)
    done = command("stream", cut)
    assert b"Traceback" not in done.stdout + done.stderr
    assert done.returncode == (0 if records[-1]["status"] == "complete" else 1)
    assert comparable(lines_of(done.stdout)) == comparable(records)


def test_empty_file_is_binary(tmp_path: Path) -> None:
    for suffix in (".dcm", ".h5", ".mp4", ".wav", ""):
        empty = tmp_path / f"empty{suffix}"
        empty.touch()
        records = read(empty)
        assert_contract(records, empty)
        assert [record["type"] for record in records] == ["file", "digest", "end"]
        assert records[0]["format"] == "binary"
        assert records[-1]["status"] == "complete"


@pytest.mark.parametrize("length", [1, 3, 131, 132, 2880, 4096, 100_000])
@pytest.mark.parametrize("suffix", [".dcm", ".fits", ".h5", ".nc", ".mp3", ".mp4"])
def test_noise_is_binary(length: int, suffix: str, tmp_path: Path) -> None:
    noise = tmp_path / f"noise{suffix}"
    # a first byte that begins no signature, so that chance cannot make it one
    noise.write_bytes(b"\x01" + random.Random(length).randbytes(length - 1))
    records = read(noise)
    assert_contract(records, noise)
    assert records[0]["format"] == "binary"
    assert records[-1]["status"] == "complete"


def failed(records: list[Record], code: str) -> None:
    assert_contract(records)
    assert [record["type"] for record in records] == ["file", "error", "end"]
    assert records[1]["code"] == code
    assert records[-1]["status"] == "failed"
    assert records[-1]["reason"] == records[1]["message"]


def test_missing(tmp_path: Path) -> None:
    path = tmp_path / "nothing here.dcm"
    failed(read(path), "not-found")
    done = command("stream", path)
    assert done.returncode == 1
    failed(lines_of(done.stdout), "not-found")


def test_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    failed(read(tmp_path / "link"), "not-found")


def test_link_to_itself(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("link")
    records = read(tmp_path / "link")
    assert [record["type"] for record in records] == ["file", "error", "end"]
    assert records[-1]["status"] == "failed"


def test_folder(tmp_path: Path) -> None:
    failed(read(tmp_path), "unsupported")


def test_name_with_a_null_byte() -> None:
    records = read("a\0b")
    assert [record["type"] for record in records] == ["file", "error", "end"]


def test_unreadable(tmp_path: Path) -> None:
    secret = tmp_path / "secret.dcm"
    secret.write_bytes(b"nobody may read this")
    secret.chmod(0)
    # whoever may read everything gives that right up first
    script = (
        "import os, sys\n"
        "from memx.engine.reading.streaming import Stream\n"
        "import memx.formats.binary\n"
        "if os.getuid() == 0:\n"
        "    os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "sys.stdout.buffer.writelines(Stream('secret.dcm').lines())\n"
    )
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        if folder != Path(os.sep) and folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o111)
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path], cwd=tmp_path, capture_output=True, check=False, timeout=60
    )
    assert done.stderr == b""
    failed(lines_of(done.stdout), "permission")


@pytest.mark.parametrize(
    "name",
    [
        b"na\xefve \xff.bin",
        "naïve.bin".encode(),
        b"new\nline.bin",
        b"\x1b[31mred\x1b[0m.bin",
        b"[bold red]markup.bin",
        b"-dash.bin",
        b" .bin",
        "\u202egnp.bin".encode(),
    ],
    ids=repr,
)
def test_odd_names(name: bytes, tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(b"some bytes")
    records = read(os.fsdecode(path))
    assert_contract(records)
    shown = records[0]["path"]
    assert shown == path.decode("utf-8", "backslashreplace")
    done = command("stream", "--", os.fsdecode(path))
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert comparable(lines_of(done.stdout)) == comparable(records)


def test_device_without_end_can_be_cut() -> None:
    records = read("/dev/zero", limit=3)
    assert_contract(records)
    assert [record["type"] for record in records] == ["file", "chunk", "chunk", "chunk", "end"]
    assert records[0]["size"] is None


def test_a_file_that_fails_while_it_is_read() -> None:
    class Breaking:
        name = "breaking"

        def __init__(self) -> None:
            self.left = 3

        def read(self, length: int = -1) -> bytes:
            if length == 0:
                return b""
            self.left -= 1
            if self.left < 0:
                raise OSError(5, "Input/output error")
            return bytes(min(length, 1000))

    records = read(Breaking())  # type: ignore[arg-type] # no more of a file than is asked of one
    assert_contract(records)
    assert records[-1]["status"] == "failed"
    assert "input/output error" in records[-1]["reason"]


def test_text_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("text")
    with path.open() as file:
        failed(read(file), "unsupported")  # type: ignore[arg-type] # the wrong type is what is tested


def test_something_else_is_refused() -> None:
    failed(read(3.14), "unsupported")  # type: ignore[arg-type] # the wrong type is what is tested
