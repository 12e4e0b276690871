"""Ctrl-C, so that the reading stops but what is said of it stays whole."""

import signal
from collections.abc import Callable, Generator, Iterator
from types import FrameType, GeneratorType, TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")


class Interrupts:
    """While entered, the first SIGINT ends the stream that runs, with its `end` line; the second one kills.

    Inside the generator the interrupt is raised at once, since only that ends a read that blocks. Outside of
    it (a line is being written) it is thrown into the generator when the line is out: no line is cut.
    """

    def __init__(self) -> None:
        self._struck = False
        self._running: object = None
        self._before: object = None
        self._finish: Callable[[], None] | None = None

    def finishing(self, items: Iterator[Item], finish: Callable[[], None]) -> Iterator[Item]:
        """All `items`; an interrupt only calls `finish`, so that there are no more soon, and is raised at their end."""
        self._finish = finish
        yield from items
        if self._struck:
            self._struck = False
            raise KeyboardInterrupt

    def guard(self, items: Generator[Item, None, None]) -> Iterator[Item]:
        """All `items`, and after an interrupt those that `items` still gives; then raises KeyboardInterrupt."""
        self._running = items
        for item in items:
            yield item
            while self._struck:
                self._struck = False
                yield items.throw(KeyboardInterrupt())
        if self._struck:
            raise KeyboardInterrupt

    def _strike(self, _signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        if self._finish is not None:
            self._struck = True
            self._finish()
            return
        if isinstance(self._running, GeneratorType) and self._running.gi_running:
            raise KeyboardInterrupt
        self._struck = True

    def __enter__(self) -> Self:
        # not where nobody is to be interrupted (nohup), nor outside the main thread, where Python allows none
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._before = signal.signal(signal.SIGINT, self._strike)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._struck and value is None:
            raise KeyboardInterrupt
