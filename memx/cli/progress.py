"""How far a run over many files has come: the live view of `memx extract`, and plain lines where no terminal is."""

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from memx.cli.columns import GAP, fit, fit_end
from memx.cli.live import LiveView
from memx.cli.text import safe_text
from memx.engine.dataset.run import Run, Tally
from memx.errors import UsageError
from memx.units import format_size

_EVERY = 5.0
"""Seconds between two plain lines."""
_WORKERS_SHOWN = 8
_ENOUGH = 10
"""Files after which it can be told how long the others will take."""
FINISHING = "interrupted: finishing the files in hand, for 10 s at most; Ctrl-C again kills"


class _Total:
    """How many files there are, counted beside the run: `files` goes through them a second time."""

    def __init__(self, files: Callable[[], Iterable[str]] | None, stop: threading.Event) -> None:
        self.files: int | None = None
        self._stop = stop
        self._source = files
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Counts, if they can be gone through twice."""
        if self._source is not None and self._thread is None:
            self._thread = threading.Thread(target=self._count, args=(self._source,), name="memx-count", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """Waits for the count, which has been told to stop."""
        if self._thread is not None:
            self._thread.join()

    def _count(self, files: Callable[[], Iterable[str]]) -> None:
        total = 0
        try:
            for _ in files():
                total += 1
                if self._stop.is_set():
                    return
        except (OSError, UsageError):  # the run itself will say so
            return
        self.files = total


class RunView(LiveView):
    """The files that are done, of those that there are; what each worker reads; what went wrong; and memory.

    How many files there are is counted once the run turns out to last; `files` is None where that cannot be.
    """

    patience = 2.0
    counted = "files"

    def __init__(
        self,
        descriptor: int,
        *,
        color: bool,
        files: Callable[[], Iterable[str]] | None,
        max_memory: int | None = None,
    ) -> None:
        self._run_of: Run | None = None
        self._total: _Total | None = None
        self._files = files
        super().__init__(descriptor, color=color, max_memory=max_memory)

    def watch(self, stream: Any) -> None:
        """From now on the view is about this run."""
        self._stream, self._run_of = stream, stream

    def took(self, block: bytes) -> None:
        """A file is done: the run counts them itself."""

    def finishing(self) -> None:
        """The run was interrupted."""
        self._note = FINISHING

    def close(self) -> None:
        super().close()
        if self._total is not None:
            self._total.end()

    def _lines(self, stream: Any, width: int) -> list[str]:
        if self._total is None:
            self._total = _Total(self._files, self._stop)
            self._total.begin()
        self._rates.records = stream.tally.files
        errors = f"errors: {_counts(stream.tally.codes)}" if stream.tally.codes else ""
        return [
            *self._readers(stream, width),
            *([self._paint(fit(errors, width).rstrip(), "magenta")] if errors else []),
            *super()._lines(stream, width),
        ]

    def _readers(self, run: Run, width: int) -> list[str]:
        """A line for each worker: what it reads, and the memory that it takes."""
        lines = []
        in_hand = run.in_hand()
        for pid, path, memory in in_hand[:_WORKERS_SHOWN]:
            about = f"{format_size(memory):>9}  " + (f"worker {pid:<7}  " if pid else "")
            lines.append(self._paint(about, "dim") + fit_end(safe_text(path), max(8, width - len(about))))
        if len(in_hand) > _WORKERS_SHOWN:
            lines.append(self._paint(f"{'':>9}  and {len(in_hand) - _WORKERS_SHOWN} more workers", "dim"))
        return lines

    def _workers(self, stream: Any) -> list[int]:
        return [pid for pid, _, _ in stream.in_hand() if pid is not None]

    def _bytes(self, stream: Any) -> int | None:
        tally: Tally = stream.tally
        return tally.bytes

    def _progress(self, path: str, size: int | None, position: int | None, width: int) -> str:
        assert self._run_of is not None
        tally, total = self._run_of.tally, self._total.files if self._total else None
        done = tally.files + tally.skipped
        left = seconds_left(tally, total)
        far = [files_of(done, total), *([] if left is None else [f"{clock(left)} left"])]
        return self._bar("", done / total if total else None, (" " * GAP).join(far), width)


class PlainProgress:
    """A line every few seconds."""

    def __init__(self, descriptor: int, *, files: Callable[[], Iterable[str]] | None) -> None:
        self._descriptor = descriptor
        self._stop = threading.Event()
        self._total = _Total(files, self._stop)
        self._run_of: Run | None = None
        self._thread = threading.Thread(target=self._tell, name="memx-progress", daemon=True)

    def watch(self, stream: Any) -> None:
        """From now on the lines are about this run."""
        self._run_of = stream

    def took(self, block: bytes) -> None:
        """A file is done: the run counts them itself."""

    def finishing(self) -> None:
        """The run was interrupted."""
        self._write(FINISHING)

    def __enter__(self) -> "PlainProgress":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._total.end()

    def _tell(self) -> None:
        while not self._stop.wait(_EVERY):
            self._total.begin()
            if self._run_of is not None:
                self._write(far(self._run_of.tally, self._total.files))

    def _write(self, text: str) -> None:
        try:
            os.write(self._descriptor, f"memx: {text}\n".encode())
        except OSError:
            self._stop.set()  # nobody reads it


def far(tally: Tally, total: int | None) -> str:
    """How far a run has come, in one line."""
    done, seconds = tally.files + tally.skipped, tally.seconds
    parts = [
        files_of(done, total),
        format_size(tally.bytes),
        f"{tally.files / seconds:,.0f} files/s" if seconds else "",
        f"errors: {_counts(tally.codes)}" if tally.codes else "",
        f"{clock(left)} left" if (left := seconds_left(tally, total)) is not None else "",
    ]
    return ", ".join(filter(None, parts))


def files_of(done: int, total: int | None) -> str:
    """So many files, of so many if that is known."""
    whole = done if total is None else total
    return f"{f'{done:,} of ' if total else ''}{whole:,} {'file' if whole == 1 else 'files'}"


def seconds_left(tally: Tally, total: int | None) -> float | None:
    """How long a run will last yet, if it goes on as it went; None where that cannot be told."""
    if total is None or tally.files < _ENOUGH:
        return None
    return max(0, total - tally.files - tally.skipped) * tally.seconds / tally.files


def closing(run: Run) -> str:
    """What a run came to, in one line."""
    tally = run.tally
    statuses = _counts(tally.statuses)
    parts = [
        files_of(tally.files, None) + (f": {statuses}" if statuses else ""),
        f"{tally.skipped:,} there already" if tally.skipped else "",
        f"errors: {_counts(tally.codes)}" if tally.codes else "",
        f"{format_size(tally.bytes)} in {clock(tally.seconds)}",
        f"highest peak {format_size(tally.peak_rss)}",
    ]
    return " · ".join(filter(None, parts))


def interrupted(run: Run, file: str | None) -> str:
    """What is left of a run that was interrupted."""
    count, all_of_them = run.left or (0, True)
    left = f"{'' if all_of_them else 'more than '}{count:,} left"
    again = f"; go on with --resume -o {file}" if file not in (None, "-") and count else ""
    return f"interrupted: {files_of(run.tally.files, None)} done, {left}{again}"


def clock(seconds: float) -> str:
    """A time for people."""
    whole = int(seconds)
    if seconds < 60:
        return f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02} min"
    return f"{whole // 3600}:{whole // 60 % 60:02} h"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counter.most_common())
