"""What extractions cost: figures by extractor, those that are a problem, and why."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from memx.engine.analysis.diagnosis import Diagnosis, Trace, Verdict, diagnose, examine
from memx.engine.analysis.prediction import predict_peak
from memx.units import format_size

MIB = 1 << 20
RECENT = 200
"""Runs of an extractor that are remembered one by one; older ones are in its sums."""
RATIO, RATIO_FROM = 3.0, 64 * MIB
"""Memory of more than so many times the file is a problem, from so many bytes on."""
FAILURES = 0.2


@dataclass(frozen=True, slots=True)
class ExtractionRun:
    """One run of one extractor; sizes in bytes, `error` the code of what it failed with."""

    extractor: str
    path: str
    file_size: int | None
    elapsed_s: float
    trace: Trace
    peak_exact: bool = True
    error: str | None = None

    @property
    def ratio(self) -> float | None:
        """What the run took, in sizes of its file."""
        return self.trace.grown / self.file_size if self.file_size else None


@dataclass
class _Profile:
    """The sums of one extractor."""

    runs: int = 0
    failures: int = 0
    over_memory: int = 0
    elapsed: float = 0.0
    peak: int = 0
    peak_path: str = ""
    peaks: int = 0
    growths: int = 0
    ratio: float = 0.0
    ratios: float = 0.0
    sized: int = 0
    exact: bool = True
    recent: deque[ExtractionRun] = field(default_factory=lambda: deque(maxlen=RECENT))

    def add(self, run: ExtractionRun) -> None:
        self.runs += 1
        self.failures += run.error is not None
        self.over_memory += run.error == "over-memory"
        self.elapsed += run.elapsed_s
        if run.trace.peak > self.peak:
            self.peak, self.peak_path = run.trace.peak, run.path
        self.peaks += run.trace.peak
        self.growths += run.trace.grown
        self.exact &= run.peak_exact
        if run.ratio is not None:
            self.ratio = max(self.ratio, run.ratio)
            self.ratios += run.ratio
            self.sized += 1
        self.recent.append(run)

    def figures(self) -> dict[str, Any]:
        runs = self.runs or 1
        return {
            "runs": self.runs,
            "failures": self.failures,
            "elapsed_s": round(self.elapsed, 6),
            "mean_s": round(self.elapsed / runs, 6),
            "peak_memory_mb": round(self.peak / MIB, 3),
            "average_memory_mb": round(self.peaks / runs / MIB, 3),
            "average_growth_mb": round(self.growths / runs / MIB, 3),
            "peak_path": self.peak_path,
            "peak_exact": self.exact,
            "memory_ratio": round(self.ratios / self.sized, 4) if self.sized else None,
            "highest_ratio": round(self.ratio, 4) if self.sized else None,
        }


class MemoryAnalyzer:
    """Gathers runs, and reports on them. Memory is bounded: sums, and the last 200 runs of an extractor.

    Safe under threads; but memory is a process's, so of runs side by side each bears the growth of all.
    """

    def __init__(self) -> None:
        self._profiles: dict[str, _Profile] = {}
        self._lock = threading.RLock()

    def record(self, run: ExtractionRun) -> None:
        """Takes one run into account."""
        with self._lock:
            self._profiles.setdefault(run.extractor, _Profile()).add(run)

    def runs(self, extractor: str) -> tuple[ExtractionRun, ...]:
        """The last runs of an extractor, oldest first; none for one that never ran."""
        with self._lock:
            profile = self._profiles.get(extractor)
            return tuple(profile.recent) if profile else ()

    def get_extractor_stats(self, extractor: str) -> dict[str, Any]:
        """The figures of one extractor, sizes in MiB; those of no run for one that never ran."""
        with self._lock:
            return self._profiles.get(extractor, _Profile()).figures()

    def diagnose(self, extractor: str) -> Diagnosis:
        """What the runs of an extractor leave behind; `examine` looks closer."""
        return diagnose([run.trace for run in self.runs(extractor)])

    def examine(self, function: Callable[[], object], runs: int = 8) -> Diagnosis:
        """Runs `function` again and again to tell what it leaves behind; see `diagnosis.examine`."""
        return examine(function, runs)

    def predict_peak(self, extractor: str, size: int | None) -> int | None:
        """How far a run over a file of `size` bytes will rise, in bytes; None for an extractor never seen."""
        runs = [run for run in self.runs(extractor) if run.error is None and run.file_size is not None]
        return predict_peak([run.file_size or 0 for run in runs], [run.trace.grown for run in runs], size)

    def get_problematic_extractors(self) -> list[dict[str, Any]]:
        """The extractors that are a problem: `extractor`, `reason`, `verdict` and the `evidence`, worst first."""
        with self._lock:
            names = sorted(self._profiles, key=lambda name: (-self._profiles[name].peak, name))
            return [problem for name in names for problem in self._problems(name)]

    def generate_report(self) -> dict[str, Any]:
        """All of it, as JSON has it; sizes in MiB, as their names say."""
        with self._lock:
            profiles = {name: self._profiles[name].figures() for name in sorted(self._profiles)}
            runs = sum(profile.runs for profile in self._profiles.values())
            sized = sum(profile.sized for profile in self._profiles.values())
            ratios = sum(profile.ratios for profile in self._profiles.values())
            return {
                "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "total_extractions": runs,
                "failures": sum(profile.failures for profile in self._profiles.values()),
                "peak_memory_mb": max((figures["peak_memory_mb"] for figures in profiles.values()), default=0.0),
                "average_memory_mb": round(sum(p.peaks for p in self._profiles.values()) / (runs or 1) / MIB, 3),
                "memory_ratio": round(ratios / sized, 4) if sized else None,
                "extractors": profiles,
                "problematic_extractors": self.get_problematic_extractors(),
            }

    def clear(self) -> None:
        """Forgets all runs."""
        with self._lock:
            self._profiles.clear()

    def _problems(self, name: str) -> list[dict[str, Any]]:
        profile, diagnosis = self._profiles[name], self.diagnose(name)
        found: list[tuple[str, dict[str, Any]]] = []
        if profile.over_memory:
            found.append(
                (
                    f"{profile.over_memory} of {profile.runs} runs ran out of memory",
                    {"over_memory": profile.over_memory},
                )
            )
        elif profile.failures > FAILURES * profile.runs:
            found.append((f"{profile.failures} of {profile.runs} runs failed", {"failures": profile.failures}))
        if diagnosis.verdict is not Verdict.STEADY:
            found.append((diagnosis.reason, diagnosis.evidence))
        greedy = max(
            (run for run in profile.recent if (run.ratio or 0) > RATIO and run.trace.grown >= RATIO_FROM),
            key=lambda run: run.ratio or 0,
            default=None,
        )
        if greedy is not None and greedy.ratio is not None:
            found.append(
                (
                    f"{greedy.path} took {format_size(greedy.trace.grown)}, {greedy.ratio:.1f} times its size",
                    {"path": greedy.path, "growth": greedy.trace.grown, "file_size": greedy.file_size},
                )
            )
        return [
            {"extractor": name, "reason": reason, "verdict": str(diagnosis.verdict), "evidence": evidence}
            for reason, evidence in found
        ]
