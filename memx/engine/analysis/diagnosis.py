"""Why memory stays: a leak, the allocator's keeping, garbage in cycles, or one high peak.

What one run leaves behind is told apart by what gives it back: pages that fall at `malloc_trim(3)` were
the allocator's, what falls at a collection was kept by cycles, and what stays, run after run, leaks. A
leak is growth that goes on, so slopes are compared and not sizes (the way of psleak).
"""

import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from memx.engine.memory.pressure import heap_trim
from memx.engine.memory.process import PeakMeter, resident
from memx.units import format_size

MIB = 1 << 20
LEAK_STEP = 64 << 10
"""Bytes a run that must stay, on the mean, before it is called a leak: the measure is pages."""
NOTICEABLE = 8 * MIB
_FEWEST_FOR_SLOPE = 5
_OUTLIER = 3.0


class Verdict(StrEnum):
    """What the memory that runs leave behind is."""

    LEAK = "leak"
    ALLOCATOR = "allocator-retention"
    CYCLES = "cycle-garbage"
    ONE_OFF = "one-off-peak"
    STEADY = "steady"


@dataclass(frozen=True, slots=True)
class Trace:
    """Resident memory around one run, in bytes."""

    before: int
    peak: int
    after: int
    trimmed: int | None = None
    """After `heap_trim`; None where nobody looked."""
    collected: int | None = None
    """After a collection and another `heap_trim`."""

    @property
    def grown(self) -> int:
        """How far the run rose above where it began."""
        return max(0, self.peak - self.before)

    @property
    def left(self) -> int:
        """What the run leaves behind when all that can be given back was."""
        settled = self.after if self.collected is None else self.collected
        return settled - self.before


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A verdict, in one sentence, and the figures (bytes) that it rests on."""

    verdict: Verdict
    reason: str
    evidence: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def diagnose(traces: Sequence[Trace]) -> Diagnosis:
    """What the runs of one extractor, in order, leave behind, and why."""
    evidence = _evidence(traces)
    step, kept, cycles = evidence["left_per_run"], evidence["freed_by_trim"], evidence["freed_by_collection"]
    if evidence["goes_on"]:
        reason = f"every run leaves {format_size(step)} behind that nothing gives back, and it goes on"
        return Diagnosis(Verdict.LEAK, reason, evidence)
    if max(kept, cycles) >= NOTICEABLE:
        if cycles >= kept:
            reason = f"{format_size(cycles)} a run were kept by reference cycles until the collector came"
            return Diagnosis(Verdict.CYCLES, reason, evidence)
        reason = f"{format_size(kept)} a run were free, and kept by the allocator until it was trimmed"
        return Diagnosis(Verdict.ALLOCATOR, reason, evidence)
    highest, usual = evidence["highest_growth"], evidence["median_growth"]
    if len(traces) > 1 and highest >= NOTICEABLE and highest > _OUTLIER * usual:
        reason = f"one run rose by {format_size(highest)}, the others by {format_size(usual)}, and gave it back"
        return Diagnosis(Verdict.ONE_OFF, reason, evidence)
    return Diagnosis(Verdict.STEADY, "what a run takes, it gives back", evidence)


def _evidence(traces: Sequence[Trace]) -> dict[str, Any]:
    growths = [trace.grown for trace in traces]
    looked = [
        (trace.after - trace.trimmed, trace.trimmed - trace.collected)
        for trace in traces
        if trace.trimmed is not None and trace.collected is not None
    ]
    left = [trace.left for trace in traces[1:]]  # the first run fills caches and imports
    half = len(left) // 2
    late = left[half:]
    step = round(statistics.fmean(late)) if late else 0
    goes_on = (
        len(traces) >= _FEWEST_FOR_SLOPE
        and step >= LEAK_STEP
        and sum(late) * 2 >= sum(left[:half])
        and sum(value > 0 for value in late) * 4 >= len(late) * 3
    )
    return {
        "runs": len(traces),
        "highest_growth": max(growths, default=0),
        "median_growth": round(statistics.median(growths)) if growths else 0,
        "left_per_run": step,
        "goes_on": goes_on,
        "freed_by_trim": max(0, round(statistics.fmean(t for t, _ in looked))) if looked else 0,
        "freed_by_collection": max(0, round(statistics.fmean(c for _, c in looked))) if looked else 0,
    }


def settle(before: int, peak: int) -> Trace:
    """The trace of a run that has just ended: trims, collects and trims, and looks after each."""
    after = resident()
    heap_trim()
    trimmed = resident()
    gc.collect()
    heap_trim()
    return Trace(before, peak, after, trimmed, resident())


def examine(function: Callable[[], object], runs: int = 8) -> Diagnosis:
    """Runs `function` again and again, drops what it returns, and says what stays behind.

    No automatic collection runs meanwhile. What `function` raises is raised.
    """
    from memx.engine.collector.optimizer import GarbageCollectionOptimizer

    gc.collect()
    heap_trim()
    traces = []
    with GarbageCollectionOptimizer().protected():
        for _ in range(runs):
            meter = PeakMeter()
            meter.start()
            function()
            traces.append(settle(meter.began_at, meter.peak()))
    return diagnose(traces)
