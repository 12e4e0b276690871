"""Kills at random moments, of workers and of whole runs: nothing is lost, and nothing is there twice."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from memx.engine.dataset.run import Run
from memx.engine.options import StreamOptions
from memx.records import Record, decode
from tests.cli.command import MEMX, memx
from tests.engine.memory.test_budget import real_cgroup

pytestmark = pytest.mark.slow

EXTRACTOR = "tests.engine.misbehaving:"
KILLS_OF_WORKERS, KILLS_OF_RUNS = 60, 40


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(120):
        (folder / f"file{number:03}.txt").write_text(f"number {number}\n")
    return folder


def known(record: Record) -> tuple[str, str, str | None, str | None, str]:
    """What must be the same in every run."""
    return record["path"], record["status"], record["code"], record["reason"], str(record["metadata"])


def test_workers_are_killed(archive: Path) -> None:
    """Each kill costs the file in hand at most."""
    paths = sorted(map(str, archive.iterdir())) * 4
    run = Run(paths, StreamOptions(extractor=f"{EXTRACTOR}slow"), jobs=3)
    chance, stop, kills = random.Random(5), threading.Event(), []

    def kill() -> None:
        while not stop.is_set() and len(kills) < KILLS_OF_WORKERS:
            time.sleep(chance.uniform(0.0, 0.2))
            assert run.pool is not None
            workers = [place.worker for place in run.pool._places if place.worker is not None]
            if workers:
                try:
                    os.kill(chance.choice(workers).pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
                kills.append(1)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        records = list(run.records())
    finally:
        stop.set()
        killer.join()
    assert len(kills) > 10
    assert Counter(record["path"] for record in records) == Counter(paths)
    codes = Counter(record["code"] for record in records)
    assert set(codes) <= {None, "crashed"}
    assert codes["crashed"] <= len(kills)
    assert all("SIGKILL" in record["reason"] for record in records if record["code"])


def test_runs_are_killed_and_resumed(archive: Path, tmp_path: Path) -> None:
    """SIGKILL at any instant, again and again: in the end the lines are those of a run that was left in peace."""
    arguments = ["extract", archive, "-j", 2, "--extractor", f"{EXTRACTOR}bad_on_some"]
    peace = memx(*arguments, timeout=300)
    assert peace.returncode == 1
    wanted = sorted(known(decode(line)) for line in peace.stdout.splitlines())
    assert len(wanted) == 120
    out, chance = tmp_path / "out.jsonl", random.Random(7)
    for _ in range(KILLS_OF_RUNS):
        process = subprocess.Popen(
            [*MEMX, *map(str, arguments), "-o", out, "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.2, 1.2))
        process.kill()
        process.wait()
    done = memx(*arguments, "-o", out, "--resume", timeout=300)
    assert done.returncode in (0, 1), done.stderr
    assert sorted(known(decode(line)) for line in out.read_bytes().splitlines()) == wanted
    assert _gone(archive), "no worker outlives its run"


def _gone(archive: Path) -> bool:
    """Whether soon no process is left that reads for a run in this folder."""
    for _ in range(100):
        if not any(
            b"memx.engine.reading.serving" in _command(name) and _cwd(name) == os.getcwd() and _orphan(name)
            for name in os.listdir("/proc")
            if name.isdigit()
        ):
            return True
        time.sleep(0.1)
    return False


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _cwd(pid: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _orphan(pid: str) -> bool:
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return parent == "1" and state != "Z"


def test_twenty_thousand_files_leave_the_parent_flat(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for part in range(20):
        (folder / str(part)).mkdir(parents=True)
        for number in range(1000):
            (folder / str(part) / f"{number}.txt").write_bytes(b"x")
    code = (
        "import sys\n"
        "from memx.engine.dataset.run import Run\n"
        "from memx.engine.dataset.discovery import discover\n"
        "from memx.engine.memory.process import resident\n"
        "from memx.engine.options import StreamOptions\n"
        "run = Run(discover([sys.argv[1]]), StreamOptions(extractor=sys.argv[2]), jobs=2)\n"
        "for count, _ in enumerate(run.lines(), 1):\n"
        "    if count in (2000, 20000): print(count, resident(), run.tally.files, flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, folder, f"{EXTRACTOR}size"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    (_, early, _), (count, late, files) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (count, files) == (20000, 20000)
    assert late - early < 2 << 20


def test_squeezed_by_a_real_cgroup(archive: Path) -> None:
    """In a cgroup of 160 MiB who takes memory is refused it, and the run goes on."""
    folder = real_cgroup()
    if folder is None:
        pytest.skip("no memory cgroup can be made here")
    name = "memory.max" if (folder / "memory.max").exists() else "memory.limit_in_bytes"
    files = sorted(map(str, archive.iterdir()))[:6]
    try:
        (folder / name).write_text(str(160 << 20))
        script = f'echo $$ > {folder}/cgroup.procs; exec "$@"'
        command = ["sh", "-c", script, "sh", *MEMX, "extract", "-j", "2", "--extractor", f"{EXTRACTOR}takes_bit_by_bit"]
        done = subprocess.run([*command, *files], capture_output=True, check=False, timeout=300)
        assert (done.returncode, done.stderr) == (1, b"")
        records = [decode(line) for line in done.stdout.splitlines()]
        assert Counter(record["path"] for record in records) == Counter(files)
        assert {record["code"] for record in records} == {"over-memory"}
    finally:
        for _ in range(100):
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.1)
