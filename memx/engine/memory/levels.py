"""How tight memory is: four levels, with hysteresis so that they do not flicker."""

from enum import StrEnum


class MemoryLevel(StrEnum):
    """How much of the budget is used."""

    HEALTHY = "healthy"
    MODERATE = "moderate"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for healthy to 3 for critical: `StrEnum` itself would compare the names."""
        return _ORDER.index(self)


_ORDER = tuple(MemoryLevel)
THRESHOLDS = (60.0, 75.0, 90.0)
"""Percent of the budget from which memory is moderate, high, critical."""
HYSTERESIS = 5.0
"""A level is left only when use has fallen so many points below where it begins."""
PRESSURE, PRESSURE_FROM = 10.0, 50.0
"""Tasks that wait for memory so many percent of the time lift the level by one, from this use in percent on.

Pressure alone says little: reading a big file through a full page cache makes some (see PSI in the kernel's
accounting/psi.rst), with memory enough left.
"""


def level_for(used_percent: float, pressure: float | None = None, before: MemoryLevel | None = None) -> MemoryLevel:
    """The level at `used_percent` of the budget, where it was `before` until now.

    `pressure` is PSI's `some avg10` in percent, None where the kernel has none.
    """
    level = _rank(used_percent)
    if pressure is not None and pressure >= PRESSURE and used_percent >= PRESSURE_FROM:
        level = min(level + 1, len(_ORDER) - 1)
    if before is not None and level < before.rank:
        level = min(before.rank, max(level, _rank(used_percent + HYSTERESIS)))
    return _ORDER[level]


def _rank(percent: float) -> int:
    return sum(percent >= threshold for threshold in THRESHOLDS)
