"""Runs one command and prints what it took as JSON: `python -I -S meter.py time|memory COMMAND...`.

A process of its own, and a small one: the kernel counts as a child's peak what its parent had when it was
started (getrusage(2)). The command's output goes through a pipe that is read to its end. With `memory` the
resident memory of the whole tree of processes is looked at every few milliseconds, which takes time: what
that says of seconds is of no use.
"""

import json
import os
import resource
import sys
import threading
import time

EVERY = 0.004
"""Seconds from look to look."""
TAIL = 1 << 16
"""Bytes of the end of the output that are kept."""


def family(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{task}/children", "rb") as file:
                    found += map(int, file.read().split())
        except OSError:
            continue  # it ended meanwhile
    return found


def field(pid: int, file: str, name: bytes) -> int:
    """Bytes that a line of a file in /proc/PID tells (proc(5)); 0 where the process is gone."""
    try:
        with open(f"/proc/{pid}/{file}", "rb") as lines:
            return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
    except OSError:
        return 0


class Watch(threading.Thread):
    """Keeps the largest sum of what the family of `pid` has resident, shared pages counted by their share (PSS).

    And the largest peak of one of them (VmHWM).
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.together, self.largest, self.done = pid, 0, 0, threading.Event()

    def run(self) -> None:
        while not self.done.is_set():
            members = family(self.pid)
            self.together = max(self.together, sum(field(pid, "smaps_rollup", b"Pss:") for pid in members))
            self.largest = max(self.largest, *(field(pid, "status", b"VmHWM:") for pid in members))
            self.done.wait(EVERY)


def main() -> None:
    kind, *command = sys.argv[1:]
    inlet, outlet = os.pipe()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, outlet, 1),
        (os.POSIX_SPAWN_CLOSE, outlet),
        (os.POSIX_SPAWN_CLOSE, inlet),
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    os.close(outlet)
    watch = Watch(pid)
    if kind == "memory":
        watch.start()
    length, tail = 0, b""
    while block := os.read(inlet, TAIL):
        length += len(block)
        tail = (tail + block)[-TAIL:]
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    watch.done.set()
    told = {
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "largest": usage.ru_maxrss * 1024 if usage.ru_maxrss > before else watch.largest,
        "tree": watch.together,
        "status": os.waitstatus_to_exitcode(status),
        "length": length,
        "last": tail.rstrip(b"\n").rpartition(b"\n")[2].decode("utf-8", "replace"),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
