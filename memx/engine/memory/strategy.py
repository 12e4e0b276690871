"""How an extraction is run, chosen from what it needs and what there is: a pure function."""

from enum import StrEnum
from typing import NamedTuple

from memx.engine.memory.chunks import chunk_size_for
from memx.units import format_size

KIB = 1 << 10


class ExtractionStrategy(StrEnum):
    """How much memory an extraction may spend to be fast."""

    AGGRESSIVE = "aggressive"
    BALANCED = "balanced"
    CONSERVATIVE = "conservative"


class StrategyPlan(NamedTuple):
    """How an extraction is run: what the strategy changes. Sizes in bytes."""

    strategy: ExtractionStrategy
    reason: str
    available: int
    gc_threshold: tuple[int, int, int]
    chunk_size: int
    write_batch: int
    """How many bytes of lines are gathered before they are written."""
    drop_behind: bool
    """Whether the page cache behind the cursor is given back."""
    read_ahead: bool
    """Whether the kernel may read ahead of the cursor, which it does well by itself."""


GC_THRESHOLDS = {
    ExtractionStrategy.AGGRESSIVE: (5000, 10, 10),
    ExtractionStrategy.BALANCED: (700, 10, 10),
    ExtractionStrategy.CONSERVATIVE: (100, 5, 5),
}
_WRITE_BATCH = {
    ExtractionStrategy.AGGRESSIVE: 64 * KIB,  # what a pipe of Linux holds: more would wait
    ExtractionStrategy.BALANCED: 32 * KIB,
    ExtractionStrategy.CONSERVATIVE: 16 * KIB,
}


def choose_strategy(
    file_size: int | None, available: int, override: ExtractionStrategy | None = None
) -> tuple[ExtractionStrategy, str]:
    """The strategy for a file of `file_size` bytes (None: unknown) with `available` bytes of memory, and why."""
    if override is not None:
        return override, "asked for"
    if file_size is None:
        return ExtractionStrategy.BALANCED, "the size is not known before the end"
    figures = f"{format_size(available)} available for a file of {format_size(file_size)}"
    if available > 3 * file_size:
        return ExtractionStrategy.AGGRESSIVE, f"{figures}: more than 3 times its size"
    if available >= file_size:
        return ExtractionStrategy.BALANCED, f"{figures}: 1 to 3 times its size"
    return ExtractionStrategy.CONSERVATIVE, f"{figures}: less than its size"


def plan_for(
    file_size: int | None,
    available: int,
    override: ExtractionStrategy | None = None,
    chunk_size: int | None = None,
) -> StrategyPlan:
    """How to read a file of `file_size` bytes; `override` and `chunk_size` are what the user asked for."""
    strategy, reason = choose_strategy(file_size, available, override)
    return StrategyPlan(
        strategy=strategy,
        reason=reason,
        available=available,
        gc_threshold=GC_THRESHOLDS[strategy],
        chunk_size=chunk_size or chunk_size_for(available),
        write_batch=_WRITE_BATCH[strategy],
        drop_behind=strategy is not ExtractionStrategy.AGGRESSIVE,
        read_ahead=strategy is not ExtractionStrategy.CONSERVATIVE,
    )
