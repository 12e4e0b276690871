"""The buffer pool: what it counts, what it refuses, and that threads cannot break it."""

import gc
import threading
from collections.abc import Iterator

import pytest

from memx.engine.memory.buffers import MemoryResourcePool
from memx.errors import OverMemory, UsageError


def test_buffer_is_made_once_and_used_again() -> None:
    pool = MemoryResourcePool(1024)
    first = pool.allocate_buffer()
    assert isinstance(first, bytearray)
    assert len(first) == 1024
    pool.release_buffer(first)
    second = pool.allocate_buffer()
    assert second is first
    stats = pool.stats
    assert (stats.allocations, stats.deallocations, stats.reuses) == (1, 1, 1)
    assert (stats.in_use, stats.idle, stats.idle_bytes) == (1, 0, 0)
    assert pool.get_stats()["reuses"] == 1


def test_buffers_in_use_are_never_the_same() -> None:
    pool = MemoryResourcePool(16)
    buffers = [pool.allocate_buffer() for _ in range(5)]
    assert len({id(buffer) for buffer in buffers}) == 5
    assert pool.stats.in_use == 5


def test_idle_buffers_are_bounded() -> None:
    pool = MemoryResourcePool(16, max_buffers=2)
    buffers = [pool.allocate_buffer() for _ in range(5)]
    for buffer in buffers:
        pool.release_buffer(buffer)
    assert (pool.stats.idle, pool.stats.deallocations) == (2, 5)


def test_double_release_is_refused_and_changes_nothing() -> None:
    pool = MemoryResourcePool(16)
    buffer = pool.allocate_buffer()
    pool.release_buffer(buffer)
    with pytest.raises(UsageError, match="already"):
        pool.release_buffer(buffer)
    assert (pool.stats.deallocations, pool.stats.idle) == (1, 1)


def test_foreign_buffers_are_refused() -> None:
    pool, other = MemoryResourcePool(16), MemoryResourcePool(16)
    with pytest.raises(ValueError, match="not of this pool"):
        pool.release_buffer(bytearray(16))
    with pytest.raises(UsageError, match="not of this pool"):
        pool.release_buffer(other.allocate_buffer())
    assert pool.stats.deallocations == 0


def test_buffer_that_was_resized_is_not_lent_again() -> None:
    pool = MemoryResourcePool(16)
    buffer = pool.allocate_buffer()
    buffer.extend(b"more")
    pool.release_buffer(buffer)
    assert len(pool.allocate_buffer()) == 16
    assert pool.stats.reuses == 0


def test_buffer_that_was_forgotten_is_freed() -> None:
    pool = MemoryResourcePool(16)
    pool.allocate_buffer()
    gc.collect()
    assert pool.stats.in_use == 0


def test_buffer_in_a_cycle_of_garbage_is_given_back_by_its_generator() -> None:
    pool = MemoryResourcePool(16)

    def lines() -> Iterator[object]:
        me: list[object] = []
        with pool.buffer():
            while True:
                me.append((yield me))

    generator = lines()
    next(generator)
    generator.send(generator)  # type: ignore[attr-defined]
    del generator
    gc.collect()
    assert (pool.stats.in_use, pool.stats.idle) == (0, 1)


def test_borrowing_for_a_block_gives_back_after_an_error_too() -> None:
    pool = MemoryResourcePool(16)
    with pytest.raises(KeyError), pool.buffer():
        raise KeyError
    assert (pool.stats.in_use, pool.stats.idle) == (0, 1)


def test_pool_is_closed_by_its_block() -> None:
    with MemoryResourcePool(16) as pool:
        kept = pool.allocate_buffer()
        pool.release_buffer(pool.allocate_buffer())
    assert pool.stats.idle == 0
    with pytest.raises(UsageError, match="closed"):
        pool.allocate_buffer()
    pool.release_buffer(kept)
    assert pool.stats.idle == 0
    pool.close()


def test_drop_tells_what_it_gave_back() -> None:
    pool = MemoryResourcePool(1000)
    buffers = [pool.allocate_buffer() for _ in range(3)]
    for buffer in buffers:
        pool.release_buffer(buffer)
    assert pool.drop() == 3000
    assert pool.drop() == 0


def test_fresh_buffer_is_refused_where_the_budget_does_not_hold_it() -> None:
    left = 100
    pool = MemoryResourcePool(100, available=lambda: left)
    buffer = pool.allocate_buffer()
    left = 99
    with pytest.raises(OverMemory, match="100 B"):
        pool.allocate_buffer()
    pool.release_buffer(buffer)
    assert pool.allocate_buffer() is buffer


def test_memory_that_the_system_refuses_is_over_memory() -> None:
    with pytest.raises(OverMemory, match="refuses"):
        MemoryResourcePool(1 << 62, available=lambda: 1 << 63).allocate_buffer()


@pytest.mark.parametrize("arguments", [(0, 1), (-1, 1), (1, -1)])
def test_senseless_pools_are_refused(arguments: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        MemoryResourcePool(*arguments)


def test_threads_never_share_a_buffer() -> None:
    pool, clashes = MemoryResourcePool(64, max_buffers=3), []

    def work(mark: int) -> None:
        for _ in range(500):
            with pool.buffer() as buffer:
                buffer[0] = mark
                clashes.extend(mark for _ in range(5) if buffer[0] != mark)

    threads = [threading.Thread(target=work, args=(mark,)) for mark in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stats = pool.stats
    assert clashes == []
    assert stats.allocations + stats.reuses == stats.deallocations == 4000
    assert (stats.in_use, stats.idle <= 3) == (0, True)
