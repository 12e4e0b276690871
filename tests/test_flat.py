"""Memory does not grow with the file: a giant and a small file of the same structure peak alike.

Measured from outside, on the real command and the worker that it starts. The giants are sparse, 100 GiB
where their format allows.
"""

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from memx.formats import FORMATS, Format

ALLOWED = 2 << 20
"""Bytes by which the giant's peak may be larger."""

_WATCH = """
import json, os, sys, time

output = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
command = os.posix_spawn(sys.executable, [sys.executable, "-m", "memx", *sys.argv[2:]], os.environ,
                         file_actions=[(os.POSIX_SPAWN_DUP2, output, 1)])
peak = 0
while True:
    with open(f"/proc/{command}/status") as file:
        peak = max([peak, *(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))])
    pid, status, usage = os.wait4(command, os.WNOHANG)
    if pid:
        break
    time.sleep(0.005)
print(json.dumps({"largest": usage.ru_maxrss * 1024, "command": peak, "status": status}))
"""
"""A small process of its own: the kernel counts what a process had before it was replaced by exec (getrusage(2))."""


class Peak(NamedTuple):
    """Resident bytes: of the largest process, the kernel's count; of the command itself, seen every 5 ms."""

    largest: int
    command: int


def peak_of(path: Path, output: Path) -> Peak:
    """What `memx stream path` peaks at; its lines are in `output`."""
    call = [sys.executable, "-S", "-c", _WATCH, output, "stream", path]
    done = subprocess.run(call, capture_output=True, check=True, timeout=600)
    assert done.stderr == b""
    told = json.loads(done.stdout)
    assert told["status"] == 0
    return Peak(told["largest"], told["command"])


def builders(row: Format) -> tuple[Callable[[Path], Path], Callable[[Path], Path]]:
    module = importlib.import_module(f"tests.samples.{row.name}")
    suffix = "" if row.key == row.name else f"_{row.key}"
    return getattr(module, f"build_small{suffix}"), getattr(module, f"build_giant{suffix}")


def last_line(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        *_, last = file
    line: dict[str, object] = json.loads(last)
    return line


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.key)
def test_a_giant_takes_no_more_than_a_small_file(row: Format, tmp_path: Path) -> None:
    build_small, build_giant = builders(row)
    small, giant = build_small(tmp_path), build_giant(tmp_path)
    assert giant.stat().st_size >= 16 * small.stat().st_size
    lines = tmp_path / "lines"
    peak_small = peak_of(small, lines)
    assert last_line(lines)["status"] == "complete"
    peak_giant = peak_of(giant, lines)
    assert last_line(lines)["status"] == "complete"
    giant.unlink()
    assert peak_giant.largest - peak_small.largest <= ALLOWED, (peak_small, peak_giant)
    assert peak_giant.command - peak_small.command <= ALLOWED, (peak_small, peak_giant)


@pytest.mark.slow
def test_many_records_take_no_more_than_few(tmp_path: Path) -> None:
    few, many = tmp_path / "few.bin", tmp_path / "many.bin"
    for path, size in ((few, 1 << 20), (many, 64 << 20)):
        with path.open("wb") as file:
            file.truncate(size)
    lines = tmp_path / "lines"
    call = [sys.executable, "-S", "-c", _WATCH, lines, "stream", "--chunk-size", "2K"]
    peaks = [
        json.loads(subprocess.run([*call, path], capture_output=True, check=True, timeout=600).stdout)["largest"]
        for path in (few, many)
    ]
    assert last_line(lines)["records"] == (64 << 20) // 2048 + 1
    assert peaks[1] - peaks[0] <= ALLOWED, peaks
