"""The pressure ladder: its order against fakes, and a real process squeezed by real limits that survives."""

import logging
import subprocess
import sys
from collections.abc import Callable

import pytest

from memx.engine.memory.budget import Budget, BudgetProbe, Limit
from memx.engine.memory.buffers import MemoryResourcePool
from memx.engine.memory.chunks import AdaptiveChunkSizer
from memx.engine.memory.pressure import PressureLadder, heap_trim
from memx.errors import OverMemory
from tests.engine.memory.test_budget import real_cgroup

MIB = 1 << 20


class Process(BudgetProbe):
    """A process of 100 MiB under a limit, with memory that steps of the ladder can give back."""

    def __init__(self, used: int, garbage: int = 0, free: int = 0) -> None:
        super().__init__()
        self.used, self.garbage, self.free = used * MIB, garbage * MIB, free * MIB
        self.cache = 0
        self.now = 0.0
        self.pool = MemoryResourcePool(MIB, available=lambda: 1 << 40)
        self.sizer = AdaptiveChunkSizer(available=lambda: 1 << 40)

    def read(self) -> Budget:
        limit = Limit("cgroup-v2", "memory.max", "/box/memory.max", 100 * MIB, self.used, self.cache)
        return Budget((limit,), limit)

    def resident(self) -> int:
        return self.used

    def collect(self) -> int:
        self.used, self.garbage = self.used - self.garbage, 0
        return 0

    def trim(self) -> bool:
        self.used, self.free = self.used - self.free, 0
        return True

    def ladder(self) -> PressureLadder:
        return PressureLadder(
            sizers=[self.sizer],
            pools=[self.pool],
            probe=self,
            resident=self.resident,
            collect=self.collect,
            trim=self.trim,
            clock=lambda: self.now,
        )


def test_steps_come_in_order_and_tell_what_they_gave_back() -> None:
    process = Process(used=95, garbage=10, free=20)
    steps = process.ladder().climb()
    assert [step.name for step in steps] == ["shrink-chunks", "drop-buffers", "collect", "heap-trim"]
    assert [step.freed for step in steps] == [5 * MIB, 0, 10 * MIB, 20 * MIB]
    assert [step.available for step in steps] == [5 * MIB, 5 * MIB, 15 * MIB, 35 * MIB]


def test_climb_ends_where_the_need_is_met() -> None:
    process = Process(used=95, garbage=10, free=20)
    assert process.ladder().relieve(5 * MIB) == ()
    assert [step.name for step in process.ladder().relieve(12 * MIB)][-1] == "collect"
    assert process.free == 20 * MIB


def test_need_that_cannot_be_met_is_over_memory_and_names_the_limit() -> None:
    process = Process(used=95, garbage=10)
    with pytest.raises(OverMemory, match=r"15 MiB left of 100 MiB, which memory.max of /box allows"):
        process.ladder().relieve(50 * MIB)


def test_idle_buffers_are_dropped() -> None:
    process = Process(used=95)
    with process.pool.buffer():
        pass
    process.ladder().climb()
    assert process.pool.stats.idle == 0


def test_each_step_is_logged_with_its_bytes(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "memx.memory"):
        Process(used=95, garbage=10).ladder().climb()
    assert [record.getMessage() for record in caplog.records][2] == (
        "memory is tight: collect gave back 10 MiB, 15 MiB available"
    )
    assert len(caplog.records) == 4


def test_poll_acts_only_where_memory_is_high_and_not_at_every_call() -> None:
    process = Process(used=50, garbage=10)
    ladder = process.ladder()
    assert ladder.poll() == ()
    process.used = 80 * MIB
    assert ladder.poll() == ()  # a quarter of a second has not gone by
    process.now = 1.0
    assert len(ladder.poll()) == 4
    assert process.used == 70 * MIB


def test_polls_that_give_nothing_become_rare() -> None:
    process = Process(used=80)
    ladder = process.ladder()
    climbs = 0
    for tick in range(400):
        process.now = tick * 0.25
        climbs += bool(ladder.poll())
    assert 5 <= climbs <= 12


def test_chunks_grow_again_when_memory_is_free_again() -> None:
    process = Process(used=80)
    ladder = process.ladder()
    ladder.poll()
    assert process.sizer.get_optimal_chunk_size() < process.sizer.max_chunk
    process.used, process.now = 10 * MIB, 1.0
    ladder.poll()
    assert process.sizer.get_optimal_chunk_size() == process.sizer.max_chunk


