"""What this process uses, as the kernel counts it: resident memory, its peak, and bytes read (proc(5))."""

import os
import sys
import threading
import weakref

from memx.engine.memory.cgroups import field, kilobytes, read_file


class PeakMeter:
    """The peak resident memory of this process from `start` on, in bytes.

    Where the kernel lets the high-water mark be reset (Linux: `5` to `clear_refs`, proc(5)), the peak is
    its count and `exact`; elsewhere it is the process's whole life's, or a sample, and not exact. Meters
    may overlap: one that starts hands the mark that it wipes out to those that run.
    """

    def __init__(self) -> None:
        self.exact = False
        self.began_at = 0
        self._seen = 0

    def start(self) -> None:
        """Begins to measure: the peak falls to what is resident now."""
        with _running.lock:
            status = read_file("/proc/self/status")
            mark = kilobytes(status, b"VmHWM:") or _maximum_rss()
            for meter in _running.meters:
                meter._seen = max(meter._seen, mark)
            self._seen = self.began_at = kilobytes(status, b"VmRSS:") or _maximum_rss()
            # a mark that is where it would fall to need not be reset, which takes as long as reading a small file
            self.exact = (b"VmHWM:" in status and mark <= self.began_at) or _reset_high_water()
            _running.meters.add(self)

    def peak(self) -> int:
        """The peak since `start`."""
        self._note()
        return self._seen

    def _note(self) -> None:
        self._seen = max(self._seen, _status_field(b"VmHWM:") or _maximum_rss())


class _Running:
    """The meters that run in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.meters: weakref.WeakSet[PeakMeter] = weakref.WeakSet()


_running = _Running()


def _reset_high_water() -> bool:
    try:
        with open("/proc/self/clear_refs", "wb", buffering=0) as file:
            file.write(b"5")
    except OSError:
        return False
    return True


def resident() -> int:
    """Resident memory of this process now, in bytes."""
    return _status_field(b"VmRSS:") or _maximum_rss()


def resident_of(pid: int, proc: str = "/proc") -> int:
    """Resident memory of another process now, in bytes; 0 where that cannot be told."""
    return kilobytes(read_file(f"{proc}/{pid}/status"), b"VmRSS:")


def private_of(pid: int) -> int:
    """Resident memory that another process shares with none, in bytes; 0 where that cannot be told."""
    told = read_file(f"/proc/{pid}/smaps_rollup")
    return kilobytes(told, b"Private_Clean:") + kilobytes(told, b"Private_Dirty:")


def data_size() -> int:
    """What RLIMIT_DATA counts of this process, in bytes: private writable memory, touched or not; 0 if untold."""
    return _status_field(b"VmData:")


def _status_field(name: bytes) -> int:
    """A field of /proc/self/status in bytes; 0 where there is none."""
    return kilobytes(read_file("/proc/self/status"), name)


def _maximum_rss() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def bytes_read_by_process() -> int:
    """Bytes that this process has read through system calls so far; 0 where that is not told."""
    text = field(read_file("/proc/self/io"), b"rchar:")
    return int(text) if text.isdigit() else 0


def _after_fork() -> None:
    _running.lock = threading.RLock()  # whoever held it does not exist here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
