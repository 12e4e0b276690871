"""Frame rates that FFmpeg measures on the first packets of a stream, where nothing says them.

`ff_rfps_add_frame`, `ff_rfps_calculate` and the estimates of `avformat_find_stream_info` in libavformat.
"""

import math
from fractions import Fraction

from memx.formats.video.clock import NO_TIME, absolute, is_relative

_UNIT = 12 * 1001
STANDARD = tuple(
    [(number + 1) * 1001 for number in range(30 * 12)]
    + [(number + 31) * _UNIT for number in range(30)]
    + [rate * _UNIT for rate in (80, 120, 240)]
    + [rate * 12000 for rate in (24, 30, 60, 12, 15, 48)]
)
"""Frame rates that are known to be used, in twelve thousand and twelfths of a frame a second."""
_HOPELESS = 1e10


class Intervals:
    """How well the intervals between the times of a stream fit each of the standard rates."""

    def __init__(self, base: Fraction) -> None:
        self._base = base
        self._last = NO_TIME
        self._errors: list[list[float]] | None = None
        """Sums of errors and of squared errors for whole ticks, then for halves; a number a standard rate."""
        self.count = 0
        self._sum = 0
        self._divisor = 0

    def add(self, time: int) -> None:
        """The decoding time of the next packet."""
        last, self._last = self._last, time if time != NO_TIME else self._last
        if time == NO_TIME or last == NO_TIME or time <= last:
            return
        duration = time - last
        seconds = float(absolute(time)) * (self._base.numerator / self._base.denominator)
        if self._errors is None:
            self._errors = [[0.0] * len(STANDARD) for _ in range(4)]
        first, first_squared, second, second_squared = self._errors
        for number, rate in enumerate(STANDARD):
            if first_squared[number] < _HOPELESS:
                ticks = seconds * rate / _UNIT
                error = ticks - _nearest(ticks)
                first[number] += error
                first_squared[number] += error * error
                error = ticks - _nearest(ticks + 0.5) + 0.5
                second[number] += error
                second_squared[number] += error * error
        self.count += 1
        self._sum += duration
        if not self.count % 10:
            self._give_up()
        if self.count > 3 and is_relative(time) == is_relative(last):
            self._divisor = math.gcd(self._divisor, duration)

    def begin_again(self) -> None:
        """Forgets what was added, but what the intervals have in common: FFmpeg measures a second time."""
        self._last, self._errors, self.count, self._sum = NO_TIME, None, 0, 0

    def _give_up(self) -> None:
        """Rates that do not fit are not looked at any more."""
        assert self._errors is not None
        first, first_squared, second, second_squared = self._errors
        for number in range(len(STANDARD)):
            if first_squared[number] < _HOPELESS and all(
                squares[number] / self.count - (sums[number] / self.count) ** 2 > 0.04
                for sums, squares in ((first, first_squared), (second, second_squared))
            ):
                first_squared[number] = second_squared[number] = 2 * _HOPELESS

    def rate(self, counted: int) -> Fraction | None:
        """The real frame rate; `counted` is the duration of the packets looked at. For a base that is too fine."""
        base = self._base
        if self.count > 15 and self._divisor > max(1, base.denominator // (500 * base.numerator)):
            return 1 / (base * self._divisor)
        if self.count <= 1 or self._errors is None:
            return None
        best, best_error = 0, 0.01
        tick = base.numerator / base.denominator
        for number, rate in enumerate(STANDARD):
            if counted and counted * tick < 1001 * 11.5 / rate:
                continue
            if not counted and rate < _UNIT:
                continue
            if tick * self._sum / self.count < _UNIT * 0.8 / rate:
                continue
            for sums, squares in ((self._errors[0], self._errors[1]), (self._errors[2], self._errors[3])):
                mean = sums[number] / self.count
                error = squares[number] / self.count - mean * mean
                if error < best_error and best_error > 1e-9:
                    best_error, best = error, rate
        # a standard rate is taken where it is at most one percent more than the time base can tell
        return Fraction(best, _UNIT) if best and best / _UNIT < 1.01 / tick else None

    def confirms(self, rate: Fraction) -> bool:
        """Whether the mean of the intervals is that of `rate`, within one unit of time."""
        if self.count <= 2 or not self._sum:
            return False
        return abs(float(1 / (rate * self._base)) - self._sum / self.count) <= 1.0


def _nearest(value: float) -> int:
    """As C's `llrint`: halves to the even."""
    return round(value)


def average(fields: int, counted: int, base: Fraction) -> Fraction:
    """The average rate of packets of `fields` fields that last `counted` units, a standard rate where it is near."""
    found = reduced(Fraction(fields, 2) / (counted * base), 60000)
    best, best_error = 0, 0.01
    for rate in STANDARD:
        error = abs(float(found) / (rate / _UNIT) - 1)
        if error < best_error:
            best_error, best = error, rate
    return Fraction(best, _UNIT) if best else found


def reduced(value: Fraction, most: int) -> Fraction:
    """The ratio near `value` whose numbers are at most `most` (`av_reduce`)."""
    numerator, denominator = value.numerator, value.denominator
    if numerator <= most and denominator <= most:
        return value
    before, now = (0, 1), (1, 0)
    while denominator:
        quotient, rest = divmod(numerator, denominator)
        following = quotient * now[0] + before[0], quotient * now[1] + before[1]
        if max(following) > most:
            if now[0]:
                quotient = (most - before[0]) // now[0]
            if now[1]:
                quotient = min(quotient, (most - before[1]) // now[1])
            if denominator * (2 * quotient * now[1] + before[1]) > numerator * now[1]:
                now = quotient * now[0] + before[0], quotient * now[1] + before[1]
            break
        before, now = now, following
        numerator, denominator = denominator, rest
    return Fraction(now[0], now[1]) if now[1] else Fraction(0)
