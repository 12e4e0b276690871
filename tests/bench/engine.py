"""What the memory engine gains and costs, as ratios within one run: `python -m tests.bench.engine`.

The seed of this project claimed 30-40 % faster allocation through the pool, and 20-30 % faster extraction
through the collector's settings. Each figure is the best of several rounds, taken in turns; memory is
measured in a process of its own.
"""

import gc
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from memx.engine.collector.optimizer import GarbageCollectionOptimizer
from memx.engine.memory.buffers import MemoryResourcePool
from memx.engine.memory.monitor import MemoryMonitor
from memx.engine.memory.process import PeakMeter
from memx.engine.memory.strategy import GC_THRESHOLDS, ExtractionStrategy

MIB = 1 << 20
BUFFER = 10 * MIB
ROUNDS = 5


class Node:
    """An item of a document, with its children."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.children = [[n] for n in range(8)]


class Cycle:
    """Knows itself, and so is garbage that only the collector sees."""

    def __init__(self, load: bytes) -> None:
        self.me, self.load = self, load


def best(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Seconds of the quickest of some rounds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def pool_against_fresh() -> None:
    """A buffer taken and given back, alone and with its pages written as a read would."""
    pool, page = MemoryResourcePool(BUFFER), bytes(BUFFER)

    def fresh(fill: bool) -> None:
        for _ in range(50):
            buffer = bytearray(BUFFER)
            if fill:
                memoryview(buffer)[:] = page

    def pooled(fill: bool) -> None:
        for _ in range(50):
            with pool.buffer() as buffer:
                if fill:
                    memoryview(buffer)[:] = page

    pooled(False)
    for title, fill in (("taken and given back", False), ("filled", True)):
        a, b = best(lambda: fresh(fill)) / 50, best(lambda: pooled(fill)) / 50  # noqa: B023 - called at once
        print(f"10 MiB {title:20} fresh {a * 1e6:7.0f} us, pooled {b * 1e6:7.1f} us: {a / b:6.1f} times as fast")


def document(items: int) -> list[Node]:
    """An extraction without cycles, whose result is kept."""
    return [Node(n) for n in range(items)]


def churn(items: int, load: int) -> None:
    """An extraction that throws away cycles, each with `load` bytes."""
    for _ in range(items):
        Cycle(b"x" * load)


WORK: dict[str, Callable[[], object]] = {
    "acyclic, 200,000 items kept": lambda: document(200_000),
    "garbage-heavy, 500,000 small cycles": lambda: churn(500_000, 0),
    "garbage-heavy, 3,000 cycles of 1 MB": lambda: churn(3_000, 1_000_000),
}
SETTINGS = ["default", *(str(strategy) for strategy in ExtractionStrategy), "by growth of 64 MiB"]


def measure(work: str, setting: str) -> None:
    """One measurement, in a process of its own: prints seconds, the rise of the peak in bytes, seconds of pause."""
    optimizer = GarbageCollectionOptimizer()
    if setting == "default":
        around: AbstractContextManager[object] = nullcontext()
    elif setting in GC_THRESHOLDS:
        around = optimizer.applied(setting)
    else:
        around = optimizer.collecting_by_growth()
    gc.collect()
    meter = PeakMeter()
    meter.start()
    with optimizer.measured() as pauses, around:
        began = time.perf_counter()
        WORK[work]()
        elapsed = time.perf_counter() - began
    print(elapsed, meter.peak() - meter.began_at, pauses.stats.pause_s)


def collector_settings() -> None:
    """Time and peak of each setting, against Python's own."""
    kind = GarbageCollectionOptimizer().get_current_config()
    print(f"\ncollector: {kind['collector']}, default {tuple(kind['thresholds'])}, Python {sys.version.split()[0]}")
    for work in WORK:
        print(f"{work}:")
        figures: dict[str, tuple[float, float, float]] = {}
        for _ in range(3):
            for setting in SETTINGS:
                command = [sys.executable, "-m", "tests.bench.engine", work, setting]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                seconds, peak, pause = map(float, out.split())
                figures[setting] = min(figures.get(setting, (9e9, 0, 0)), (seconds, peak, pause))
        base = figures["default"]
        for setting, (seconds, peak, pause) in figures.items():
            print(
                f"  {setting:20} {seconds:6.2f} s ({seconds / base[0]:5.2f} of default), collector {pause:5.2f} s, "
                f"peak +{peak / MIB:6.0f} MiB ({peak / base[1]:5.2f} of default)"
            )


def monitor_overhead() -> None:
    """What a running monitor takes: of one core, and of memory with a full history."""
    monitor = MemoryMonitor()
    cost = best(lambda: [monitor.get_current_snapshot() for _ in range(200)]) / 200
    meter = PeakMeter()
    gc.collect()
    meter.start()
    busy = MemoryMonitor(0.002)
    with busy:
        while len(busy.history) < 600:
            time.sleep(0.05)
    took = meter.peak() - meter.began_at
    before = time.process_time()
    wall = time.perf_counter()
    with MemoryMonitor(0.5):
        time.sleep(5)
    share = (time.process_time() - before) / (time.perf_counter() - wall)
    print(
        f"\nmonitor: {cost * 1e6:.0f} us a snapshot, {cost / 0.5:.3%} of a core at 0.5 s, measured over 5 s {share:.3%}"
    )
    print(f"monitor: {took / 1024:.0f} KiB more resident with its thread and 600 snapshots (the claim: below 1 MiB)")


def main() -> None:
    """All of it."""
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
        return
    pool_against_fresh()
    collector_settings()
    monitor_overhead()
    print(f"peak of this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
