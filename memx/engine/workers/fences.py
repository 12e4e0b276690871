"""A memory cgroup of a worker's own, where the tree is writable: what it starts and what it maps is held there too.

Sources: cgroups(7), admin-guide/cgroup-v2.rst ("No Internal Process Constraint"), cgroup-v1/memory.rst of the kernel.
"""

import itertools
import os

from memx.engine.memory.cgroups import Cgroup, locate, read_file

_LIMIT = {"cgroup-v1": "memory.limit_in_bytes", "cgroup-v2": "memory.max"}
_ROOM = 8 << 20
"""Bytes above what may be resident: page tables, pipes and stacks of the kernel are charged to the cgroup too."""
_PREFIX = "memx-"
_numbers = itertools.count(1)


class Fence:
    """The cgroup of one worker. `fence` makes it."""

    def __init__(self, cgroup: Cgroup) -> None:
        self._cgroup = cgroup
        self._limit = 0

    def enclose(self, pid: int) -> bool:
        """Puts a process into it, and what that will start; whether that could be done."""
        return _write(f"{self._cgroup.folder}/cgroup.procs", pid)

    def limit(self, allowance: int) -> None:
        """Lets those inside have so many bytes resident."""
        if allowance != self._limit:
            _write(f"{self._cgroup.folder}/{_LIMIT[self._cgroup.source]}", allowance + _ROOM)
            self._limit = allowance

    def oom_kills(self) -> int:
        """How many processes the kernel killed inside for want of memory."""
        return self._cgroup.oom_kills()

    def remove(self) -> None:
        """Removes it, when nothing runs inside any more."""
        try:
            os.rmdir(self._cgroup.folder)
        except OSError:
            pass  # something is still dying there: the next run removes it


def fence() -> Fence | None:
    """A new cgroup below that of this process; None where none can be made."""
    here = locate(read_file("/proc/self/cgroup"), read_file("/proc/self/mountinfo"))
    for cgroup in here[:1]:
        number = next(_numbers)
        if number == 1:
            _sweep(cgroup.folder)
        child = Cgroup(cgroup.source, f"{cgroup.folder}/{_PREFIX}{os.getpid()}-{number}")
        try:
            os.mkdir(child.folder)
        except OSError:
            return None
        made = f"{child.folder}/{_LIMIT[child.source]}"
        if not os.path.exists(made):
            _write(f"{cgroup.folder}/cgroup.subtree_control", "+memory")
        if os.access(made, os.W_OK):
            return Fence(child)
        Fence(child).remove()
    return None


def _sweep(folder: str) -> None:
    """Removes what runs that were killed have left."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        pid = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
            try:
                os.rmdir(f"{folder}/{name}")
            except OSError:
                pass


def _write(path: str, value: int | str) -> bool:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(str(value))
    except OSError:
        return False
    return True
