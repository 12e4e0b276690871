"""What in a profile is a problem, and on what evidence: pure functions of the figures of a group.

Each threshold is there so that who is healthy is not accused: a rise has to be sure, and to matter.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from memx.engine.analysis.analyzer import RATIO, RATIO_FROM
from memx.engine.analysis.diagnosis import NOTICEABLE
from memx.engine.analysis.statistics import Interval, growth_exponent, slope
from memx.engine.profile.groups import Group, above_overhead, own_time, peak, points
from memx.records import Record
from memx.units import format_size

STEEP = 0.1
"""Bytes of memory for each byte of the file: surely more than this is memory that grows with the file."""
FASTER = 1.2
"""With surely more than this power of the size the time grows faster than it; n log n stays below."""
FASTER_USUALLY = 1.35
SLOW = 0.05
"""Seconds: how fast less than this grows is no problem yet."""
SPAN = 4.0
"""Sizes have to differ by so many times, for anything to be said of how something grows with them."""


class Kind(StrEnum):
    """The problems, gravest first."""

    OVER_BUDGET = "over-budget"
    LEAK = "leak"
    MEMORY_GROWS = "memory-grows-with-size"
    HUNGRY = "memory-hungry"
    TIME_GROWS = "time-grows-faster-than-size"
    FAILURES = "failures"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of the files of a format, or of an extractor; sizes in bytes."""

    kind: Kind
    format: str | None
    extractor: str | None
    reason: str
    """One sentence."""
    evidence: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"kind": str(self.kind)}


def problems(group: Group, over: int, budget: int | None) -> list[Problem]:
    """The problems of `group`, of whose files `over` peaked above `budget` bytes; gravest first."""
    found = [
        *_over_budget(group, over, budget),
        *_leak(group),
        *_memory_grows(group),
        *_hungry(group),
        *_time_grows(group),
        *_failures(group),
    ]
    kinds = {kind for kind, _, _ in found}
    return [
        Problem(kind, group.format, group.extractor, reason, evidence)
        for kind, reason, evidence in found
        if not (kind is Kind.HUNGRY and Kind.MEMORY_GROWS in kinds)  # the same, said better
    ]


def in_doubt(group: Group) -> bool:
    """Whether it looks as if something grows, of which too few files were read to be sure."""
    good = group.complete()
    sizes = {record["size"] for record in good}
    if len(sizes) < 3 or len(good) > 12:
        return False
    memory, exponent = _memory_slope(good), _exponent(good)
    return (memory is not None and memory.estimate > STEEP and memory.low <= STEEP) or (
        exponent is not None and exponent.estimate > FASTER_USUALLY and exponent.low <= FASTER
    )


Found = Iterator[tuple[Kind, str, dict[str, Any]]]


def _over_budget(group: Group, over: int, budget: int | None) -> Found:
    refused = group.codes["over-memory"]
    if budget is not None and over:
        highest = max(group.sample, key=peak)
        reason = f"{_count(over, 'file')} {'peaks' if over == 1 else 'peak'} above {format_size(budget)}"
        evidence = {"files": over, "budget": budget, "highest": group.highest["peak_rss"], "path": highest["path"]}
        yield Kind.OVER_BUDGET, f"{reason}, the highest at {format_size(group.highest['peak_rss'])}", evidence
    if refused:
        yield (
            Kind.OVER_BUDGET,
            f"{_count(refused, 'file')} could not be read in the memory that there was",
            {"files": refused, "budget": budget, "path": _failed(group, "over-memory")},
        )


def _leak(group: Group) -> Found:
    leaking = [record for record in group.repeats if record["repeat"]["verdict"] == "leak"]
    if leaking:
        worst = max(leaking, key=lambda record: record["repeat"]["bytes_per_call"])
        repeat = worst["repeat"]
        yield (
            Kind.LEAK,
            repeat["reason"],
            {"path": worst["path"], "files": len(leaking), "of": len(group.repeats), **repeat["evidence"]},
        )


def _memory_grows(group: Group) -> Found:
    good = group.complete()
    found = _memory_slope(good)
    if found is None or found.low <= STEEP:
        return
    sizes, peaks = points(good, peak)
    growth = found.low * (max(sizes) - min(sizes))
    if growth < NOTICEABLE or max(peaks) - min(peaks) < NOTICEABLE:
        return
    reason = f"each byte of the file takes {found.estimate:.2g} bytes of memory{_between(found)}"
    yield Kind.MEMORY_GROWS, reason, {"slope": found.as_dict(), "files": len(sizes), "highest": max(peaks)}


def _hungry(group: Group) -> Found:
    for record in group.greedy:
        grown, size = record["metrics"]["peak_rss_delta"], record["size"]
        if size and grown >= RATIO_FROM and grown > RATIO * size:
            reason = f"{format_size(grown)} were taken for a file of {format_size(size)}"
            yield Kind.HUNGRY, reason, {"path": record["path"], "growth": grown, "size": size}


def _time_grows(group: Group) -> Found:
    good = group.complete()
    found = _exponent(good)
    if found is None or found.low <= FASTER or found.estimate <= FASTER_USUALLY:
        return
    longest = max(good, key=own_time)
    if own_time(longest) < SLOW:
        return
    reason = f"the time grows with the size to the power of {found.estimate:.1f}{_between(found)}"
    evidence = {"exponent": found.as_dict(), "longest_s": longest["metrics"]["elapsed_s"], "path": longest["path"]}
    yield Kind.TIME_GROWS, reason, evidence


def _failures(group: Group) -> Found:
    if not group.failed:
        return
    how = ", ".join(f"{count:,} {code}" for code, count in group.codes.most_common())
    evidence = {
        "failed": group.failed,
        "files": group.files,
        "codes": dict(group.codes),
        "paths": [record["path"] for record in group.failures],
        "first": group.failures[0]["reason"],
    }
    yield Kind.FAILURES, f"{group.failed:,} of {_count(group.files, 'file')} failed: {how}", evidence


def _memory_slope(good: list[Record]) -> Interval | None:
    sizes, peaks = points(good, peak)
    return slope(sizes, peaks) if _spread(sizes) else None


def _exponent(good: list[Record]) -> Interval | None:
    """The power of the size with which the time grows: the surest of what all, and what all but the fastest say."""
    sizes, times = points(good, own_time)
    if not _spread(sizes):
        return None
    found = [growth_exponent(sizes, times)]
    slower = above_overhead(sizes, times)
    if _spread(slower[0]):
        found.append(growth_exponent(*slower))
    return max(found, key=lambda interval: (interval.low, interval.estimate))


def _spread(sizes: list[float]) -> bool:
    return len(set(sizes)) >= 3 and max(sizes) >= SPAN * min(sizes)


def _between(found: Interval) -> str:
    return f" ({found.low:.2g} to {found.high:.2g})"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _failed(group: Group, code: str) -> str | None:
    return next((record["path"] for record in group.sample if record["code"] == code), None)