def test_poll_stops_where_nothing_is_left() -> None:
    process = Process(used=99)
    with pytest.raises(OverMemory):
        process.ladder().poll()
    flat = Process(used=97)
    flat.ladder().poll()
    cached = Process(used=99)
    cached.cache = 20 * MIB
    cached.ladder().poll()


def failing(times: int) -> Callable[[], str]:
    left = iter([MemoryError()] * times)

    def work() -> str:
        for error in left:
            raise error
        return "done"

    return work


def test_refused_allocation_is_tried_once_more() -> None:
    process = Process(used=95, garbage=10)
    assert process.ladder().retry(failing(0)) == "done"
    assert process.garbage == 10 * MIB
    assert process.ladder().retry(failing(1)) == "done"
    assert process.garbage == 0
    with pytest.raises(OverMemory):
        process.ladder().retry(failing(2))


def test_heap_trim_can_be_asked_here() -> None:
    assert heap_trim() is sys.platform.startswith("linux") or sys.platform in ("darwin", "win32")


WORK = """
import gc, logging, resource, sys
from memx.engine.memory.buffers import MemoryResourcePool
from memx.engine.memory.process import data_size
from memx.engine.memory.pressure import PressureLadder
from memx.errors import OverMemory
MIB = 1 << 20
class Node:
    def __init__(self, load):
        self.me, self.load = self, load
gc.disable()  # nobody helps but the ladder
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
if len(sys.argv) > 1:
    limit = data_size() + int(sys.argv[1]) * MIB
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
print("ready", flush=True)
input()
"""
SURVIVOR = (
    WORK
    + """
pool = MemoryResourcePool(4 * MIB)
ladder = PressureLadder(pools=[pool])
for round in range(200):
    ladder.relieve(16 * MIB)  # what a round takes, copies included
    with pool.buffer() as buffer:
        Node(bytearray(MIB))
        buffer[:] = bytes([round % 256]) * len(buffer)
print("survived", flush=True)
"""
)
REFUSED = (
    WORK
    + """
made = 0
try:
    while made < 200:
        Node(bytearray(MIB)); made += 1
except MemoryError:
    gc.collect()
    print("refused", flush=True)
"""
)
STOPPED = (
    WORK
    + """
ladder, kept = PressureLadder(), []
try:
    while len(kept) < 4000:
        ladder.relieve(4 * MIB)
        kept.append(bytes([7]) * MIB)
except OverMemory as exc:
    kept.clear()
    print("stopped", exc, flush=True)
"""
)


def run(code: str, *arguments: str, prepare: Callable[[int], object] = lambda pid: None) -> tuple[int, list[str]]:
    """How `code` ends and what it prints; `prepare` gets its pid before it works."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        prepare(child.pid)
        out, _ = child.communicate("\n", timeout=60)
    return child.returncode, out.splitlines()


@pytest.mark.slow
def test_process_squeezed_by_an_rlimit_survives() -> None:
    assert run(REFUSED, "64")[1][-1] == "refused"  # without the ladder it would not
    status, lines = run(SURVIVOR, "64")
    assert (status, lines[-1]) == (0, "survived")
    gave_back = [line for line in lines if line.startswith("memory is tight: collect gave back")]
    assert len(gave_back) >= 3
    assert any("MiB" in line for line in gave_back)


def test_process_that_cannot_be_helped_stops_and_names_the_limit() -> None:
    status, lines = run(STOPPED, "64")
    assert status == 0
    assert lines[-1].startswith("stopped memory is used up:")
    assert lines[-1].endswith("which RLIMIT_DATA allows")


@pytest.mark.slow
def test_process_squeezed_by_a_real_cgroup_survives() -> None:
    folder = real_cgroup()
    if folder is None:
        pytest.skip("no memory cgroup can be made here")
    name = "memory.max" if (folder / "memory.max").exists() else "memory.limit_in_bytes"
    try:
        (folder / name).write_text(str(96 * MIB))

        def squeeze(pid: int) -> None:
            (folder / "cgroup.procs").write_text(str(pid))

        assert run(REFUSED, prepare=squeeze)[0] == -9, "without the ladder the kernel kills it"
        status, lines = run(SURVIVOR, prepare=squeeze)
        assert (status, lines[-1]) == (0, "survived")
        status, lines = run(STOPPED, prepare=squeeze)
        assert status == 0
        assert lines[-1].endswith(f"which {name} of {folder} allows")
    finally:
        folder.rmdir()
