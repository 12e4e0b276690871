"""Figures of repeated measurements, each with how sure it is: medians, ratios, slopes and exponents.

Nothing here trusts a mean: times of a busy machine have outliers, which medians and ranks do not follow. What is
drawn at random is drawn from a seed, so that the same measurements give the same figures.
"""

import math
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

CONFIDENCE = 0.95
RESAMPLES = 2000
MOST_POINTS = 300
"""Points that a line is laid through; of more, so many are drawn: each is paired with each."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate, and between what bounds the truth lies as surely as was asked for."""

    estimate: float
    low: float
    high: float

    def excludes(self, value: float) -> bool:
        """Whether `value` is surely not the truth."""
        return not self.low <= value <= self.high

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; a bound that is not known is null."""
        return {name: value if math.isfinite(value) else None for name, value in asdict(self).items()}


def percentile(values: Iterable[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie, between two of them by a straight line.

    Definition 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996),
    which is NumPy's default. Raises ValueError where there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("there are no values")
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def median(values: Iterable[float]) -> float:
    """The value in the middle. Raises ValueError where there are none."""
    return percentile(values, 0.5)


def ratio(
    before: Sequence[float],
    after: Sequence[float],
    *,
    confidence: float = CONFIDENCE,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """By what `after` is multiplied from `before`: the median of the ratios of their pairs, all above 0.

    The pairs are what is drawn anew, so that what both of a pair suffered is no difference. The percentile interval
    of the bootstrap: Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13. It is never
    narrower than order statistics can be sure of (see `surest`): of fewer than six pairs there is no interval at
    95 %, and the bounds are 0 and infinity. Raises ValueError where there is no pair, or one without its other.
    """
    ratios = [b / a for a, b in zip(before, after, strict=True)]
    estimate = median(ratios)
    if surest(len(ratios)) < confidence:
        return Interval(estimate, 0.0, math.inf)
    draw = random.Random(seed)
    medians = [median(draw.choices(ratios, k=len(ratios))) for _ in range(resamples)]
    tail = (1 - confidence) / 2
    return Interval(estimate, percentile(medians, tail), percentile(medians, 1 - tail))


def surest(count: int) -> float:
    """How surely the median of what `count` values were drawn from lies between the least and the greatest of them.

    All of them lie on one side of it as often as a coin falls so: Conover, "Practical Nonparametric Statistics"
    (1999), section 3.2. Six values are the first that come to 95 %.
    """
    return 1 - 2.0 ** (1 - count) if count else 0.0


def slope(xs: Sequence[float], ys: Sequence[float], *, confidence: float = CONFIDENCE, seed: int = 0) -> Interval:
    """How much y rises with x: the median of the slopes between all pairs of points (Theil and Sen).

    The interval is Sen's, of Kendall's tau with its ties, which asks nothing of how y is distributed: "Estimates of
    the Regression Coefficient Based on Kendall's Tau", Journal of the American Statistical Association 63 (1968).
    Of more than `MOST_POINTS` points, as many are drawn. Without two different x the slope is 0 and not known.
    """
    points = list(zip(xs, ys, strict=True))
    if len(points) > MOST_POINTS:
        points = random.Random(seed).sample(points, MOST_POINTS)
    slopes = sorted(
        (y2 - y1) / (x2 - x1) for number, (x1, y1) in enumerate(points) for x2, y2 in points[number + 1 :] if x1 != x2
    )
    if not slopes:
        return Interval(0.0, -math.inf, math.inf)
    spread = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(_variance_of_kendall(points))
    lower, upper = round((len(slopes) - spread) / 2) - 1, round((len(slopes) + spread) / 2)
    low = slopes[lower] if lower >= 0 else -math.inf
    high = slopes[upper] if upper < len(slopes) else math.inf
    return Interval(median(slopes), low, high)


def _variance_of_kendall(points: Sequence[tuple[float, float]]) -> float:
    """The variance of Kendall's S where x and y have nothing to do with each other, of points with ties.

    Kendall, "Rank Correlation Methods" (1970), section 4.9.
    """
    n = len(points)
    xs, ys = ([count for count in Counter(axis).values() if count > 1] for axis in zip(*points, strict=True))

    def alone(counts: Sequence[int]) -> int:
        return sum(count * (count - 1) * (2 * count + 5) for count in counts)

    variance = (alone([n]) - alone(xs) - alone(ys)) / 18
    variance += _pairs(xs) * _pairs(ys) / (2 * n * (n - 1))
    variance += _threes(xs) * _threes(ys) / (9 * n * (n - 1) * (n - 2)) if n > 2 else 0.0
    return max(0.0, variance)


def _pairs(counts: Sequence[int]) -> int:
    return sum(count * (count - 1) for count in counts)


def _threes(counts: Sequence[int]) -> int:
    return sum(count * (count - 1) * (count - 2) for count in counts)


def growth_exponent(
    sizes: Sequence[float], times: Sequence[float], *, confidence: float = CONFIDENCE, seed: int = 0
) -> Interval:
    """With what power of the size the time grows: 1 is in proportion, 2 quadratic, 0 not at all.

    The slope of log(time) over log(size), which is how empirical complexity is measured: Goldsmith, Aiken and
    Wilkerson, "Measuring Empirical Computational Complexity", ESEC-FSE 2007. What a run costs whatever its size
    pulls the exponent towards 0, never above the truth. Points without a size or a time are left out.
    """
    pairs = [(math.log(size), math.log(time)) for size, time in zip(sizes, times, strict=True) if size > 0 < time]
    return slope([x for x, _ in pairs], [y for _, y in pairs], confidence=confidence, seed=seed)


def noise_band(
    before: Sequence[float], after: Sequence[float], *, confidence: float = CONFIDENCE, least: float = 0.05
) -> tuple[float, float]:
    """Between what ratios a file of an `after` report may lie to its own `before` by chance; both above 0.

    The spread is that of the ratios' logarithms, by their median absolute deviation (Rousseeuw and Croux,
    "Alternatives to the Median Absolute Deviation", Journal of the American Statistical Association 88, 1993), so
    that files which did change do not hide themselves. As many files are compared, `confidence` is that none of
    them is called changed by chance (Sidak's correction). The band is at least `least` wide on each side: of few
    files the spread is not known, and memory is counted in pages. It lies around 1, so that a report which is
    slower as a whole is outside.
    """
    logs = [math.log(b / a) for a, b in zip(before, after, strict=True)]
    half = math.log1p(least)
    if len(logs) > 1:
        middle = median(logs)
        deviation = median(abs(value - middle) for value in logs) * _MAD_TO_SIGMA
        each = confidence ** (1 / len(logs))
        half = max(half, deviation * NormalDist().inv_cdf((1 + each) / 2))
    return math.exp(-half), math.exp(half)


_MAD_TO_SIGMA = 1 / NormalDist().inv_cdf(0.75)
"""The standard deviation of what is normal, in median absolute deviations: 1.4826."""
