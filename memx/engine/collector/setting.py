"""A setting of the collector for a format or an extractor: what `gc-tune` tries, and what the user's file keeps.

As a table of the configuration file::

    [collector.dicom]
    strategy = "aggressive"   # the thresholds of this strategy
    threshold0 = 20000        # instead of the first of them
    freeze = true             # what was imported is out of the collector's sight

    [collector."package.module:function"]
    disabled = true           # it comes when memory has grown by 64 MiB, and not by itself
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields
from typing import Any

from memx.engine.collector.optimizer import GarbageCollectionOptimizer, Thresholds
from memx.engine.memory.strategy import GC_THRESHOLDS, ExtractionStrategy
from memx.errors import UsageError
from memx.formats import Format

_MOST = (1 << 31) - 1
"""The collector takes a C int."""


class BadSetting(UsageError):
    """A member of a table is no good: `key` says which; None is the table itself."""

    def __init__(self, message: str, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True, slots=True)
class CollectorSetting:
    """How the collector is set; what is not said is as memx sees fit."""

    strategy: ExtractionStrategy | None = None
    """Whose thresholds; None: those of the strategy that memx chooses for the file."""
    threshold0: int | None = None
    """So many objects made and not freed bring the youngest generation's collection; None: as the strategy says."""
    freeze: bool = False
    """Whether what was imported before the first file is taken out of the collector's sight."""
    disabled: bool = False
    """Whether the collector comes only when resident memory has grown: see `memx.engine.collector.growth`."""

    def __bool__(self) -> bool:
        """Whether it sets anything."""
        return self != OWN_CHOICE

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> "CollectorSetting":
        """What a table of the configuration file, or `as_table`, says. Raises BadSetting."""
        names = [field.name for field in fields(cls)]
        for key, value in table.items():
            if key not in names:
                raise BadSetting(f"there is no key {key!r}{_meant(key, names)}", key)
            _check(key, value)
        if table.get("disabled") and ("strategy" in table or "threshold0" in table):
            raise BadSetting("a collector that is disabled has no thresholds: leave out strategy and threshold0")
        strategy = table.get("strategy")
        return cls(**{**table, "strategy": strategy and ExtractionStrategy(strategy)})

    def as_table(self) -> dict[str, Any]:
        """What it sets, as TOML and JSON have it."""
        members = asdict(self) | {"strategy": self.strategy and str(self.strategy)}
        return {name: value for name, value in members.items() if value not in (None, False)}

    def thresholds(self, strategy: ExtractionStrategy) -> Thresholds:
        """The thresholds in force where memx chose `strategy`."""
        first, second, third = GC_THRESHOLDS[self.strategy or strategy]
        return self.threshold0 or first, second, third

    def prepare(self) -> None:
        """Freezes what was imported, where that is set: for a worker, once its libraries are loaded."""
        if self.freeze:
            GarbageCollectionOptimizer().freeze_after_imports()

    def applied(self, strategy: ExtractionStrategy) -> AbstractContextManager[object]:
        """The collector set so for the length of a `with` block, in which memx chose `strategy` for the file."""
        optimizer = GarbageCollectionOptimizer()
        return optimizer.collecting_by_growth() if self.disabled else optimizer.applied(self.thresholds(strategy))

    def __str__(self) -> str:
        """In a few words."""
        if self.disabled:
            words = ["by growth of memory"]
        elif self.threshold0 is not None:
            words = [*([str(self.strategy)] if self.strategy else []), f"threshold0 {self.threshold0:,}"]
        else:
            words = [str(self.strategy)] if self.strategy else []
        return ", ".join(words + ["frozen imports"] * self.freeze) or "memx's own choice"


OWN_CHOICE = CollectorSetting()
"""That sets nothing."""

Settings = Mapping[str, CollectorSetting]
"""By the name of a format, the key of its row in `FORMATS`, or the name of an extractor."""


def setting_for(settings: Settings, row: Format | None, extractor: str | None = None) -> CollectorSetting:
    """The setting for an extractor where there is one, else for a file of `row`; one that sets nothing where none is.

    A row's own key goes before the name of its format.
    """
    names = (extractor,) if extractor is not None else (row.key, row.name) if row is not None else ()
    return next((settings[name] for name in names if name in settings), OWN_CHOICE)


def _check(key: str, value: object) -> None:
    """Raises BadSetting where `key` cannot have `value`."""
    if key in ("freeze", "disabled"):
        if not isinstance(value, bool):
            raise BadSetting(f"{key} is true or false", key)
    elif key == "threshold0":
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
            raise BadSetting(f"threshold0 is a whole number from 1 to {_MOST}", key)
    elif value not in list(ExtractionStrategy):
        raise BadSetting(
            f"strategy is one of {', '.join(ExtractionStrategy)}{_meant(str(value), ExtractionStrategy)}", key
        )


def _meant(word: str, words: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, list(words), 1)
    return f": did you mean {near[0]}?" if near else ""
