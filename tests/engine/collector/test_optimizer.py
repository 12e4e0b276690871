"""The collector: settings that come and go in any order, and are as they were in the end."""

import gc
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.collector.growth import GrowthCollector
from memx.engine.collector.optimizer import GarbageCollectionOptimizer, collector_kind
from memx.engine.collector.pauses import PauseRecorder
from memx.engine.memory.strategy import ExtractionStrategy
from memx.errors import UsageError

MIB = 1 << 20
AGGRESSIVE, BALANCED, CONSERVATIVE = ExtractionStrategy
NUMBERS: dict[str, tuple[int, int, int]] = {
    AGGRESSIVE: (5000, 10, 10),
    BALANCED: (700, 10, 10),
    CONSERVATIVE: (100, 5, 5),
}


@pytest.fixture(params=[(700, 10, 10), (1234, 5, 6), (0, 0, 0)])
def found(request: pytest.FixtureRequest) -> Iterator[tuple[int, int, int]]:
    """Thresholds that somebody has set before."""
    before = gc.get_threshold()
    gc.set_threshold(*request.param)
    yield request.param
    gc.set_threshold(*before)


@pytest.fixture
def switched_off() -> Iterator[None]:
    """A collector that somebody has switched off before."""
    gc.disable()
    yield
    gc.enable()


class Node:
    """Holds itself, and what it is given."""

    def __init__(self, load: object = None) -> None:
        self.me, self.load = self, load


def test_strategies_set_their_thresholds_and_reset_restores(found: tuple[int, int, int]) -> None:
    optimizer = GarbageCollectionOptimizer()
    for strategy in (AGGRESSIVE, "balanced", CONSERVATIVE):
        optimizer.optimize_for_extraction(strategy)
        assert gc.get_threshold() == NUMBERS[strategy]
    optimizer.reset_to_default()
    assert gc.get_threshold() == found
    optimizer.reset_to_default()
    assert gc.get_threshold() == found


def test_unknown_strategy_is_refused_and_changes_nothing() -> None:
    before = gc.get_threshold()
    with pytest.raises(UsageError, match="reckless"):
        GarbageCollectionOptimizer().optimize_for_extraction("reckless")
    assert gc.get_threshold() == before


def test_blocks_nest_and_an_exception_restores(found: tuple[int, int, int]) -> None:
    optimizer = GarbageCollectionOptimizer()
    with optimizer.applied(AGGRESSIVE):
        with optimizer.applied((9, 8, 7)):
            assert gc.get_threshold() == (9, 8, 7)
        with pytest.raises(KeyError), optimizer.applied((9, 8, 7)):
            raise KeyError
        assert gc.get_threshold() == (5000, 10, 10)
    assert gc.get_threshold() == found


@given(st.permutations(range(4)))
def test_wishes_withdrawn_in_any_order_leave_what_was_found(order: list[int]) -> None:
    found = gc.get_threshold()
    optimizers = [GarbageCollectionOptimizer() for _ in order]
    wishes = [AGGRESSIVE, CONSERVATIVE, BALANCED, AGGRESSIVE]
    for optimizer, wish in zip(optimizers, wishes, strict=True):
        optimizer.optimize_for_extraction(wish)
    standing = dict(enumerate(wishes))
    for withdrawn in order:
        optimizers[withdrawn].reset_to_default()
        del standing[withdrawn]
        assert gc.get_threshold() == (NUMBERS[standing[max(standing)]] if standing else found)


