"""How much memory may be used, and who says so.

The budget is the least of what the host has, every ancestor cgroup of version 1 and 2, the resource
limits of the process, and what the user allowed. Sources: proc(5), cgroups(7), the kernel's
admin-guide/cgroup-v2.rst ("Memory Interface Files") and cgroup-v1/memory.rst, getrlimit(2).
"""

import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from memx.engine.memory.cgroups import UNLIMITED, Cgroup, kilobytes, locate, read_file

_RLIMITS = (("RLIMIT_DATA", b"Max data size", b"VmData:"), ("RLIMIT_AS", b"Max address space", b"VmSize:"))


class Limit(NamedTuple):
    """One bound on memory: `limit` and `used` in bytes, and where it is written."""

    source: str
    """`host`, `cgroup-v1`, `cgroup-v2`, `rlimit` or `max-memory`."""
    name: str
    """What it is called there: `MemAvailable`, `memory.max`, `memory.high`, `RLIMIT_DATA` ..."""
    path: str | None
    """The file that says it; None where no file does."""
    limit: int
    used: int
    reclaimable: int = 0
    """What of `used` is page cache in active use: the kernel gives it up before it kills, but not gladly."""

    @property
    def available(self) -> int:
        """Bytes left below this limit."""
        return max(0, self.limit - self.used)

    @property
    def used_percent(self) -> float:
        """How much of the limit is used, 0.0 to 100.0."""
        return min(100.0, 100.0 * self.used / self.limit) if self.limit > 0 else 100.0


class Budget(NamedTuple):
    """All limits at one moment, and the one that leaves least."""

    limits: tuple[Limit, ...]
    binding: Limit

    @property
    def available(self) -> int:
        """Bytes that may still be taken."""
        return self.binding.available

    @property
    def used_percent(self) -> float:
        """How much of the binding limit is used, 0.0 to 100.0."""
        return self.binding.used_percent


class BudgetProbe:
    """Reads the budget of a process: this one, or the one of `pid`.

    Every `read` asks the kernel again, since limits change while a process runs, and processes move
    between cgroups. Only where the cgroups lie is remembered, until `/proc/PID/cgroup` says otherwise.
    `max_memory` is the user's bound in bytes on what `resident` counts (default: this process alone).
    `proc` and `sysfs` are where those file systems are mounted.
    """

    def __init__(
        self,
        *,
        pid: int | None = None,
        max_memory: int | None = None,
        resident: Callable[[], int] | None = None,
        proc: str = "/proc",
        root: str = "",
    ) -> None:
        self.max_memory = max_memory
        self._own = pid is None
        self._proc = proc
        self._folder = f"{proc}/{'self' if pid is None else pid}"
        self._root = root
        self._resident = resident
        self._membership: bytes | None = None
        self._cgroups: tuple[Cgroup, ...] = ()

    @property
    def cgroups(self) -> tuple[Cgroup, ...]:
        """The cgroups that the process is in and that tell of memory, innermost first."""
        membership = read_file(f"{self._folder}/cgroup")
        if membership != self._membership:
            self._cgroups = locate(membership, read_file(f"{self._proc}/self/mountinfo"), self._root)
            self._membership = membership
        return self._cgroups

    def read(self) -> Budget:
        """The budget now; some 100 us."""
        status = read_file(f"{self._folder}/status")
        limits = [self._host()]
        for cgroup in self.cgroups:
            limits.extend(_cgroup_limits(cgroup))
        limits.extend(self._rlimits(status))
        if self.max_memory is not None:
            used = kilobytes(status, b"VmRSS:") if self._resident is None else self._resident()
            limits.append(Limit("max-memory", "--max-memory", None, self.max_memory, used))
        return Budget(tuple(limits), min(limits, key=lambda limit: (limit.available, limit.limit)))

    def _host(self) -> Limit:
        path = f"{self._proc}/meminfo"
        text = read_file(path)
        total, available = kilobytes(text, b"MemTotal:"), kilobytes(text, b"MemAvailable:")
        if not total:
            return _portable_host()
        if not available:  # before Linux 3.14
            available = sum(kilobytes(text, name) for name in (b"MemFree:", b"Buffers:", b"Cached:"))
        return Limit("host", "MemAvailable", path, total, total - available)

    def _rlimits(self, status: bytes) -> list[Limit]:
        path = f"{self._folder}/limits"
        told = _own_rlimits() if self._own and self._proc == "/proc" else _told_rlimits(read_file(path))
        return [
            Limit("rlimit", name, path, told[name], kilobytes(status, counter))
            for name, _, counter in _RLIMITS
            if name in told
        ]


def _cgroup_limits(cgroup: Cgroup) -> list[Limit]:
    """What bounds `cgroup`: its usage is what cannot be given up at once, without the inactive page cache."""
    bounds = [(name, limit) for name, limit in cgroup.limits() if limit < UNLIMITED]
    if not bounds:
        return []
    used, active = cgroup.used()
    return [Limit(cgroup.source, name, f"{cgroup.folder}/{name}", limit, used, active) for name, limit in bounds]


def _own_rlimits() -> dict[str, int]:
    if sys.platform == "win32":
        return {}
    import resource

    told = {}
    for name, _, _ in _RLIMITS:
        soft, _ = resource.getrlimit(getattr(resource, name))
        if soft != resource.RLIM_INFINITY:
            told[name] = soft
    return told


def _told_rlimits(text: bytes) -> dict[str, int]:
    """The soft limits of /proc/PID/limits (proc(5)), those that are none left out."""
    told = {}
    for name, title, _ in _RLIMITS:
        at = text.find(title)
        soft = text[at + len(title) :].split(None, 1)[:1] if at >= 0 else []
        if soft and soft[0].isdigit():
            told[name] = int(soft[0])
    return told


def _portable_host() -> Limit:
    """Where there is no /proc/meminfo."""
    import psutil

    memory = psutil.virtual_memory()
    return Limit("host", "available", None, memory.total, memory.total - memory.available)


_probe = BudgetProbe()


def available_memory() -> int:
    """Bytes that this process may still take, by the least of all limits."""
    return _probe.read().available


_RECENT = 0.1
"""Seconds for which what was available is not asked for again, where file after file is planned."""
_last = (0.0, 0)


def recently_available() -> int:
    """`available_memory`, a moment ago at most: asking takes as long as reading a small file."""
    global _last  # noqa: PLW0603 - what the whole process may take
    now = time.monotonic()
    if now - _last[0] > _RECENT:
        _last = (now, available_memory())
    return _last[1]


def describe(limit: Limit) -> str:
    """Which limit it is, in words: `memory.max of /sys/fs/cgroup/jobs`, `RLIMIT_DATA`, `the memory of the host`."""
    if limit.source == "host":
        return "the memory of the host"
    if limit.source.startswith("cgroup") and limit.path is not None:
        return f"{limit.name} of {os.path.dirname(limit.path)}"
    return limit.name
