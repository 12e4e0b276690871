"""Strategies and chunk sizes: pure functions of what there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.memory.chunks import MAX_CHUNK, MIN_CHUNK, AdaptiveChunkSizer, chunk_size_for
from memx.engine.memory.strategy import GC_THRESHOLDS, ExtractionStrategy, choose_strategy, plan_for
from memx.errors import UsageError

MIB = 1 << 20
AGGRESSIVE, BALANCED, CONSERVATIVE = ExtractionStrategy


@pytest.mark.parametrize(
    ("size", "available", "strategy"),
    [
        (100, 301, AGGRESSIVE),
        (100, 300, BALANCED),
        (100, 100, BALANCED),
        (100, 99, CONSERVATIVE),
        (0, 1, AGGRESSIVE),
        (0, 0, BALANCED),
        (None, 1 << 40, BALANCED),
    ],
)
def test_strategy_by_the_share_of_the_file_that_fits(
    size: int | None, available: int, strategy: ExtractionStrategy
) -> None:
    assert choose_strategy(size, available)[0] is strategy


def test_reason_names_the_figures_and_an_override_says_so() -> None:
    assert choose_strategy(10 * MIB, 5 * MIB)[1] == "5 MiB available for a file of 10 MiB: less than its size"
    assert choose_strategy(10 * MIB, 5 * MIB, AGGRESSIVE) == (AGGRESSIVE, "asked for")


def test_thresholds_are_those_of_the_contract() -> None:
    assert [GC_THRESHOLDS[s] for s in ExtractionStrategy] == [(5000, 10, 10), (700, 10, 10), (100, 5, 5)]


def test_plans_spend_more_where_there_is_more() -> None:
    plans = [plan_for(100 * MIB, available) for available in (50 * MIB, 200 * MIB, 4000 * MIB)]
    assert [plan.strategy for plan in plans] == [CONSERVATIVE, BALANCED, AGGRESSIVE]
    assert [plan.gc_threshold for plan in plans] == [(100, 5, 5), (700, 10, 10), (5000, 10, 10)]
    batches = [plan.write_batch for plan in plans]
    assert batches == sorted(set(batches))
    assert [plan.drop_behind for plan in plans] == [True, True, False]
    assert [plan.read_ahead for plan in plans] == [False, True, True]
    assert plan_for(1, 1, chunk_size=12345).chunk_size == 12345


@given(st.integers(0, 1 << 50))
def test_chunk_size_stays_within_its_bounds_and_a_small_share(available: int) -> None:
    size = chunk_size_for(available)
    assert MIN_CHUNK <= size <= MAX_CHUNK
    assert size % 4096 == 0
    assert size == MIN_CHUNK or size <= available // 256


def test_sizer_follows_the_memory_while_it_runs() -> None:
    available = 64 << 30
    sizer = AdaptiveChunkSizer(available=lambda: available)
    assert sizer.get_optimal_chunk_size() == 10 * MIB
    available = 1 << 30
    assert sizer.get_optimal_chunk_size() == 4 * MIB
    available = 0
    assert sizer.get_optimal_chunk_size() == 256 * 1024


def test_sizer_shrinks_to_its_least_size_and_relaxes() -> None:
    sizer = AdaptiveChunkSizer(MIB, 4 * MIB, available=lambda: 64 << 30)
    assert [sizer.shrink() for _ in range(3)] == [2 * MIB, MIB, 0]
    assert sizer.get_optimal_chunk_size() == MIB
    sizer.relax()
    assert sizer.get_optimal_chunk_size() == 4 * MIB


def test_sizer_with_the_real_memory_of_this_machine() -> None:
    assert MIN_CHUNK <= AdaptiveChunkSizer().get_optimal_chunk_size() <= MAX_CHUNK


@pytest.mark.parametrize("bounds", [(0, 10), (20, 10), (-5, 5)])
def test_bounds_that_contradict_are_refused(bounds: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="chunks from"):
        AdaptiveChunkSizer(*bounds)