def test_threads_that_set_and_restore_leave_what_was_found(found: tuple[int, int, int]) -> None:
    def work(strategy: ExtractionStrategy) -> None:
        optimizer = GarbageCollectionOptimizer()
        for _ in range(200):
            with optimizer.applied(strategy), optimizer.protected():
                assert not gc.isenabled()

    threads = [threading.Thread(target=work, args=(strategy,)) for strategy in ExtractionStrategy for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.get_threshold() == found
    assert gc.isenabled()


def test_critical_section_is_free_of_automatic_collection() -> None:
    optimizer = GarbageCollectionOptimizer()
    with optimizer.measured() as pauses:
        optimizer.disable_collection_during_critical()
        try:
            nodes = [Node() for _ in range(20_000)]
            assert pauses.stats.collections == 0
        finally:
            optimizer.enable_collection()
        assert gc.isenabled()
        assert len(nodes) == 20_000
        del nodes


def test_critical_sections_nest() -> None:
    optimizer = GarbageCollectionOptimizer()
    optimizer.disable_collection_during_critical()
    with optimizer.protected(), GarbageCollectionOptimizer().protected():
        pass
    assert not gc.isenabled()
    optimizer.enable_collection()
    assert gc.isenabled()
    optimizer.enable_collection()  # one too many
    assert gc.isenabled()


def test_collector_that_was_off_stays_off(switched_off: None) -> None:
    optimizer = GarbageCollectionOptimizer()
    optimizer.disable_collection_during_critical()
    optimizer.enable_collection()
    with optimizer.protected():
        pass
    assert not gc.isenabled()
    optimizer.enable_collection()
    assert not gc.isenabled()


def test_reset_ends_forgotten_critical_sections() -> None:
    optimizer = GarbageCollectionOptimizer()
    optimizer.disable_collection_during_critical()
    optimizer.disable_collection_during_critical()
    optimizer.reset_to_default()
    assert gc.isenabled()


@pytest.mark.slow
def test_forced_collection_counts_the_unreachable() -> None:
    optimizer = GarbageCollectionOptimizer()
    with optimizer.protected():
        gc.collect()
        for _ in range(100):
            Node()
        assert optimizer.get_unreachable_objects() >= 100
        assert optimizer.get_unreachable_objects() < 100
        for _ in range(100):
            Node()
        assert optimizer.force_collection() >= 100


@pytest.mark.slow
def test_what_cannot_be_freed_counts_as_unreachable() -> None:
    optimizer = GarbageCollectionOptimizer()
    with optimizer.protected():
        gc.collect()
        assert optimizer.get_unreachable_objects() == 0
        gc.garbage.append(object())
        count = optimizer.get_unreachable_objects()
        gc.garbage.clear()
    assert count == 1


def test_config_tells_the_collector_as_it_is(found: tuple[int, int, int]) -> None:
    config = GarbageCollectionOptimizer().get_current_config()
    assert config["thresholds"] == list(found)
    assert config["enabled"] is True
    assert config["collector"] == collector_kind()
    assert len(config["stats"]) == len(gc.get_stats())


@pytest.mark.parametrize(
    ("version", "free", "kind"),
    [
        ((3, 11, 7), False, "generational"),
        ((3, 13, 0), False, "generational"),
        ((3, 14, 0), False, "incremental"),
        ((3, 14, 4), False, "incremental"),
        ((3, 14, 5), False, "generational"),
        ((3, 15, 0), False, "generational"),
        ((3, 14, 0), True, "free-threaded"),
    ],
)
def test_kind_of_collector_by_version_and_build(version: tuple[int, ...], free: bool, kind: str) -> None:
    assert collector_kind(version, free_threaded=free) == kind


@pytest.mark.parametrize(("kind", "heeded"), [("incremental", 2), ("free-threaded", 1), ("generational", 3)])
def test_thresholds_that_a_collector_ignores_are_not_offered(
    kind: str, heeded: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memx.engine.collector.optimizer.collector_kind", lambda: kind)
    assert len(GarbageCollectionOptimizer().get_current_config()["heeded"]) == heeded
    assert not hasattr(GarbageCollectionOptimizer, "enable_incremental_collection")


def test_freezing_takes_what_exists_out_of_sight_and_reset_puts_it_back() -> None:
    optimizer = GarbageCollectionOptimizer()
    frozen = optimizer.freeze_after_imports()
    assert frozen > 1000
    assert optimizer.freeze_after_imports() == frozen
    optimizer.reset_to_default()
    assert gc.get_freeze_count() == 0


def test_what_somebody_else_froze_stays_frozen() -> None:
    gc.freeze()
    optimizer = GarbageCollectionOptimizer()
    optimizer.freeze_after_imports()
    optimizer.reset_to_default()
    assert gc.get_freeze_count() > 0
    gc.unfreeze()


@pytest.mark.slow
def test_pauses_are_counted_by_generation_and_timed() -> None:
    ticks = iter(range(100))
    recorder = PauseRecorder(clock=lambda: next(ticks))
    with GarbageCollectionOptimizer().protected():
        gc.collect()
        with recorder:
            recorder.start()  # it runs already
            for _ in range(50):
                Node()
            gc.collect(0)
            gc.collect()
        gc.collect()
    recorder.stop()
    stats = recorder.stats
    assert (stats.collections, stats.by_generation) == (2, (1, 0, 1))
    assert (stats.pause_s, stats.longest_pause_s) == (2, 1)
    assert stats.collected >= 50
    assert stats.as_dict()["by_generation"] == [1, 0, 1]


def test_two_recorders_do_not_take_each_other_away() -> None:
    first, second = PauseRecorder(), PauseRecorder()
    count = len(gc.callbacks)
    first.start()
    second.start()
    first.stop()
    gc.collect()
    second.stop()
    assert (first.stats.collections, second.stats.collections >= 1) == (0, True)
    assert len(gc.callbacks) == count


class Heap:
    """Resident memory that a test moves."""

    def __init__(self, freed_by_collection: int = 0) -> None:
        self.size = 100
        self.freed = freed_by_collection

    def resident(self) -> int:
        return self.size

    def collect(self) -> int:
        self.size -= self.freed
        return 0

    def collect_nothing(self) -> int:
        return 0


def test_collection_by_growth_comes_at_the_step() -> None:
    heap = Heap(freed_by_collection=60)
    collector = GrowthCollector(64, resident=heap.resident, collect=heap.collect, trim=heap.collect_nothing)
    heap.size = 163
    assert collector.poll() == 0
    heap.size = 164
    assert collector.poll() == 60
    assert (collector.collections, collector.freed, heap.size) == (1, 60, 104)


def test_growth_without_cycles_costs_ever_fewer_collections() -> None:
    heap = Heap()
    collector = GrowthCollector(64, resident=heap.resident, collect=heap.collect, trim=heap.collect_nothing)
    for _ in range(1000):
        heap.size += 64
        collector.poll()
    assert collector.collections < 1000 / 16 + 6


def test_step_falls_back_when_cycles_appear() -> None:
    heap = Heap()
    collector = GrowthCollector(64, resident=heap.resident, collect=heap.collect, trim=heap.collect_nothing)
    heap.size += 64
    collector.poll()
    heap.freed, heap.size = 128, heap.size + 128
    assert collector.poll() == 128
    heap.size += 64
    assert collector.poll() == 128


@pytest.mark.slow
def test_cycles_that_hold_bytes_are_collected_by_growth() -> None:
    from memx.engine.memory.monitor import PeakMeter

    def grow() -> None:
        for _ in range(400):
            Node(bytearray(MIB))
            time.sleep(0.001)  # so that the thread which looks is let in on a busy machine too

    meter = PeakMeter()
    gc.collect()
    meter.start()
    with GarbageCollectionOptimizer().collecting_by_growth(32 * MIB) as watch:
        grow()
    gc.collect()
    assert watch.collector.collections >= 1
    assert watch.collector.freed > 30 * MIB
    assert meter.peak() - meter.began_at < 300 * MIB


def test_forked_child_can_still_set_the_collector() -> None:
    import memx.engine.collector.optimizer as module

    with module._governor.lock:
        read, write = os.pipe()
        child = _fork(write)
    os.close(write)
    said = os.read(read, 10)
    os.close(read)
    os.waitpid(child, 0)
    assert said == b"(9, 9, 9)"


def _fork(write: int) -> int:
    holder: list[Any] = []
    # the lock is held by this thread; the fork happens in another, as if that were somebody else
    thread = threading.Thread(target=lambda: holder.append(_child(write)))
    thread.start()
    thread.join()
    return int(holder[0])


def _child(write: int) -> int:
    child = os.fork()
    if child == 0:
        with GarbageCollectionOptimizer().applied((9, 9, 9)):
            os.write(write, str(gc.get_threshold()).encode())
        os._exit(0)
    return child
