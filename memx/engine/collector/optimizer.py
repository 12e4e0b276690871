"""Python's cyclic garbage collector: set for an extraction, measured, and put back exactly as it was.

The settings belong to the whole process, so one stack holds who wants what: the newest wish that still
stands is in force, and when the last is withdrawn, all is as it was found before the first. Sources:
the `gc` module's documentation, InternalDocs/garbage_collector.md of CPython.
"""

import contextlib
import gc
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from memx.engine.memory.strategy import GC_THRESHOLDS, ExtractionStrategy
from memx.errors import UsageError

if TYPE_CHECKING:
    from memx.engine.collector.growth import GrowthWatch
    from memx.engine.collector.pauses import PauseRecorder

Thresholds = tuple[int, int, int]


def collector_kind(version: tuple[int, ...] = sys.version_info[:3], *, free_threaded: bool | None = None) -> str:
    """`generational`, `incremental` (CPython 3.14.0 to 3.14.4 alone) or `free-threaded`, by build and `version`."""
    if free_threaded is None:
        import sysconfig

        free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    if free_threaded:
        return "free-threaded"
    return "incremental" if (3, 14, 0) <= version <= (3, 14, 4) else "generational"


_HEEDED: Final = {
    "generational": ("threshold0", "threshold1", "threshold2"),
    "incremental": ("threshold0", "threshold1"),
    "free-threaded": ("threshold0",),
}
"""The thresholds that a kind of collector acts on; it takes the others and does nothing with them."""


class _Wish:
    """One caller's wish for thresholds; compared by identity."""

    __slots__ = ("thresholds",)

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds = thresholds


class _Governor:
    """The one hand on the collector's settings in this process."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a finalizer that runs inside may come here again
        self._wishes: list[_Wish] = []
        self._found: Thresholds = (0, 0, 0)
        self._protections = 0
        self._was_enabled = True

    def wish(self, thresholds: Thresholds) -> _Wish:
        with self.lock:
            if not self._wishes:
                self._found = gc.get_threshold()
            wish = _Wish(thresholds)
            self._wishes.append(wish)
            gc.set_threshold(*thresholds)
            return wish

    def withdraw(self, wish: _Wish) -> None:
        """Takes a wish back, in whatever order; one that was taken back already is no error."""
        with self.lock:
            if wish not in self._wishes:
                return
            newest = self._wishes[-1] is wish
            self._wishes.remove(wish)
            if newest:
                gc.set_threshold(*(self._wishes[-1].thresholds if self._wishes else self._found))

    def protect(self) -> None:
        with self.lock:
            if self._protections == 0:
                self._was_enabled = gc.isenabled()
                gc.disable()
            self._protections += 1

    def unprotect(self) -> None:
        with self.lock:
            self._protections -= 1
            if self._protections == 0 and self._was_enabled:
                gc.enable()


_governor = _Governor()


def _after_fork() -> None:
    _governor.lock = threading.RLock()  # whoever held it does not exist here


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class GarbageCollectionOptimizer:
    """Sets the collector for an extraction, protects critical sections, and restores what it found.

    ::

        optimizer = GarbageCollectionOptimizer()
        with optimizer.applied(ExtractionStrategy.AGGRESSIVE), optimizer.measured() as pauses:
            extract()
        print(pauses.stats)

    Safe under threads, nested, and beside other optimizers: see the module. What one leaves set is its own
    until `reset_to_default`.
    """

    def __init__(self) -> None:
        self._wish: _Wish | None = None
        self._critical = 0
        self._frozen = False

    def get_current_config(self) -> dict[str, Any]:
        """The collector as it is set now, as JSON has it.

        `collector` is its kind, `heeded` the thresholds that this kind acts on, `stats` its own counts by
        generation, `count` what has come together since, `frozen` the objects that it leaves alone.
        """
        kind = collector_kind()
        return {
            "collector": kind,
            "enabled": gc.isenabled(),
            "thresholds": list(gc.get_threshold()),
            "heeded": list(_HEEDED[kind]),
            "count": list(gc.get_count()),
            "stats": gc.get_stats(),
            "frozen": gc.get_freeze_count(),
        }

    def optimize_for_extraction(self, strategy: ExtractionStrategy | str) -> None:
        """Sets the thresholds of `strategy`, until the next call or `reset_to_default`."""
        thresholds = GC_THRESHOLDS[_strategy(strategy)]
        with _governor.lock:
            before, self._wish = self._wish, _governor.wish(thresholds)
            if before is not None:
                _governor.withdraw(before)

    @contextlib.contextmanager
    def applied(self, wanted: ExtractionStrategy | str | Thresholds) -> Iterator[None]:
        """The thresholds of a strategy, or three numbers, for the length of a `with` block."""
        wish = _governor.wish(wanted if isinstance(wanted, tuple) else GC_THRESHOLDS[_strategy(wanted)])
        try:
            yield
        finally:
            _governor.withdraw(wish)

    def disable_collection_during_critical(self) -> None:
        """No automatic collection until `enable_collection`; sections may be nested."""
        with _governor.lock:
            self._critical += 1
            _governor.protect()

    def enable_collection(self) -> None:
        """Ends a critical section: the collector is as it was before. Outside of one, nothing happens."""
        with _governor.lock:
            if self._critical:
                self._critical -= 1
                _governor.unprotect()

    @contextlib.contextmanager
    def protected(self) -> Iterator[None]:
        """No automatic collection for the length of a `with` block, which may be nested."""
        _governor.protect()
        try:
            yield
        finally:
            _governor.unprotect()

    @contextlib.contextmanager
    def measured(self) -> "Iterator[PauseRecorder]":
        """The collector's pauses and yield for the length of a `with` block."""
        from memx.engine.collector.pauses import PauseRecorder

        recorder = PauseRecorder()
        with recorder:
            yield recorder

    @contextlib.contextmanager
    def collecting_by_growth(self, step: int = 64 << 20) -> "Iterator[GrowthWatch]":
        """Collects when resident memory has grown by `step` bytes, not when so many objects were made.

        For cycles that hold bytes: the collector counts objects, and lets 700 of them pass, of 1 MB each.
        """
        from memx.engine.collector.growth import GrowthWatch

        with self.protected(), GrowthWatch(step) as watch:
            yield watch

    def force_collection(self) -> int:
        """Collects now, all generations; how many unreachable objects were found."""
        return gc.collect()

    def get_unreachable_objects(self) -> int:
        """How many objects were kept by cycles alone until now, and those that cannot be freed (`gc.garbage`).

        Python can only count them by collecting them.
        """
        kept = len(gc.garbage)
        return gc.collect() + kept

    def freeze_after_imports(self) -> int:
        """Takes all that exists now (modules, mostly) out of the collector's sight; how many objects.

        Once for an optimizer: freezing again is slow where the collector is incremental.
        """
        if not self._frozen and gc.get_freeze_count() == 0:
            gc.collect()
            gc.freeze()
            self._frozen = True
        return gc.get_freeze_count()

    def reset_to_default(self) -> None:
        """Withdraws all that this optimizer has set: thresholds, critical sections, frozen objects."""
        with _governor.lock:
            if self._wish is not None:
                _governor.withdraw(self._wish)
                self._wish = None
            while self._critical:
                self.enable_collection()
            if self._frozen:
                gc.unfreeze()
                self._frozen = False


def _strategy(name: ExtractionStrategy | str) -> ExtractionStrategy:
    try:
        return ExtractionStrategy(name)
    except ValueError as exc:
        raise UsageError(f"there is no strategy {name!r}: choose from {', '.join(ExtractionStrategy)}") from exc
