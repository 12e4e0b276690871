"""The experiment, over runs of which it is known what they take: no process is started here."""

import random
from collections.abc import Callable, Sequence

import pytest

from memx.engine.collector.setting import OWN_CHOICE, CollectorSetting
from memx.engine.memory.strategy import ExtractionStrategy
from memx.engine.tuning.experiment import Experiment, Measurement, Tuning, Verdict
from memx.errors import OverMemory, ReaderCrashed

MIB = 1 << 20
AGGRESSIVE, BALANCED, CONSERVATIVE = map(CollectorSetting, ExtractionStrategy)
BY_GROWTH, FROZEN = CollectorSetting(disabled=True), CollectorSetting(freeze=True)
Costs = Callable[[CollectorSetting], tuple[float, float]]
"""Of a setting: seconds, and MiB at the peak."""


class Machine:
    """Runs that take what `costs` says, with the noise of a machine on which others work too."""

    def __init__(self, costs: Costs, seed: int = 0, noise: float = 0.02) -> None:
        self.costs = costs
        self.runs: list[CollectorSetting] = []
        self._draw, self._noise = random.Random(seed), noise

    def run(self, setting: CollectorSetting, files: Sequence[str]) -> Measurement:
        assert files == ["a", "b"]
        self.runs.append(setting)
        seconds, peak = self.costs(setting)
        cpu = seconds * self._draw.lognormvariate(0, self._noise)
        elapsed = cpu * (1 + self._draw.expovariate(20))
        size = int(peak * MIB * self._draw.lognormvariate(0, 0.003))
        return Measurement(elapsed, cpu, size, 10, seconds / 10)

    def tuned(self, **how: object) -> Tuning:
        return Experiment(self.run, ["a", "b"], **how).result()  # type: ignore[arg-type]  # what the test says


def thresholds(setting: CollectorSetting) -> int:
    """The threshold0 in force, where memx chooses the aggressive strategy."""
    return setting.thresholds(ExtractionStrategy.AGGRESSIVE)[0]


def acyclic(setting: CollectorSetting) -> tuple[float, float]:
    return (0.7 if setting.disabled else 0.7 + 2000 / (thresholds(setting) + 2000)), 50.0


def cyclic(setting: CollectorSetting) -> tuple[float, float]:
    return 1.0, 30.0 + (64.0 if setting.disabled else thresholds(setting) / 10)


def test_where_the_collector_only_costs_it_comes_seldom() -> None:
    tuning = Machine(acyclic).tuned()
    assert tuning.recommended is not None
    best = tuning.recommended.setting
    assert best.disabled or thresholds(best) >= 20_000
    assert "less processor time" in tuning.reason


def test_where_garbage_is_heavy_it_comes_often() -> None:
    tuning = Machine(cyclic).tuned()
    assert tuning.recommended is not None
    assert tuning.recommended.setting == CollectorSetting(threshold0=25)
    assert "less memory" in tuning.reason


@pytest.mark.parametrize("seed", range(20))
def test_where_nothing_helps_all_is_left_alone(seed: int) -> None:
    tuning = Machine(lambda _setting: (1.0, 50.0), seed, 0.03).tuned(seed=seed)
    assert tuning.recommended is None
    assert tuning.reason.startswith("leave it alone")
    assert all(one.verdict is Verdict.NO_GAIN for one in tuning.candidates)


def test_a_gain_that_costs_memory_is_refused() -> None:
    tuning = Machine(lambda setting: (0.5, 60.0) if setting.disabled else (1.0, 50.0)).tuned()
    assert tuning.recommended is None
    refused = next(one for one in tuning.candidates if one.setting == BY_GROWTH)
    assert (refused.verdict, refused.reason) == (Verdict.REFUSED, "it raises the peak by 20 %")


def test_a_gain_that_costs_time_is_refused() -> None:
    tuning = Machine(lambda setting: (1.3, 30.0) if setting == CONSERVATIVE else (1.0, 50.0)).tuned()
    assert tuning.recommended is None
    refused = next(one for one in tuning.candidates if one.setting == CONSERVATIVE)
    assert refused.verdict is Verdict.REFUSED
    assert refused.reason.endswith("more time")


def test_a_gain_too_small_to_matter_is_none() -> None:
    tuning = Machine(lambda setting: (0.98, 50.0) if setting.freeze else (1.0, 50.0), noise=0.001).tuned()
    assert tuning.recommended is None


def test_the_setting_in_force_may_be_the_best() -> None:
    tuning = Machine(acyclic).tuned(current=CollectorSetting(threshold0=80_000))
    assert tuning.baseline.setting == CollectorSetting(threshold0=80_000)
    assert tuning.recommended is None or tuning.recommended.setting.disabled
    assert OWN_CHOICE in [one.setting for one in tuning.candidates]


def test_memx_own_choice_is_recommended_where_what_is_in_force_is_worse() -> None:
    def costs(setting: CollectorSetting) -> tuple[float, float]:
        return (1.0, 50.0) if setting == OWN_CHOICE else (2.0, 50.0)

    tuning = Machine(costs).tuned(current=CONSERVATIVE)
    assert tuning.recommended is not None
    assert tuning.recommended.setting == OWN_CHOICE


def test_a_candidate_that_fails_is_left_out_at_once() -> None:
    def costs(setting: CollectorSetting) -> tuple[float, float]:
        if setting == CollectorSetting(threshold0=80_000):
            raise OverMemory("it takes more memory than there is")
        return acyclic(setting)

    machine = Machine(costs)
    tuning = machine.tuned()
    failed = next(one for one in tuning.candidates if one.setting.threshold0 == 80_000)
    assert (failed.verdict, failed.reason, failed.comparison) == (
        Verdict.FAILED,
        "it takes more memory than there is",
        None,
    )
    assert machine.runs.count(failed.setting) == 1
    assert tuning.recommended is not None


def test_what_fails_as_it_is_cannot_be_tuned() -> None:
    def costs(setting: CollectorSetting) -> tuple[float, float]:
        raise ReaderCrashed("it crashed")

    with pytest.raises(ReaderCrashed):
        Machine(costs).tuned()


def test_each_round_has_every_candidate_once_and_its_order_is_drawn() -> None:
    machine = Machine(lambda _setting: (1.0, 50.0))
    machine.tuned(runs=10)
    first = [frozenset(machine.runs[at : at + 4]) for at in range(0, 12, 4)]
    assert first == [{OWN_CHOICE, AGGRESSIVE, BALANCED, CONSERVATIVE}] * 3
    orders = {tuple(map(str, machine.runs[at : at + 4])) for at in range(0, 12, 4)}
    assert len(orders) > 1


def test_only_runs_of_their_own_confirm() -> None:
    machine = Machine(acyclic)
    tuning = machine.tuned(runs=1)  # too few: the confirming runs are six nevertheless
    confirmed = [one for one in tuning.candidates if one.confirmed]
    assert 1 <= len(confirmed) <= 2
    assert all(len(one.runs) == 2 + 6 for one in confirmed)
    assert all(one.confirmed for one in tuning.candidates if one.verdict in (Verdict.GOOD, Verdict.RECOMMENDED))


def test_the_same_runs_give_the_same_answer_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    first = Machine(acyclic).tuned(progress=lambda done, most: told.append((done, most)))
    assert first.as_dict() == Machine(acyclic).tuned().as_dict()
    assert [done for done, _ in told] == list(range(1, len(told) + 1))
    assert all(done <= most for done, most in told)
