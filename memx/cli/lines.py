"""Blocks of lines on their way out: in batches, and never kept waiting."""

import os
import select
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

BATCH = 1 << 16
"""Bytes that are written at once: what a pipe of Linux holds."""
FLUSH_EVERY = 0.05
"""Seconds that a line waits at most for others to be written with."""


class ReaderLeft(Exception):
    """The other end of the output was closed."""


class OutputBroke(Exception):
    """The output could not be opened or written; the message is one sentence."""


class LineWriter:
    """Writes blocks of whole lines to `descriptor`, which messages call `name`.

    A write that the reader does not take blocks, and with it the whole chain: nothing is gathered against a
    slow reader. A thread writes what the main thread has no time for, because it waits for its source.
    Raises ReaderLeft and OutputBroke, at the next `write` where it was the thread that met them.
    """

    def __init__(
        self,
        descriptor: int,
        name: str,
        *,
        convert: Callable[[bytes], bytes] | None = None,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._descriptor = descriptor
        self._name = name
        self._convert = convert
        self._around = around
        self._batch = bytearray()
        self.batch = BATCH
        """Bytes of lines that are gathered before they are written."""
        self._half = 0  # bytes of a line whose end is not written yet
        self._lock = threading.Lock()
        self._something, self._closing = threading.Event(), threading.Event()
        self._broke: Exception | None = None
        self._flusher: threading.Thread | None = None
        self._alone = False
        """Whether there can be no thread."""

    def write(self, block: bytes) -> None:
        """Takes `block`, whole lines, to be written soon."""
        with self._lock:
            self._batch += self._convert(block) if self._convert else block
            if len(self._batch) >= self.batch or self._alone:
                self._flush()
            elif not self._something.is_set():
                self._something.set()
        if self._flusher is None and not self._alone:
            flusher = threading.Thread(target=self._flush_in_time, name="memx-flush", daemon=True)
            try:
                flusher.start()
                self._flusher = flusher
            except RuntimeError:  # there may be too many threads: nothing is left waiting then
                self._alone = True
                with self._lock:
                    self._flush()
        if self._broke is not None:
            raise self._broke

    def close(self) -> None:
        """Writes what is left. The descriptor stays open."""
        self._closing.set()
        self._something.set()
        with self._lock:
            self._flush()
        if self._flusher is not None:
            self._flusher.join()
        if self._broke is not None:
            raise self._broke

    def _flush_in_time(self) -> None:
        while not self._closing.is_set():
            self._something.wait()
            self._closing.wait(FLUSH_EVERY)
            with self._lock:
                self._something.clear()
                self._flush()

    def _flush(self) -> None:
        """Writes the batch, with the lock held. What goes wrong is kept in `_broke`."""
        if not self._batch or self._broke is not None:
            return
        try:
            with self._around():
                self._write_batch()
        except BrokenPipeError:
            self._broke = ReaderLeft()
        except OSError as exc:
            self._drop_half_line()
            self._broke = OutputBroke(f"cannot write {self._name}: {exc.strerror}")

    def _write_batch(self) -> None:
        while self._batch:
            try:
                written = os.write(self._descriptor, self._batch)
            except BlockingIOError:  # somebody made the pipe that we share non-blocking
                select.select([], [self._descriptor], [])
                continue
            newline = self._batch.rfind(b"\n", 0, written)
            self._half = written - newline - 1 if newline >= 0 else self._half + written
            del self._batch[:written]

    def _drop_half_line(self) -> None:
        """Cuts a file that took but a part of the batch back to its last whole line."""
        if self._half:
            try:
                os.ftruncate(self._descriptor, os.lseek(self._descriptor, 0, os.SEEK_CUR) - self._half)
            except OSError:
                pass  # no file: what a terminal or a pipe took cannot be taken back

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except (ReaderLeft, OutputBroke):
            if value is None:
                raise
