"""Any callable under memory management: a strategy, the collector set for it, measured, all put back."""

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, TypeVar

from memx.engine.analysis.analyzer import ExtractionRun, MemoryAnalyzer
from memx.engine.analysis.diagnosis import NOTICEABLE, Trace, settle
from memx.engine.collector.growth import GrowthWatch
from memx.engine.collector.optimizer import GarbageCollectionOptimizer
from memx.engine.collector.pauses import PauseStats
from memx.engine.memory.budget import BudgetProbe
from memx.engine.memory.process import PeakMeter, resident
from memx.engine.memory.strategy import ExtractionStrategy, StrategyPlan, plan_for
from memx.errors import MemxError, OverMemory
from memx.units import format_size

T = TypeVar("T")
MIB = 1 << 20


class MemoryEfficientExtractor(Generic[T]):
    """Runs `func(path)` under the strategy that the file and the memory available call for.

    ::

        result, metrics = MemoryEfficientExtractor(extract, "scan.h5").extract_with_optimization()

    `strategy` overrides the choice; `max_memory` is the user's bound in bytes, which the choice heeds;
    `analyzer` is told of the run. The collector is as before when the call returns or raises. Under the
    aggressive strategy it also comes when resident memory has grown by 64 MiB, in a thread of its own: its high
    thresholds alone would let cycles that hold bytes pile up.
    """

    def __init__(
        self,
        func: Callable[..., T],
        path: str | os.PathLike[str],
        *,
        strategy: ExtractionStrategy | None = None,
        max_memory: int | None = None,
        analyzer: MemoryAnalyzer | None = None,
        optimizer: GarbageCollectionOptimizer | None = None,
        name: str | None = None,
    ) -> None:
        self.func = func
        self.path = path
        self.name: str = name or getattr(func, "__qualname__", None) or type(func).__qualname__
        self._override = strategy
        self._probe = BudgetProbe(max_memory=max_memory)
        self._analyzer = analyzer
        self._optimizer = optimizer or GarbageCollectionOptimizer()
        self.metrics: dict[str, Any] = {}
        """Of the last run, also of one that raised."""

    def plan(self) -> StrategyPlan:
        """How the extraction would be run now, and why."""
        return plan_for(self._file_size(), self._probe.read().available, self._override)

    def extract_with_optimization(self, *args: Any, **kwargs: Any) -> tuple[T, dict[str, Any]]:
        """What `func(path, *args, **kwargs)` returns, and what it cost.

        The metrics, sizes in bytes where the name does not say: `extractor`, `path`, `file_size`, `strategy`,
        `reason`, `available`, `predicted_peak`, `elapsed_s`, `peak_rss`, `peak_rss_delta`, `peak_exact`,
        `peak_memory_mb`, `memory_ratio`, `gc`. What `func` raises is raised, but a MemoryError as OverMemory.
        """
        plan = self.plan()
        size = self._file_size()
        predicted = self._analyzer.predict_peak(self.name, size) if self._analyzer else None
        meter, error = PeakMeter(), None
        with self._optimizer.applied(plan.strategy), _watch(plan), self._optimizer.measured() as pauses:
            meter.start()
            began = time.monotonic()
            try:
                result = self.func(self.path, *args, **kwargs)
            except MemoryError as exc:
                error = OverMemory.code
                raise OverMemory(self._too_little(plan)) from exc
            except BaseException as exc:
                error = exc.code if isinstance(exc, MemxError) else type(exc).__name__
                raise
            finally:
                elapsed = time.monotonic() - began
                trace = self._trace(meter)
                self.metrics = self._metrics(plan, trace, elapsed, meter.exact, pauses.stats, size, predicted)
                self._record(trace, elapsed, meter.exact, size, error)
        return result, self.metrics

    def _trace(self, meter: PeakMeter) -> Trace:
        """What the run leaves behind; where that is much, all that can be is given back now."""
        peak, after = meter.peak(), resident()
        return (
            settle(meter.began_at, peak) if after - meter.began_at >= NOTICEABLE else Trace(meter.began_at, peak, after)
        )

    def _metrics(
        self,
        plan: StrategyPlan,
        trace: Trace,
        elapsed: float,
        exact: bool,
        pauses: PauseStats,
        size: int | None,
        predicted: int | None,
    ) -> dict[str, Any]:
        return {
            "extractor": self.name,
            "path": os.fspath(self.path),
            "file_size": size,
            "strategy": str(plan.strategy),
            "reason": plan.reason,
            "available": plan.available,
            "predicted_peak": predicted,
            "elapsed_s": round(elapsed, 6),
            "peak_rss": trace.peak,
            "peak_rss_delta": trace.grown,
            "peak_exact": exact,
            "peak_memory_mb": round(trace.peak / MIB, 3),
            "memory_ratio": round(trace.grown / size, 4) if size else None,
            "gc": pauses.as_dict(),
        }

    def _record(self, trace: Trace, elapsed: float, exact: bool, size: int | None, error: str | None) -> None:
        if self._analyzer is not None:
            path = os.fspath(self.path)
            self._analyzer.record(ExtractionRun(self.name, path, size, elapsed, trace, exact, error))

    def _file_size(self) -> int | None:
        try:
            return os.path.getsize(self.path) if os.path.isfile(self.path) else None
        except OSError:
            return None

    def _too_little(self, plan: StrategyPlan) -> str:
        return f"{self.name} ran out of memory: {format_size(plan.available)} were available when it began"


def _watch(plan: StrategyPlan) -> AbstractContextManager[object]:
    return GrowthWatch() if plan.strategy is ExtractionStrategy.AGGRESSIVE else nullcontext()
