"""Settings of the collector: which one holds, and what it does to the collector."""

import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.collector.setting import OWN_CHOICE, BadSetting, CollectorSetting, setting_for
from memx.engine.memory.strategy import GC_THRESHOLDS, ExtractionStrategy
from memx.formats import by_key

AGGRESSIVE, BALANCED, CONSERVATIVE = ExtractionStrategy
SETTINGS = st.one_of(
    st.builds(
        CollectorSetting,
        st.none() | st.sampled_from(ExtractionStrategy),
        st.none() | st.integers(1, 10**6),
        freeze=st.booleans(),
    ),
    st.builds(CollectorSetting, freeze=st.booleans(), disabled=st.just(True)),
)


@given(SETTINGS)
def test_a_table_says_all_of_a_setting(setting: CollectorSetting) -> None:
    assert CollectorSetting.from_table(setting.as_table()) == setting
    assert bool(setting) is (setting.as_table() != {})
    assert str(setting)


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"strategie": "aggressive"}, "strategie"),
        ({"strategy": "bold"}, "strategy"),
        ({"strategy": []}, "strategy"),
        ({"threshold0": 0}, "threshold0"),
        ({"threshold0": 1 << 31}, "threshold0"),
        ({"threshold0": 1.5}, "threshold0"),
        ({"freeze": "true"}, "freeze"),
        ({"disabled": True, "threshold0": 3}, None),
    ],
)
def test_what_is_wrong_is_named(table: dict[str, object], key: str | None) -> None:
    with pytest.raises(BadSetting) as caught:
        CollectorSetting.from_table(table)
    assert caught.value.key == key


def test_the_setting_in_force_is_that_of_the_extractor_the_row_or_the_format() -> None:
    fits, rows, mine = (CollectorSetting(threshold0=number) for number in (1, 2, 3))
    settings = {"netcdf": fits, "netcdf4": rows, "a.b:c": mine}
    assert setting_for(settings, by_key("netcdf")) is fits
    assert setting_for(settings, by_key("netcdf4")) is rows
    assert setting_for(settings, by_key("fits")) is OWN_CHOICE
    assert setting_for(settings, by_key("netcdf"), "a.b:c") is mine
    assert setting_for(settings, by_key("netcdf"), "a.b:d") is OWN_CHOICE
    assert setting_for(settings, None) is OWN_CHOICE


@pytest.mark.parametrize(
    ("setting", "thresholds"),
    [
        (OWN_CHOICE, GC_THRESHOLDS[CONSERVATIVE]),
        (CollectorSetting(AGGRESSIVE), GC_THRESHOLDS[AGGRESSIVE]),
        (CollectorSetting(AGGRESSIVE, 9), (9, *GC_THRESHOLDS[AGGRESSIVE][1:])),
        (CollectorSetting(threshold0=9), (9, *GC_THRESHOLDS[CONSERVATIVE][1:])),
    ],
)
def test_thresholds_hold_for_the_block(setting: CollectorSetting, thresholds: tuple[int, int, int]) -> None:
    before = gc.get_threshold()
    with setting.applied(CONSERVATIVE):
        assert gc.get_threshold() == thresholds
    assert gc.get_threshold() == before


def test_a_disabled_collector_comes_by_growth_alone() -> None:
    with CollectorSetting(disabled=True).applied(BALANCED):
        assert not gc.isenabled()
    assert gc.isenabled()


def test_freezing_is_for_once() -> None:
    OWN_CHOICE.prepare()
    assert gc.get_freeze_count() == 0
    try:
        CollectorSetting(freeze=True).prepare()
        frozen = gc.get_freeze_count()
        CollectorSetting(freeze=True).prepare()
        assert gc.get_freeze_count() == frozen > 0
    finally:
        gc.unfreeze()
