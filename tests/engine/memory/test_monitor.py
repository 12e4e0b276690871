"""The monitor: against faked readings, against the kernel, and against psutil as an independent witness."""

import dataclasses
import gc
import itertools
import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from memx.engine.memory.budget import Budget, Limit
from memx.engine.memory.levels import MemoryLevel
from memx.engine.memory.monitor import MemoryMonitor, ProcessReader, Reading, next_tick
from memx.engine.memory.process import PeakMeter, resident
from memx.errors import SourceNotFound
from tests.engine.memory.test_budget import V2_MOUNT, Machine

MIB = 1 << 20


class FakeReader(ProcessReader):
    """A process whose memory a test says: `used` percent of 1000 MiB."""

    def __init__(self) -> None:
        self.used = 10
        self.rss = 50 * MIB
        self.high_water = 0
        self.pressure: float | None = 0.0

    def read(self) -> Reading:
        limit = Limit("cgroup-v2", "memory.max", "/x/memory.max", 1000 * MIB, self.used * 10 * MIB)
        return Reading(self.rss, self.high_water, 0, self.pressure, 7, Budget((limit,), limit))

    def uss(self) -> int | None:
        return 3


def touch(size: int) -> mmap.mmap:
    """So many bytes, resident, that the system gets back at `close`."""
    block = mmap.mmap(-1, size)
    for page in range(0, size, mmap.PAGESIZE):
        block[page] = 1
    return block


def test_snapshot_says_what_the_reader_read() -> None:
    snapshot = MemoryMonitor(reader=FakeReader(), clock=lambda: 12.5).get_current_snapshot()
    assert (snapshot.rss, snapshot.used_percent, snapshot.available) == (50 * MIB, 10.0, 900 * MIB)
    assert (snapshot.limit_source, snapshot.limit_path) == ("cgroup-v2", "/x/memory.max")
    assert (snapshot.timestamp, snapshot.page_cache, snapshot.uss) == (12.5, 7, None)
    assert str(snapshot) == "RSS: 50.0 MB, Used: 10.0%, Level: HEALTHY"
    with pytest.raises(dataclasses.FrozenInstanceError):
        snapshot.rss = 1  # type: ignore[misc]


def test_unique_set_size_is_read_on_demand_alone() -> None:
    monitor = MemoryMonitor(reader=FakeReader())
    assert monitor.get_current_snapshot(uss=True).uss == 3
    assert monitor.get_current_snapshot().uss is None


def test_sampled_peak_is_the_highest_of_the_samples_and_not_exact() -> None:
    reader = FakeReader()
    monitor = MemoryMonitor(reader=reader)
    monitor.get_current_snapshot()
    reader.rss = 90 * MIB
    monitor.get_current_snapshot()
    reader.rss = 20 * MIB
    snapshot = monitor.get_current_snapshot()
    assert (snapshot.peak, snapshot.peak_exact) == (90 * MIB, False)
    reader.high_water = 120 * MIB
    assert MemoryMonitor(reader=reader).get_current_snapshot().peak_exact


def test_level_has_hysteresis_and_a_change_is_told_once() -> None:
    reader, told = FakeReader(), []
    monitor = MemoryMonitor(reader=reader, on_change=lambda snapshot, before: told.append((before, snapshot.level)))
    for reader.used in (10, 76, 74, 76, 74, 95, 10):
        monitor.get_current_snapshot()
    healthy, high, critical = MemoryLevel.HEALTHY, MemoryLevel.HIGH, MemoryLevel.CRITICAL
    assert told == [(healthy, high), (high, critical), (critical, healthy)]


@pytest.mark.slow
def test_background_thread_fills_a_bounded_history_without_drift() -> None:
    with MemoryMonitor(0.02, history=10) as monitor:
        assert monitor.is_monitoring
        time.sleep(0.5)
    assert not monitor.is_monitoring
    history = monitor.history
    assert len(history) == 10
    steps = [b.timestamp - a.timestamp for a, b in itertools.pairwise(history)]
    assert sum(steps) / len(steps) == pytest.approx(0.02, rel=0.5)
    count = len(monitor.history)
    time.sleep(0.05)
    assert len(monitor.history) == count


@pytest.mark.parametrize(
    ("now", "due"),
    [(10.0, 10.5), (10.1, 10.5), (10.49, 10.5), (10.6, 11.0), (13.2, 13.5)],
)
def test_next_look_is_on_the_grid_whatever_the_delay(now: float, due: float) -> None:
    assert next_tick(10.0, now, 0.5) == due


