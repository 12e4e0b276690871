"""What a job may use up: two clocks and a scale, read from outside, so that nothing in the worker can deceive them."""

import os

from memx.engine.memory.cgroups import read_file
from memx.engine.memory.process import resident_of
from memx.engine.options import StreamOptions
from memx.engine.workers.jobs import Why

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_EVERY = 0.1
"""Seconds between two weighings."""
_IDLE = 0.01
"""Of a second: who computes less than this in one does nothing."""
_ROOM = 1.02
"""The kernel refuses what is above the allowance; what gets past it (mapped files, child processes) is killed here."""
_CHILDREN_MOST = 256


class Watch:
    """The watch over one worker."""

    def __init__(self, pid: int, options: StreamOptions) -> None:
        self.number = 0
        """The job that is watched."""
        self.allowance: int | None = None
        """Bytes that the worker and what it started may keep resident."""
        self._pid = pid
        self._timeout, self._stall = options.timeout, options.stall
        self._next_look = 0.0
        self._used = (0.0, 0)
        self._used_at = 0.0

    def verdict(self, number: int, since: float, now: float) -> Why | None:
        """Why the job in hand is to end, which was begun at `since`; None: it may go on. Both `time.monotonic`."""
        if number != self.number:
            self.number, self._used, self._used_at = number, self._usage(), now
        if not number:
            return None
        if self._timeout is not None and now - since > self._timeout:
            return Why.TIME_IS_UP
        if now < self._next_look:
            return None
        self._next_look = now + _LOOK_EVERY
        if self.allowance is not None and self.memory() > self.allowance * _ROOM:
            return Why.TOO_FAT
        if self._stall is not None and self._stalled(now):
            return Why.STALLED
        return None

    def memory(self) -> int:
        """Bytes that the worker and what it started keep resident, as far as they can be found."""
        pids, total = [self._pid], 0
        for pid in pids:  # grows while it is walked
            total += resident_of(pid)
            if len(pids) < _CHILDREN_MOST:
                pids += _children(pid)
        return total

    def _stalled(self, now: float) -> bool:
        assert self._stall is not None
        computed, read = self._usage()
        passed = now - self._used_at
        if read != self._used[1] or computed - self._used[0] > _IDLE * max(1.0, passed):
            self._used, self._used_at = (computed, read), now
        return passed > self._stall and self._used_at != now

    def _usage(self) -> tuple[float, int]:
        """Seconds that the worker has computed, and bytes that it has read."""
        if self._stall is None:
            return 0.0, 0
        times = read_file(f"/proc/{self._pid}/stat").rpartition(b")")[2].split()
        computed = sum(map(int, times[11:13])) / _TICKS if len(times) > 12 else 0.0
        read = read_file(f"/proc/{self._pid}/io").split(b"\n", 1)[0].rpartition(b" ")[2]
        return computed, int(read) if read.isdigit() else 0


def _children(pid: int) -> list[int]:
    """The processes that one has started and that are its children (proc_pid_task(5))."""
    found = read_file(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.split()]
