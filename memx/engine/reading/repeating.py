"""One source read again and again in one process, to tell what each reading leaves behind.

It is read with rising counts, once more as often while it looks like a leak: caches fill and stop to grow, a leak
goes on (the way of psleak). See `memx.engine.analysis.diagnosis`.
"""

from collections.abc import Callable, Generator
from typing import Any

from memx.engine.analysis.diagnosis import LEAK_STEP, Diagnosis, Trace, Verdict, diagnose, settle
from memx.engine.analysis.statistics import slope
from memx.engine.reading.documents import Extraction
from memx.errors import LimitError, MemxError, OverMemory, TimedOut
from memx.records import Record

FEWEST = 8
"""Readings that a verdict takes."""
_ROUNDS = 3
"""What looks like a leak is read so many times as often."""
_STOPPED = (OverMemory.code, TimedOut.code)


def repeated(first: Extraction, again: Callable[[], Extraction], runs: int) -> Generator[Record | bytes]:
    """The record of the `first` reading, without its `metadata`; its `metrics` tell in `repeat` what all left behind.

    `again` makes the next reading. Where the time or the memory is up, the verdict is None.
    """
    traces: list[Trace] = []
    record: Record | None = None
    code = None
    try:
        for most in range(max(runs, FEWEST), _ROUNDS * max(runs, FEWEST) + 1, max(runs, FEWEST)):
            while len(traces) < most and code not in _STOPPED:
                trace, last = _one(again if traces else lambda: first)
                traces.append(trace)
                record, code = record or last, last["code"]
            if code in _STOPPED or diagnose(traces).verdict is not Verdict.LEAK:
                break
    except (LimitError, MemoryError) as exc:
        limit: MemxError = exc if isinstance(exc, MemxError) else OverMemory("memory ran out over the repetitions")
        record, code = record or first.lost(limit, _nothing()), limit.code
    assert record is not None
    record["metrics"]["repeat"] = (
        {"verdict": None, "runs": len(traces), "reason": "it was not read often enough", "evidence": {}}
        if code in _STOPPED
        else verdict_of(traces)
    )
    yield record


def verdict_of(traces: list[Trace]) -> dict[str, Any]:
    """What the readings leave behind, as JSON has it: `bytes_per_call` is what the verdict is about."""
    found = _sure(diagnose(traces), traces)
    evidence = found.evidence
    by_verdict = {
        Verdict.LEAK: round(evidence["rise_per_run"]["estimate"]),
        Verdict.CYCLES: evidence["freed_by_collection"],
        Verdict.ALLOCATOR: evidence["freed_by_trim"],
        Verdict.ONE_OFF: evidence["highest_growth"],
    }
    return {
        "verdict": str(found.verdict),
        "runs": len(traces),
        "bytes_per_call": by_verdict.get(found.verdict, 0),
        "reason": found.reason,
        "evidence": evidence,
    }


def _sure(found: Diagnosis, traces: list[Trace]) -> Diagnosis:
    """`found`; a leak only where what is resident surely rises with the number of readings."""
    after = [trace.before + trace.left for trace in traces[1:]]
    rise = slope(range(len(after)), after)
    found.evidence["rise_per_run"] = rise.as_dict()
    if found.verdict is Verdict.LEAK and (rise.low <= 0 or rise.estimate < LEAK_STEP):
        return Diagnosis(Verdict.STEADY, "what stays behind does not rise with the number of readings", found.evidence)
    return found


def _one(extraction: Callable[[], Extraction]) -> tuple[Trace, Record]:
    (record,) = extraction().records()
    record["metadata"] = None  # nobody reads it, and what it takes is not left behind
    metrics = record["metrics"]  # what was imported for it was there before it began
    return settle(metrics["peak_rss"] - metrics["peak_rss_delta"], metrics["peak_rss"]), record


def _nothing() -> dict[str, Any]:
    from memx.engine.workers.jobs import NOTHING

    return dict(NOTHING)
