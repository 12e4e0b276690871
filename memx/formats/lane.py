"""One kind of work in a thread of its own, while its caller does another: what leaves the interpreter's lock alone."""

import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, Self, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

STACK = 1 << 20
"""Bytes of a thread's stack. The system's own 8 MiB, hardly touched, would all count against RLIMIT_DATA."""


class Lane(Generic[Task, Result]):
    """Does `work` on each task that it is given, in their order; results, and what was raised, are taken in it.

    Its caller bounds how many tasks are under way, and leaves what a task works on alone until its result is
    taken. Leaving the `with` block waits for the task in hand; what is in the queue is not begun any more.
    """

    def __init__(self, work: Callable[[Task], Result]) -> None:
        self._work = work
        self._tasks: SimpleQueue[tuple[Task] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Result] | BaseException] = SimpleQueue()
        self._leaving = False
        self._thread = threading.Thread(target=self._run, name="memx-lane", daemon=True)
        self.waiting = 0
        """Tasks whose result was not taken yet."""

    def put(self, task: Task) -> None:
        """Hands over a task."""
        self.waiting += 1
        self._tasks.put((task,))

    def take(self) -> Result:
        """Waits for the next result. Raises what the work on it raised."""
        result = self._results.get()
        self.waiting -= 1
        if isinstance(result, BaseException):
            raise result
        return result[0]

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            if self._leaving:
                continue
            try:
                self._results.put((self._work(task[0]),))
            except BaseException as exc:  # memory, for one: the thread that waits is told
                self._results.put(exc)

    def __enter__(self) -> Self:
        before = threading.stack_size(STACK)  # of all threads that begin from now on
        try:
            self._thread.start()
        finally:
            threading.stack_size(before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving = True
        self._tasks.put(None)
        self._thread.join()


def cores() -> int:
    """How many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
