"""What the caller may say of a reading: one object from the command line down to a worker."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from memx.engine.memory.strategy import ExtractionStrategy

CHUNK_LENGTH = 1 << 20
FRAME_LENGTH = 2048
MAX_VALUE_BYTES = 1 << 16
DEBUG = "MEMX_DEBUG"
"""Where this variable is set, an unforeseen error is raised with its traceback."""


class StreamOptions(NamedTuple):
    """What the caller of `stream` may say. Sizes in bytes, frames in samples; None is: as memx sees fit."""

    format: str | None = None
    select: tuple[str, ...] = ()
    """Shell patterns; a record is kept where one matches its type, tag, keyword, path or name."""
    limit: int | None = None
    """At most so many records a source."""
    chunk_size: int | None = None
    max_value_bytes: int = MAX_VALUE_BYTES
    frame_length: int = FRAME_LENGTH
    hop_length: int | None = None
    """None: as the frame length, so that frames do not overlap."""
    strategy: ExtractionStrategy | None = None
    with_path: bool = False
    max_memory: int | None = None
    """Bytes of the whole of memx; the reading then runs in a worker whose limit the kernel holds."""
    timeout: float | None = None
    """Seconds for one source; the reading then runs in a worker that can be stopped."""
    stall: float | None = None
    """Seconds that a worker may spend on one source without reading or computing anything."""
    extractor: str | None = None
    """`module:function`, or the name of an entry point, that is called instead of memx's readers."""
    chunks: bool = False
    """Whether each chunk of a chunked data set (HDF5, NetCDF-4) gets a record."""
    summary: bool = False
    """Only what describes the whole source: no frames, packets or chunks."""
    closely: bool = False
    """Whether a `metadata` record tells the use of the processor too: see `memx.engine.reading.closely`."""
    rises: bool = False
    """Whether that tells also which records raised the peak; it looks after each of them."""
    collectors: Mapping[str, Mapping[str, Any]] | None = None
    """Settings of the collector as tables, by format or extractor: see `memx.engine.collector.setting`."""
    two_processes: bool = False
    """Whether this process may be forked for a second one that reads a long film along: see
    `memx.engine.reading.companion`. Not for programs whose other threads hold what a fork must not inherit."""
    repeat: int = 0
    """So often, or more, a worker reads the source to tell what stays behind: see `memx.engine.reading.repeating`."""

    @property
    def needs_worker(self) -> bool:
        """Whether a process of its own has to hold what is asked for."""
        limits = (self.timeout, self.stall, self.max_memory, self.extractor)
        return any(limit is not None for limit in limits)
