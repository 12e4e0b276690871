"""What processes really use: the one place that reads process memory."""

import sys


class PeakMeter:
    """The peak resident memory of this process from `start` on, in bytes.

    Where the kernel lets the high-water mark be reset (Linux: `5` to `clear_refs`, proc(5)), the peak is
    its count and `exact`; elsewhere it is the process's whole life's, or a sample, and not exact.
    """

    def __init__(self) -> None:
        self.exact = False
        self.began_at = 0

    def start(self) -> None:
        """Begins to measure: the peak falls to what is resident now."""
        try:
            with open("/proc/self/clear_refs", "wb", buffering=0) as file:
                file.write(b"5")
            self.exact = True
        except OSError:
            self.exact = False
        self.began_at = resident()

    def peak(self) -> int:
        """The peak since `start`."""
        return max(_status_field(b"VmHWM:") or _maximum_rss(), self.began_at)


def resident() -> int:
    """Resident memory of this process now, in bytes."""
    return _status_field(b"VmRSS:") or _maximum_rss()


def _status_field(name: bytes) -> int:
    """A field of /proc/self/status in bytes; 0 where there is none."""
    try:
        with open("/proc/self/status", "rb", buffering=0) as file:
            text = file.read(8192)
    except OSError:
        return 0
    at = text.find(b"\n" + name)
    return int(text[at + len(name) + 1 : text.index(b"kB", at)]) * 1024 if at >= 0 else 0


def _maximum_rss() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def bytes_read_by_process() -> int:
    """Bytes that this process has read through system calls so far; 0 where that is not told."""
    try:
        with open("/proc/self/io", "rb", buffering=0) as file:
            return int(file.read(64).split(b"\n", 1)[0].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
