"""Memory that the kernel refuses: `RLIMIT_DATA` of this process (setrlimit(2)).

It counts private writable memory that was reserved, touched or not; mapped files do not count.
"""

import gc
import importlib
import resource
from collections.abc import Iterable

from memx.engine.memory.process import data_size, resident

_ROOM_TO_IMPORT = 24 << 20
"""Bytes that importing NumPy makes resident at most."""


def inherited() -> bool:
    """Whether there is a limit on memory that came with this process, and that children inherit."""
    kinds = (resource.RLIMIT_DATA, resource.RLIMIT_AS)
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)


class DataLimit:
    """Keeps this process below so many resident bytes, job after job."""

    def __init__(self) -> None:
        self._soft, self._hard = resource.getrlimit(resource.RLIMIT_DATA)
        self._ready: set[str] = set()

    def hold(self, allowance: int | None, imports: Iterable[str] = ()) -> None:
        """Has the kernel refuse what would make more than `allowance` bytes resident; None: what was inherited.

        `imports` will be needed: NumPy's OpenBLAS, say, reserves 27 MB that it never touches. They are imported
        while nothing is limited, where there is room for them; the limit is set above what is reserved then. What
        acts on want of memory must not want any, and is imported too. Raises MemoryError where `allowance` does not
        even hold what is there now.
        """
        self._set(self._soft)
        if allowance is None:
            return
        if allowance < resident():
            raise MemoryError
        importlib.import_module("memx.engine.memory.pressure")
        for name in imports:
            if name not in self._ready and allowance - resident() >= _ROOM_TO_IMPORT:
                importlib.import_module(name)
                self._ready.add(name)
                gc.freeze()  # what a library set up stays: the collector need not look at it again
        self._set(data_size() + max(0, allowance - resident()))

    def _set(self, limit: int) -> None:
        if self._soft != resource.RLIM_INFINITY and limit != resource.RLIM_INFINITY:
            limit = min(limit, self._soft)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, self._hard))
