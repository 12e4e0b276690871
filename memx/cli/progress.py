"""How far a run over many files has come: the live view of `memx extract`."""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from memx.cli.live import LiveView
from memx.errors import UsageError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from memx.engine.streaming import Stream


class RunView(LiveView):
    """The files that are done, of those that there are, above the memory table.

    How many there are is counted beside the run, once it turns out to last: `files` goes through them a second
    time, and is None where that cannot be.
    """

    patience = 2.0
    counted = "files"

    def __init__(self, descriptor: int, *, color: bool, files: Callable[[], Iterable[str]] | None) -> None:
        self._files = files
        self._total: int | None = None
        self._counter: threading.Thread | None = None
        self._bytes_before = 0
        super().__init__(descriptor, color=color)

    def watch(self, stream: "Stream") -> None:
        """From now on `stream` is being read."""
        self._bytes_before += (self._stream.size or 0) if self._stream is not None else 0
        self._stream = stream

    def took(self, block: bytes) -> None:
        """A file is done."""
        self._rates.records += 1

    def close(self) -> None:
        super().close()
        if self._counter is not None:
            self._counter.join()

    def _table(self, stream: "Stream", width: int) -> "RenderableType":
        if self._files is not None and self._counter is None:
            self._counter = threading.Thread(target=self._count, args=(self._files,), name="memx-count", daemon=True)
            self._counter.start()
        return super()._table(stream, width)

    def _bytes(self, stream: "Stream") -> int | None:
        return self._bytes_before + (stream.position or 0)

    def _progress(self, path: str, size: int | None, position: int | None, width: int) -> "RenderableType":
        done, total = self._rates.records, self._total
        if total == 1:
            return super()._progress(path, size, position, width)
        return self._bar(path, total, done, f"{done:,} of {total:,} files" if total else f"{done:,} files", width)

    def _count(self, files: Callable[[], Iterable[str]]) -> None:
        total = 0
        try:
            for _ in files():
                total += 1
                if self._stop.is_set():
                    return
        except (OSError, UsageError):  # the run itself will say so
            return
        self._total = total
