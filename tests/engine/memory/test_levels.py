"""Levels and their hysteresis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.memory.levels import HYSTERESIS, THRESHOLDS, MemoryLevel, level_for

H, M, T, C = MemoryLevel.HEALTHY, MemoryLevel.MODERATE, MemoryLevel.HIGH, MemoryLevel.CRITICAL


@pytest.mark.parametrize(
    ("percent", "level"),
    [(0, H), (59.9, H), (60, M), (74.9, M), (75, T), (89.9, T), (90, C), (100, C)],
)
def test_levels_begin_where_the_thresholds_say(percent: float, level: MemoryLevel) -> None:
    assert level_for(percent) is level


def test_a_level_is_left_only_well_below_where_it_begins() -> None:
    assert level_for(74, before=T) is T
    assert level_for(70, before=T) is T
    assert level_for(69.9, before=T) is M
    assert level_for(10, before=C) is H


def test_a_level_is_entered_at_once() -> None:
    assert level_for(90, before=H) is C


def test_use_that_swings_around_a_threshold_changes_the_level_once() -> None:
    level, changes = H, 0
    for step in range(50):
        after = level_for(59 + 2 * (step % 2), before=level)
        changes += after is not level
        level = after
    assert (level, changes) == (M, 1)


def test_pressure_counts_only_where_memory_is_half_used() -> None:
    assert level_for(55, pressure=10.0) is M
    assert level_for(55, pressure=9.9) is H
    assert level_for(40, pressure=80.0) is H
    assert level_for(95, pressure=80.0) is C


@given(st.floats(0, 100), st.sampled_from(MemoryLevel))
def test_hysteresis_never_lowers_and_never_lifts_by_more_than_its_width(percent: float, before: MemoryLevel) -> None:
    level = level_for(percent, before=before)
    assert level_for(percent).rank <= level.rank <= max(level_for(percent).rank, before.rank)
    assert level.rank <= level_for(percent + HYSTERESIS).rank


def test_levels_are_words_and_have_an_order() -> None:
    assert [str(level) for level in MemoryLevel] == ["healthy", "moderate", "high", "critical"]
    assert [level.rank for level in MemoryLevel] == [0, 1, 2, 3]
    assert list(THRESHOLDS) == sorted(THRESHOLDS)