def test_starting_and_stopping_twice_is_no_error() -> None:
    monitor = MemoryMonitor(0.01)
    monitor.stop_monitoring()
    monitor.start_monitoring()
    monitor.start_monitoring()
    assert sum(thread.name == "memx-monitor" for thread in threading.enumerate()) == 1
    monitor.stop_monitoring()
    monitor.stop_monitoring()
    monitor.start_monitoring()
    monitor.stop_monitoring()
    assert len(monitor.history) >= 2


def test_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="0 seconds"):
        MemoryMonitor(0)


def test_snapshot_agrees_with_psutil() -> None:
    import psutil

    snapshot = MemoryMonitor().get_current_snapshot(uss=True)
    witness = psutil.Process().memory_full_info()
    assert abs(snapshot.rss - witness.rss) < 4 * MIB
    assert snapshot.uss is not None
    assert abs(snapshot.uss - witness.uss) < 4 * MIB


def test_peak_is_seen_between_two_snapshots() -> None:
    monitor = MemoryMonitor()
    before = monitor.get_current_snapshot()
    touch(64 * MIB).close()
    after = monitor.get_current_snapshot()
    if not after.peak_exact:
        pytest.skip("this kernel does not let the high-water mark be reset")
    assert after.peak - before.rss >= 60 * MIB
    assert after.rss - before.rss < 32 * MIB
    assert monitor.peak == after.peak


def test_meters_overlap_without_harm() -> None:
    outer, inner, last = PeakMeter(), PeakMeter(), PeakMeter()
    outer.start()
    touch(64 * MIB).close()
    inner.start()
    touch(16 * MIB).close()
    last.start()
    if not outer.exact:
        pytest.skip("this kernel does not let the high-water mark be reset")
    assert outer.peak() - outer.began_at >= 60 * MIB
    assert 14 * MIB <= inner.peak() - inner.began_at < 40 * MIB
    assert last.peak() - last.began_at < 8 * MIB


def test_another_process_is_watched_until_it_ends() -> None:
    code = "x = bytearray(80 << 20); x = None; print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        monitor = MemoryMonitor(0.01, pid=child.pid)
        snapshot = monitor.get_current_snapshot(uss=True)
        monitor.start_monitoring()
        child.communicate(b"\n")
    assert snapshot.rss < 60 * MIB
    assert (snapshot.peak > 80 * MIB, snapshot.peak_exact) == (True, True)
    assert snapshot.uss is not None
    deadline = time.monotonic() + 5
    while monitor.is_monitoring and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not monitor.is_monitoring
    monitor.stop_monitoring()
    with pytest.raises(SourceNotFound, match=str(child.pid)):
        monitor.get_current_snapshot()


def test_reader_takes_pressure_swap_and_page_cache_of_the_cgroup(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/a\n", V2_MOUNT)
    machine.v2("/a", most=str(512 * MIB), current=256 * MIB)
    machine.write("proc/self/status", "VmHWM:\t 30 kB\nVmRSS:\t 20 kB\nVmSwap:\t 4 kB\n")
    machine.write("proc/pressure/memory", "some avg10=1.00 avg60=0.00 avg300=0.00 total=0\n")
    reader = ProcessReader(proc=f"{tmp_path}/proc", root=str(tmp_path))
    assert reader.read().pressure == 1.0
    machine.write("sys/fs/cgroup/a/memory.pressure", "some avg10=12.50 avg60=0.00 avg300=0.00 total=9\n")
    reading = ProcessReader(proc=f"{tmp_path}/proc", root=str(tmp_path)).read()
    assert (reading.rss, reading.high_water, reading.swap) == (20 * 1024, 30 * 1024, 4 * 1024)
    assert (reading.pressure, reading.page_cache) == (12.5, 77)
    assert reading.budget.used_percent == 50.0


def test_kernel_without_psi_has_no_pressure(tmp_path: Path) -> None:
    Machine(tmp_path, "")
    reader = ProcessReader(proc=f"{tmp_path}/proc", root=str(tmp_path))
    assert reader.read().pressure is None


def test_without_procfs_psutil_is_asked(tmp_path: Path) -> None:
    reading = ProcessReader(os.getpid(), proc=f"{tmp_path}/none", root=str(tmp_path)).read()
    assert reading.rss == pytest.approx(resident(), abs=4 * MIB)
    assert reading.budget.binding.source == "host"


def test_psutil_is_not_imported_on_linux() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux has /proc")
    code = (
        "import sys; from memx.engine.agent import MemoryManagementAgent\n"
        "with MemoryManagementAgent() as agent: agent.get_analysis_report(); agent.optimize_all()\n"
        "assert not {'psutil', 'numpy', 'rich', 'typer'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_hundred_snapshots_take_less_than_a_tenth_of_a_second() -> None:
    monitor = MemoryMonitor()
    gc.collect()
    began = time.process_time()
    for _ in range(100):
        monitor.get_current_snapshot()
    assert time.process_time() - began < 0.1
