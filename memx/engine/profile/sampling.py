"""Many figures in little memory: samples of files, and series of memory over time."""

import heapq
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Any, Generic, TypeVar

from memx.engine.memory.process import resident

T = TypeVar("T")

PERIOD = 0.01
"""Seconds between two looks at the workers."""
POINTS = 512
"""Of a series at most: of a longer one, each stands for several."""


class Sample(Generic[T]):
    """At most `most` of what was added, each key as likely as any other; `complete` until some were left out.

    Those whose keys have the least hash stay, so that two runs over much the same files keep much the same of them,
    and can be compared: bottom-k sampling, Cohen and Kaplan, "Summarizing Data Using Bottom-k Sketches", PODC 2007.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[int, int, T]] = []
        self._count = 0

    @property
    def complete(self) -> bool:
        """Whether all that was added is here."""
        return self._count <= self._most

    def add(self, key: str, item: T) -> None:
        """Takes `item`, or not."""
        self._count += 1
        hashed = int.from_bytes(blake2b(key.encode("utf-8", "surrogateescape"), digest_size=8).digest())
        heapq.heappush(self._heap, (-hashed, -self._count, item))
        if len(self._heap) > self._most:
            heapq.heappop(self._heap)

    def __iter__(self) -> Iterator[T]:
        """In the order in which they came."""
        return (item for _, _, item in sorted(self._heap, key=lambda entry: -entry[1]))

    def __len__(self) -> int:
        return len(self._heap)


class Top(Generic[T]):
    """The `most` with the highest values."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[float, int, T]] = []
        self._count = 0

    def add(self, value: float, item: T) -> None:
        """Takes `item`, or not."""
        self._count += 1
        heapq.heappush(self._heap, (value, -self._count, item))
        if len(self._heap) > self._most:
            heapq.heappop(self._heap)

    def __iter__(self) -> Iterator[T]:
        """The highest first."""
        return (item for _, _, item in sorted(self._heap, key=lambda entry: (-entry[0], -entry[1])))


class Series:
    """Memory over time: at most `POINTS` points, each the highest of those that it stands for."""

    def __init__(self) -> None:
        self.points: list[tuple[float, int]] = []
        """When (`time.monotonic`), and how many bytes."""
        self._each = 1
        self._in_last = 0

    def add(self, at: float, value: int) -> None:
        """Looks were taken in order."""
        if self._in_last and self._in_last < self._each:
            self.points[-1] = max(self.points[-1], (at, value), key=_value)
            self._in_last += 1
            return
        if len(self.points) == POINTS:
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [max(pair, key=_value) for pair in pairs]
            self._each *= 2
        self.points.append((at, value))
        self._in_last = 1


def _value(point: tuple[float, int]) -> int:
    return point[1]


class Sampler:
    """Looks at what workers keep resident, every `period` seconds, from a thread, for the length of a `with` block.

    `in_hand` gives, for each worker that reads, its process, the path and the bytes.
    """

    def __init__(self, in_hand: Callable[[], Iterable[tuple[Any, str, int]]], period: float = PERIOD) -> None:
        self.total = Series()
        """This process and all workers, ten times a second."""
        self._in_hand, self._period = in_hand, period
        self._lock = threading.Lock()
        self._series: dict[str, Series] = {}
        self._stop = threading.Event()
        self._next = 0.0
        self._thread = threading.Thread(target=self._run, name="memx-sampler", daemon=True)

    def taken(self, path: str) -> Series:
        """What was seen of the reading of `path`, which is over."""
        with self._lock:
            return self._series.pop(path, None) or Series()

    def __enter__(self) -> "Sampler":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period):
            seen = [(path, memory) for _, path, memory in self._in_hand() if memory]
            now = time.monotonic()
            with self._lock:
                for path, memory in seen:
                    self._series.setdefault(path, Series()).add(now, memory)
                while len(self._series) > POINTS:  # the last looks at readings that were over
                    del self._series[next(iter(self._series))]
            if now >= self._next:
                self._next = now + 10 * PERIOD
                self.total.add(now, resident() + sum(memory for _, memory in seen))
