"""What is to be read, found by a thread of its own: whoever reads need not wait for a slow list or a slow folder."""

import os
import select
import threading
from collections import deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

AHEAD = 256
"""Items that are held at most."""
_FEW = AHEAD // 2
_PATIENCE = 0.2
"""Seconds that the thread has to end."""


class One(Generic[T]):
    """A feed of one item."""

    def __init__(self, item: T) -> None:
        self._item: T | None = item

    @property
    def ended(self) -> bool:
        """Whether it was taken."""
        return self._item is None

    def take(self) -> T | None:
        """The item, once."""
        item, self._item = self._item, None
        return item

    def wait(self, seconds: float) -> None:
        """There is nothing to wait for."""


class Feed(Generic[T]):
    """The `items`, taken without waiting."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = items
        self._ready: deque[T] = deque()
        self._room = threading.Event()
        self._error: BaseException | None = None
        self._all = self._closing = False
        self._bell, self._rings = os.pipe()
        os.set_blocking(self._bell, False)
        os.set_blocking(self._rings, False)
        self._thread = threading.Thread(target=self._find, name="memx-feed", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether all were taken, and what went wrong was told."""
        return self._all and not self._ready and self._error is None

    def take(self) -> T | None:
        """The next item; None where there is none yet. Raises what `items` raised, after all before it."""
        try:
            item = self._ready.popleft()
        except IndexError:
            if self._all and self._error is not None and not self._ready:
                error, self._error = self._error, None
                raise error from None
            return None
        if len(self._ready) <= _FEW and not self._room.is_set():
            self._room.set()
        return item

    def wait(self, seconds: float) -> None:
        """Waits until there is an item, at most so long."""
        if not self._ready and not self._all:
            select.select([self._bell], [], [], seconds)
        try:
            os.read(self._bell, AHEAD)
        except BlockingIOError:
            pass

    def left(self, seconds: float) -> tuple[int, bool]:
        """How many items are left, counted for at most so long, and whether all of them were found."""
        import time

        end, count = time.monotonic() + seconds, 0
        while not self.ended and time.monotonic() < end:
            if self.take() is None:
                self.wait(0.01)
            else:
                count += 1
        return count, self.ended

    def close(self) -> None:
        """Takes no more; the thread may still wait for a list that nobody writes."""
        self._closing = True
        self._room.set()
        self._thread.join(_PATIENCE)
        os.close(self._bell)

    def _find(self) -> None:
        try:
            for item in self._items:
                self._await_room()
                if self._closing:
                    break
                self._ready.append(item)
                self._ring()
        except BaseException as exc:  # told by `take`, where there is somebody to tell it to
            self._error = exc
        self._all = True
        os.close(self._rings)  # which rings, too

    def _await_room(self) -> None:
        """Waits where there are many items until few are left: to wait for each one costs a switch of threads."""
        if len(self._ready) >= AHEAD:
            self._room.clear()
            if len(self._ready) > _FEW and not self._closing:  # what was taken before is seen here
                self._room.wait()

    def _ring(self) -> None:
        try:
            os.write(self._rings, b".")
        except (BlockingIOError, BrokenPipeError):
            pass  # it rings already; or nobody listens any more
