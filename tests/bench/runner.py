"""Commands as whole processes, in turns."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.row import Missing, Peer, Row

ROUNDS = 5
METER = str(Path(__file__).with_name("meter.py"))
_WARM_MOST = 2 << 30


@dataclass(frozen=True)
class Cost:
    """What one run of one command took: seconds, bytes."""

    seconds: float
    cpu: float
    """Seconds of processor, of the process and of those that it waited for."""
    largest: int
    """Resident bytes of the largest single process, as the kernel counted them (ru_maxrss, VmHWM)."""
    tree: int
    """Resident bytes of all processes together, sampled (PSS); 0 where it was not looked at."""
    status: int
    length: int
    """Bytes that it wrote."""
    last: str
    """The last line of them."""

    @property
    def peak(self) -> int:
        """The larger of both counts."""
        return max(self.largest, self.tree)


@dataclass(frozen=True)
class Against:
    """memx beside one other tool; or why there is nothing to tell."""

    peer: Peer
    missing: str = ""
    seconds: tuple[float, ...] = ()
    peak: int = 0
    ratios: tuple[float, ...] = ()
    """memx's wall time over the tool's, round by round."""

    @property
    def ratio(self) -> float:
        """The median."""
        return statistics.median(self.ratios)


@dataclass(frozen=True)
class Result:
    """A row as measured."""

    row: Row
    missing: str = ""
    """Why there is nothing to tell: memx failed, or there is no input."""
    seconds: tuple[float, ...] = ()
    peak: int = 0
    read: float | None = None
    """Bytes that memx read over the size of the file."""
    against: tuple[Against, ...] = ()


class Failed(Exception):
    """A command did not end as it should; the message says how."""


def cost(command: Sequence[str], kind: str = "time") -> Cost:
    """One run of `command`, measured for its `time` or its `memory`. Raises Failed."""
    call = [sys.executable, "-I", "-S", METER, kind, *command]
    done = subprocess.run(call, capture_output=True, check=False, env=environment())
    if done.returncode:
        raise Failed(done.stderr.decode("utf-8", "replace")[-500:])
    found = Cost(**json.loads(done.stdout))
    if found.status:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or found.last
        raise Failed(f"{os.path.basename(command[0])} ended with {found.status}: {said[:200]}")
    return found


def environment() -> dict[str, str]:
    """As where the tools are installed: what Python compiles is kept, in a place of the benchmarks' own.

    memx's own variables are for tests, or are somebody's settings: with one of them a plain command is not plain.
    """
    without = {
        name: text
        for name, text in os.environ.items()
        if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("MEMX_")
    }
    return {"PYTHONPYCACHEPREFIX": os.path.join(tempfile.gettempdir(), "memx-bench-bytecode")} | without


def measure(row: Row, cache: Path, rounds: int = ROUNDS) -> Result:
    """memx and every peer of `row` in turns, after one run each for warmth and for the peaks. Raises Failed."""
    try:
        made = None if row.build is None else built(row, cache)
    except (Missing, OSError) as exc:
        return Result(row, missing=str(exc))
    memx = row.words(made)
    try:
        cost(memx)  # the first time Python compiles what it imports, which takes memory
        first = cost(memx, "memory")
    except Failed as exc:
        return Result(row, missing=str(exc))
    there, absent = {}, {}
    for peer in row.peers:
        try:
            command = peer.words(made)
            there[peer] = command, cost(command, "memory")
        except (Missing, Failed) as exc:
            absent[peer] = str(exc)
    ours: list[float] = []
    theirs: dict[Peer, list[float]] = {peer: [] for peer in there}
    for _ in range(rounds):
        warm(made)
        ours.append(cost(memx).seconds)
        for peer, (command, _) in there.items():
            warm(made)
            theirs[peer].append(cost(command).seconds)
    against = tuple(
        Against(peer, missing=absent[peer])
        if peer in absent
        else Against(
            peer,
            seconds=tuple(theirs[peer]),
            peak=there[peer][1].peak,
            ratios=tuple(a / b for a, b in zip(ours, theirs[peer], strict=True)),
        )
        for peer in row.peers
    )
    return Result(row, seconds=tuple(ours), peak=first.peak, read=_read(first, row, made), against=against)


def built(row: Row, cache: Path) -> Path:
    """The input of `row`, made now unless `cache` has it. Raises Missing."""
    assert row.build is not None
    folder = _place(row, cache)
    note = folder / ".made"
    if not note.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path = row.build(folder)
        note.write_text(str(path.relative_to(folder)))
    return folder / note.read_text()


def forget(row: Row, cache: Path) -> None:
    """Removes the input of `row`."""
    if row.build is not None:
        shutil.rmtree(_place(row, cache), ignore_errors=True)


def _place(row: Row, cache: Path) -> Path:
    """Where the input of `row` is: rows that have the same one share it."""
    assert row.build is not None
    return cache / f"{row.build.__module__.rpartition('.')[2]}-{row.build.__name__}"


def warm(made: Path | None) -> None:
    """Has the files of an input in the page cache: memx drops what it read of those that do not fit there."""
    if made is None:
        return
    for path in sorted(made.iterdir()) if made.is_dir() else [made]:
        if path.is_file() and path.stat().st_size <= _WARM_MOST:
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass


def _read(first: Cost, row: Row, made: Path | None) -> float | None:
    """The part of the file that memx says, in its last line, it read."""
    if row.reads is None or made is None:
        return None
    read: int = json.loads(first.last)["metrics"]["bytes_read"]
    return read / made.stat().st_size
