"""What `memx status` says: the memory that there is, what bounds it, and who takes it."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from memx.engine.collector.optimizer import GarbageCollectionOptimizer
from memx.engine.memory.budget import Budget
from memx.engine.memory.levels import MemoryLevel
from memx.engine.memory.monitor import MemoryMonitor, MemorySnapshot
from memx.engine.memory.processes import largest_processes
from memx.records import Record, display_path

PROCESSES = 8
"""So many of the largest processes are named."""


class StatusReader:
    """Reads the `status` record of this process, or of `pid`.

    `read` raises SourceNotFound where there is no such process. The seams are for tests.
    """

    def __init__(
        self,
        pid: int | None = None,
        *,
        monitor: MemoryMonitor | None = None,
        processes: Callable[[int], list[dict[str, Any]]] = largest_processes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pid = pid
        self._monitor = monitor or MemoryMonitor(pid=pid)
        self._processes = processes
        self._clock = clock

    def read(self, *, uss: bool = False) -> Record:
        """The memory now; with `uss` the unique set size too, for which the kernel walks every mapping."""
        snapshot, budget = self._monitor.get_current_snapshot(uss=uss), self._monitor.budget()
        return {
            "type": "status",
            **self._stamp(),
            **_plain(snapshot),
            "limits": _limits(budget),
            # that of another process cannot be seen
            "collector": _collector() if self._pid is None else None,
            "processes": self._processes(PROCESSES),
        }

    def _stamp(self) -> dict[str, Any]:
        now = datetime.fromtimestamp(self._clock(), UTC)
        return {"time": now.isoformat(timespec="milliseconds"), "pid": self._pid or os.getpid()}


def _plain(snapshot: MemorySnapshot) -> dict[str, Any]:
    members = asdict(snapshot) | {"level": str(snapshot.level), "used_percent": round(snapshot.used_percent, 2)}
    del members["timestamp"]  # of a clock that means nothing to others
    if snapshot.limit_path is not None:
        members["limit_path"] = display_path(snapshot.limit_path)
    return members


def _limits(budget: Budget) -> list[dict[str, Any]]:
    """Every limit, the one that leaves least first."""
    ordered = sorted(budget.limits, key=lambda limit: (limit is not budget.binding, limit.available))
    return [
        {
            "source": limit.source,
            "name": limit.name,
            "path": limit.path and display_path(limit.path),
            "limit": limit.limit,
            "used": limit.used,
            "available": limit.available,
        }
        for limit in ordered
    ]


def _collector() -> dict[str, Any]:
    config = GarbageCollectionOptimizer().get_current_config()
    return {"kind": config.pop("collector"), **config}


class Alarm:
    """Tells the changes of the level that concern `level` and above, the return from there included."""

    _MEMBERS = (
        *("time", "pid", "available", "used_percent", "rss"),
        *("limit", "limit_source", "limit_name", "limit_path"),
    )

    def __init__(self, level: MemoryLevel) -> None:
        self._level = level
        self._before: MemoryLevel | None = None

    def check(self, status: Record) -> Record | None:
        """The `alert` record of a change since the `status` before; at the first, of a level that is high already."""
        now, before = MemoryLevel(status["level"]), self._before
        self._before = now
        raised = now.rank >= self._level.rank
        if now is before or not (raised or (before is not None and before.rank >= self._level.rank)):
            return None
        about = {"level": str(now), "before": before and str(before), "raised": raised}
        return {"type": "alert", **about, **{name: status[name] for name in self._MEMBERS}}
