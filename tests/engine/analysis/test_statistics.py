"""Figures against SciPy's and NumPy's, and what must hold of them whatever was measured."""

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from memx.engine.analysis import statistics as own

positive = st.floats(1e-3, 1e6)
values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)
pairs = st.lists(st.tuples(positive, positive), min_size=1, max_size=20)


@given(values, st.floats(0, 1))
def test_percentiles_are_numpys(numbers: list[float], share: float) -> None:
    assert own.percentile(numbers, share) == pytest.approx(np.quantile(numbers, share), rel=1e-9, abs=1e-6)


def test_no_values_have_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        own.median([])


@given(pairs, st.integers(0, 9))
def test_an_interval_holds_its_estimate_and_is_the_same_twice(numbers: list[tuple[float, float]], seed: int) -> None:
    before, after = zip(*numbers, strict=True)
    found = own.ratio(before, after, seed=seed, resamples=100)
    assert found.low <= found.estimate * (1 + 1e-12)
    assert found.estimate <= found.high * (1 + 1e-12)
    assert found == own.ratio(before, after, seed=seed, resamples=100)


@given(pairs, st.floats(0.01, 100))
def test_a_ratio_has_no_unit_and_scales(numbers: list[tuple[float, float]], factor: float) -> None:
    assume(len(numbers) >= 6)
    before, after = zip(*numbers, strict=True)
    plain = own.ratio(before, after, resamples=100)
    both = own.ratio([factor * x for x in before], [factor * x for x in after], resamples=100)
    one = own.ratio(before, [factor * x for x in after], resamples=100)
    assert (both.low, both.estimate, both.high) == pytest.approx((plain.low, plain.estimate, plain.high))
    assert (one.low, one.high) == pytest.approx((factor * plain.low, factor * plain.high))


def test_few_pairs_have_no_interval() -> None:
    assert own.ratio([1.0] * 5, [0.5] * 5) == own.Interval(0.5, 0.0, math.inf)
    assert own.ratio([1.0] * 6, [0.5] * 6) == own.Interval(0.5, 0.5, 0.5)
    assert [own.surest(count) >= 0.95 for count in range(8)] == [False] * 6 + [True] * 2
    assert own.Interval(0.5, 0.0, math.inf).as_dict() == {"estimate": 0.5, "low": 0.0, "high": None}


def test_what_a_pair_suffers_together_is_no_difference() -> None:
    draw = random.Random(1)
    before = [draw.uniform(1, 100) for _ in range(12)]
    found = own.ratio(before, [0.9 * value for value in before])
    assert (found.low, found.high) == (pytest.approx(0.9), pytest.approx(0.9))
    assert found.excludes(1.0)


@pytest.mark.parametrize(("count", "least"), [(10, 0.89), (30, 0.92)])
def test_an_interval_holds_the_truth_as_often_as_it_says(count: int, least: float) -> None:
    draw, held, times = random.Random(5), 0, 300
    for turn in range(times):
        before = [draw.lognormvariate(0, 1) for _ in range(count)]
        after = [0.8 * value * draw.lognormvariate(0, 0.05) for value in before]
        held += not own.ratio(before, after, seed=turn, resamples=300).excludes(0.8)
    assert held / times >= least


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=30))
def test_slope_and_its_interval_are_scipys(points: list[tuple[int, int]]) -> None:
    xs, ys = zip(*points, strict=True)
    assume(len(set(xs)) > 1)
    assume(len(set(ys)) == len(ys))  # SciPy leaves out of the variance what is tied in both, which may come below 0
    found = own.slope(xs, ys)
    theirs = stats.theilslopes(ys, xs)
    assert found.estimate == pytest.approx(theirs.slope)
    if math.isfinite(found.low) and math.isfinite(found.high):
        assert (found.low, found.high) == (pytest.approx(theirs.low_slope), pytest.approx(theirs.high_slope))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=3, max_size=12))
def test_the_variance_with_ties_is_scipys(points: list[tuple[int, int]]) -> None:
    xs, ys = zip(*points, strict=True)
    assume(len(set(xs)) > 1 and len(set(ys)) > 1)
    theirs = stats.kendalltau(xs, ys, method="asymptotic").pvalue
    score = sum(np.sign((x2 - x1) * (y2 - y1)) for (x1, y1), (x2, y2) in itertools.combinations(points, 2))
    variance = own._variance_of_kendall(points)
    assert 2 * stats.norm.sf(abs(score) / math.sqrt(variance)) == pytest.approx(theirs, abs=1e-9)


def test_without_different_sizes_there_is_no_slope() -> None:
    for xs in ([], [3.0], [3.0, 3.0]):
        assert own.slope(xs, [1.0] * len(xs)) == own.Interval(0.0, -math.inf, math.inf)


def test_a_slope_does_not_follow_outliers_and_bears_many_points() -> None:
    draw = random.Random(2)
    xs = [draw.uniform(0, 1e9) for _ in range(5000)]
    ys = [5e7 + 0.25 * x + draw.gauss(0, 1e6) for x in xs]
    ys[::7] = [9e11] * len(ys[::7])
    found = own.slope(xs, ys)
    assert found.low < 0.25 < found.high
    assert found.high - found.low < 0.1


def test_flat_memory_has_a_slope_that_may_be_none() -> None:
    draw = random.Random(3)
    xs = [draw.uniform(0, 1e9) for _ in range(60)]
    assert not own.slope(xs, [5e7 + draw.gauss(0, 1e6) for _ in xs]).excludes(0.0)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_is_found(power: float) -> None:
    draw = random.Random(4)
    sizes = [2.0 ** draw.uniform(10, 20) for _ in range(40)]
    found = own.growth_exponent(sizes, [1e-9 * size**power * draw.lognormvariate(0, 0.1) for size in sizes])
    assert found.low - 0.02 <= power <= found.high + 0.02
    assert found.high - found.low < 0.2


def test_files_without_a_size_have_no_exponent() -> None:
    assert own.growth_exponent([0, 0, 100, 200, 400], [1, 2, 3, 6, 12]).estimate == pytest.approx(1.0)


@given(st.lists(positive, min_size=1, max_size=30))
def test_the_noise_band_lies_around_one(numbers: list[float]) -> None:
    low, high = own.noise_band(numbers, numbers[::-1])
    assert low * high == pytest.approx(1.0)
    assert high >= 1.05 - 1e-12
    assert own.noise_band(numbers, numbers) == (pytest.approx(1 / 1.05), pytest.approx(1.05))


def test_a_change_is_outside_of_the_band_and_noise_is_not() -> None:
    draw = random.Random(6)
    before = [draw.uniform(1, 100) for _ in range(200)]
    after = [value * draw.lognormvariate(0, 0.03) for value in before]
    low, high = own.noise_band(before, after)
    assert all(low <= b / a <= high for a, b in zip(before, after, strict=True))
    changed = [*after[:-1], before[-1] * 2]
    low, high = own.noise_band(before, changed)
    assert changed[-1] / before[-1] > high
    slower = [2 * value for value in after]
    assert own.median(b / a for a, b in zip(before, slower, strict=True)) > own.noise_band(before, slower)[1]
