"""Arithmetic of times and rates, rounded as FFmpeg rounds (libavutil/mathematics.h, rational.h)."""

from fractions import Fraction

_MOST = (1 << 31) - 1
COARSE = 1000
"""With fewer units of time a second FFmpeg takes one for the duration of a frame, as long as it knows no rate."""


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
