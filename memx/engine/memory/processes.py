"""The largest processes that can be seen from here."""

import os
from heapq import nlargest
from typing import Any

from memx.engine.memory.cgroups import read_file
from memx.engine.memory.process import resident_of
from memx.records import text

_COMMAND = 200
"""Bytes of a command line that are told."""


def largest_processes(count: int, proc: str = "/proc") -> list[dict[str, Any]]:
    """The `count` processes with the most resident memory: `pid`, `rss` in bytes, `name`, `command`."""
    if not os.path.exists(f"{proc}/self/status"):
        return _portable(count)
    # kernel threads have no memory of their own, and those that end meanwhile no status
    found = ((resident, pid) for pid in _pids(proc) if (resident := resident_of(pid, proc)))
    return [_described(proc, pid, resident) for resident, pid in nlargest(count, found)]


def _pids(proc: str) -> list[int]:
    return [int(name) for name in os.listdir(proc) if name.isdigit()]


def _described(proc: str, pid: int, resident: int) -> dict[str, Any]:
    arguments = read_file(f"{proc}/{pid}/cmdline")[:_COMMAND].rstrip(b"\0").replace(b"\0", b" ")
    name = read_file(f"{proc}/{pid}/comm").rstrip(b"\n")
    return {"pid": pid, "rss": resident, "name": text(name), "command": text(arguments) or None}


def _portable(count: int) -> list[dict[str, Any]]:
    """Where there is no /proc."""
    import psutil

    found = []
    for process in psutil.process_iter(["pid", "name", "memory_info"]):
        memory = process.info["memory_info"]
        if memory is not None:  # None where it may not be read
            found.append({"pid": process.pid, "rss": memory.rss, "name": process.info["name"], "command": None})
    return nlargest(count, found, key=lambda about: about["rss"])
