"""The pieces behind one object, and the one object of a process."""

import os
import threading
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self, TypeVar

from memx.engine.analysis.analyzer import MemoryAnalyzer
from memx.engine.collector.optimizer import GarbageCollectionOptimizer
from memx.engine.extraction import MemoryEfficientExtractor
from memx.engine.memory.budget import BudgetProbe
from memx.engine.memory.buffers import MemoryResourcePool
from memx.engine.memory.chunks import AdaptiveChunkSizer
from memx.engine.memory.monitor import MIB, MemoryMonitor
from memx.engine.memory.pressure import PressureLadder

T = TypeVar("T")


class MemoryManagementAgent:
    """Monitor, analyzer, collector, buffers and chunk sizes of one process.

    `max_memory` bounds it, in bytes. Nothing runs in the background until `monitor.start_monitoring()`.
    Close it when done, or use it as a context manager.
    """

    def __init__(self, max_memory: int | None = None) -> None:
        self.max_memory = max_memory
        self.monitor = MemoryMonitor(max_memory=max_memory)
        self.analyzer = MemoryAnalyzer()
        self.gc_optimizer = GarbageCollectionOptimizer()
        probe = BudgetProbe(max_memory=max_memory)
        self.buffer_pool = MemoryResourcePool(available=lambda: probe.read().available)
        self.chunk_sizer = AdaptiveChunkSizer(available=lambda: probe.read().available)
        self.ladder = PressureLadder(sizers=[self.chunk_sizer], pools=[self.buffer_pool], probe=probe)

    def get_memory_status(self) -> dict[str, Any]:
        """The memory now, as JSON has it; sizes in MiB as their names say, those of `current_snapshot` in bytes."""
        snapshot = self.monitor.get_current_snapshot()
        return {
            "memory_level": str(snapshot.level),
            "available_mb": snapshot.available / MIB,
            "used_percent": snapshot.used_percent,
            "rss_mb": snapshot.rss / MIB,
            "peak_mb": snapshot.peak / MIB,
            "peak_exact": snapshot.peak_exact,
            "limit_mb": snapshot.limit / MIB,
            "limit_source": snapshot.limit_source,
            "limit_name": snapshot.limit_name,
            "limit_path": snapshot.limit_path,
            "current_snapshot": asdict(snapshot),
        }

    def get_analysis_report(self) -> dict[str, Any]:
        """The analyzer's report with `memory_status`, `gc_config` and `buffer_pool_stats`."""
        return self.analyzer.generate_report() | {
            "memory_status": self.get_memory_status(),
            "gc_config": self.gc_optimizer.get_current_config(),
            "buffer_pool_stats": self.buffer_pool.get_stats(),
        }

    def execute_extraction(
        self, file_path: str | os.PathLike[str], extraction_func: Callable[..., T], *args: Any, **kwargs: Any
    ) -> T:
        """What `extraction_func(file_path, ...)` returns, run under memory management; the analyzer has its figures.

        Where memory is high, what can be given back is given back first. What the function raises is raised,
        but a MemoryError as OverMemory.
        """
        self.ladder.poll()
        extractor = MemoryEfficientExtractor(
            extraction_func,
            file_path,
            max_memory=self.max_memory,
            analyzer=self.analyzer,
            optimizer=self.gc_optimizer,
        )
        return extractor.extract_with_optimization(*args, **kwargs)[0]

    def optimize_all(self) -> dict[str, Any]:
        """Gives back all that can be: idle buffers, cycles, the allocator's free pages.

        Returns `freed_mb`, what of that each of `steps` gave back, and `memory_level` afterwards.
        """
        steps = self.ladder.climb()
        self.chunk_sizer.relax()
        return {
            "freed_mb": sum(step.freed for step in steps if step.name != "shrink-chunks") / MIB,
            "steps": [asdict(step) for step in steps],
            "memory_level": str(self.monitor.get_current_snapshot().level),
        }

    def close(self) -> None:
        """Stops the monitor, drops the buffers, and leaves the collector as it was found. Twice is no error."""
        self.monitor.stop_monitoring()
        self.buffer_pool.close()
        self.gc_optimizer.reset_to_default()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Holder:
    """Holds the agent of this process, and the lock over it."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """As new: no agent."""
        self.lock = threading.RLock()
        self.agent: MemoryManagementAgent | None = None


_holder = _Holder()


def get_memory_agent() -> MemoryManagementAgent:
    """The agent of this process, made at the first call. A forked child gets one of its own."""
    with _holder.lock:
        if _holder.agent is None:
            _holder.agent = MemoryManagementAgent()
        return _holder.agent


def cleanup_memory_agent() -> None:
    """Closes the agent of this process, if there is one; the next `get_memory_agent` makes another."""
    with _holder.lock:
        agent, _holder.agent = _holder.agent, None
    if agent is not None:
        agent.close()


if hasattr(os, "register_at_fork"):
    # the lock may be held by a thread that does not exist in the child, and so may those of the agent's parts
    os.register_at_fork(after_in_child=_holder.renew)
