"""A closer look at one reading: what it had of the processor, and which records made its peak rise."""

import time
from collections.abc import Generator, Iterable
from heapq import nlargest
from typing import Any

from memx.engine.memory.cgroups import kilobytes, read_file
from memx.records import Record, sentence

WORTH_NAMING = 64 << 10
"""Bytes by which the peak has to rise at one record."""
_MOST = 5
"""Rises that are kept: the greatest."""
_NAMES = ("path", "tag", "keyword", "name", "index")
_LONGEST = 200


class CloseLook:
    """Begins when it is made. With `rises`, records are to be taken through `over`.

    Time in the queue for a processor is the machine's, not the reading's: without it, times compare also where other
    programs compute beside memx (Linux: schedstat of proc(5), of the thread that reads).
    """

    def __init__(self, *, rises: bool) -> None:
        self._rises: list[dict[str, Any]] | None = [] if rises else None
        self._began, self._cpu, self._queued = time.monotonic(), time.process_time(), _queued()
        self._peak = _high_water() if rises else 0

    def over(self, records: Iterable[Record]) -> Generator[Record]:
        """All `records`; after each, when whoever takes them is done with it, the peak is looked at."""
        for number, record in enumerate(records):
            yield record
            if self._rises is not None:
                self._note(number, record)

    def figures(self) -> dict[str, Any]:
        """What it came to, for `metrics`. Seconds, and bytes; `began_at` is `time.monotonic` of all processes."""
        found: dict[str, Any] = {"began_at": self._began, "cpu_s": round(time.process_time() - self._cpu, 6)}
        if self._queued is not None:
            found["queued_s"] = round(max(0, (_queued() or 0) - self._queued) / 1e9, 6)
        if self._rises is not None:
            found["rises"] = sorted(self._rises, key=lambda rise: rise["at_s"])
        return found

    def _note(self, number: int, record: Record) -> None:
        peak = _high_water()
        if peak - self._peak < WORTH_NAMING:
            return
        assert self._rises is not None
        rise = {
            "at_s": round(time.monotonic() - self._began, 6),
            "from": self._peak,
            "to": peak,
            "record": number,
            "type": record["type"],
            "name": _name(record),
        }
        self._rises = nlargest(_MOST, [*self._rises, rise], key=lambda rise: rise["to"] - rise["from"])
        self._peak = peak


def _name(record: Record) -> str | None:
    found = next((record[key] for key in _NAMES if record.get(key) is not None), None)
    return None if found is None else sentence(str(found)[:_LONGEST])


def _queued() -> int | None:
    """Nanoseconds that this thread was ready to run and had no processor; None where that is not told."""
    parts = read_file("/proc/thread-self/schedstat").split()
    return int(parts[1]) if len(parts) > 1 else None


def _high_water() -> int:
    return kilobytes(read_file("/proc/self/status"), b"VmHWM:")
