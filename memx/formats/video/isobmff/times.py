"""Arithmetic of times and rates, rounded as FFmpeg rounds (libavutil/mathematics.h, rational.h)."""

from collections.abc import Iterable
from fractions import Fraction

_MOST = (1 << 31) - 1


def rescale(value: int, by: int, divisor: int) -> int:
    """`value * by / divisor`, to the nearest, halves away from zero."""
    if value < 0:
        return -rescale(-value, by, divisor)
    return (value * by + divisor // 2) // divisor


def reduced(numerator: int, denominator: int) -> Fraction | None:
    """The fraction, or the nearest one whose two numbers have 31 bits; None for one without a value."""
    if not denominator or not numerator:
        return None
    exact = Fraction(numerator, denominator)
    if abs(exact.numerator) <= _MOST and exact.denominator <= _MOST:
        return exact
    from memx.formats.video import rates  # rarely needed

    return rates.reduced(exact, _MOST) or None


def frame_rate(times: Iterable[int], time_scale: int) -> Fraction | None:
    """The rate of frames that are decoded at `times`, in `time_scale`; None where it is not told by them."""
    from memx.formats.video import rates

    intervals = rates.Intervals(Fraction(1, time_scale))
    for time in times:
        intervals.add(time)
    return intervals.rate(0)
