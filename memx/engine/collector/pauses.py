"""How long the collector stops the program, and what that yields: `gc.callbacks`, in bounded memory."""

import gc
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class PauseStats:
    """The collections while a recorder ran; times in seconds."""

    collections: int
    by_generation: tuple[int, ...]
    pause_s: float
    longest_pause_s: float
    collected: int
    """Unreachable objects found."""
    uncollectable: int

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"by_generation": list(self.by_generation)}


class PauseRecorder:
    """Records collections between `start` and `stop`, or for the length of a `with` block; sums alone are kept."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._callback: Callable[[str, dict[str, Any]], None] | None = None
        self._began: float | None = None
        self._generations = [0, 0, 0]
        self._pause = self._longest = 0.0
        self._collected = self._uncollectable = 0

    @property
    def stats(self) -> PauseStats:
        """What was recorded so far."""
        return PauseStats(
            collections=sum(self._generations),
            by_generation=tuple(self._generations),
            pause_s=round(self._pause, 6),
            longest_pause_s=round(self._longest, 6),
            collected=self._collected,
            uncollectable=self._uncollectable,
        )

    def start(self) -> None:
        """Begins; without effect while it runs."""
        if self._callback is None:
            self._callback = self._on_collection  # one object: a bound method is made anew at each look
            gc.callbacks.append(self._callback)

    def stop(self) -> None:
        """Ends; what was recorded stays. Twice is no error."""
        mine, self._callback, self._began = self._callback, None, None
        for at, callback in enumerate(gc.callbacks):
            if callback is mine:
                del gc.callbacks[at]
                break

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _on_collection(self, phase: str, info: dict[str, Any]) -> None:
        now = self._clock()
        if phase == "start":
            self._began = now
        elif self._began is not None:
            pause, self._began = now - self._began, None
            self._pause += pause
            self._longest = max(self._longest, pause)
            self._generations[min(info["generation"], 2)] += 1
            self._collected += info["collected"]
            self._uncollectable += info["uncollectable"]
