"""memx: the metadata of any huge file, in memory that does not grow with it.

The names below are imported on first use, so that `import memx` costs nothing and a program that reads
one format loads no other's library.
"""

TYPE_CHECKING = False  # what `typing` has under this name; its import would be half of what `memx --version` takes

if TYPE_CHECKING:
    from memx.engine.agent import MemoryManagementAgent as MemoryManagementAgent
    from memx.engine.agent import cleanup_memory_agent as cleanup_memory_agent
    from memx.engine.agent import get_memory_agent as get_memory_agent
    from memx.engine.analysis.analyzer import MemoryAnalyzer as MemoryAnalyzer
    from memx.engine.collector.optimizer import GarbageCollectionOptimizer as GarbageCollectionOptimizer
    from memx.engine.extraction import MemoryEfficientExtractor as MemoryEfficientExtractor
    from memx.engine.memory.buffers import MemoryResourcePool as MemoryResourcePool
    from memx.engine.memory.chunks import AdaptiveChunkSizer as AdaptiveChunkSizer
    from memx.engine.memory.levels import MemoryLevel as MemoryLevel
    from memx.engine.memory.monitor import MemoryMonitor as MemoryMonitor
    from memx.engine.memory.monitor import MemorySnapshot as MemorySnapshot
    from memx.engine.memory.strategy import ExtractionStrategy as ExtractionStrategy
    from memx.engine.options import StreamOptions as StreamOptions
    from memx.engine.reading.documents import extract as extract
    from memx.engine.reading.streaming import Stream as Stream
    from memx.engine.reading.streaming import stream as stream
    from memx.errors import CorruptFile as CorruptFile
    from memx.errors import FormatError as FormatError
    from memx.errors import LimitError as LimitError
    from memx.errors import MemxError as MemxError
    from memx.errors import OverLimit as OverLimit
    from memx.errors import OverMemory as OverMemory
    from memx.errors import ReaderCrashed as ReaderCrashed
    from memx.errors import SourceDenied as SourceDenied
    from memx.errors import SourceError as SourceError
    from memx.errors import SourceFailed as SourceFailed
    from memx.errors import SourceNotFound as SourceNotFound
    from memx.errors import TimedOut as TimedOut
    from memx.errors import TruncatedFile as TruncatedFile
    from memx.errors import UnsupportedSource as UnsupportedSource
    from memx.errors import UsageError as UsageError
    from memx.formats import StreamingExtractionFactory as StreamingExtractionFactory
    from memx.formats.audio import AudioStreamReader as AudioStreamReader
    from memx.formats.base import ReadOptions as ReadOptions
    from memx.formats.base import StreamReader as StreamReader
    from memx.formats.binary import BinaryStreamReader as BinaryStreamReader
    from memx.formats.dicom import DicomStreamReader as DicomStreamReader
    from memx.formats.fits import FitsStreamReader as FitsStreamReader
    from memx.formats.hdf5 import HDF5StreamReader as HDF5StreamReader
    from memx.formats.netcdf import NetCDFStreamReader as NetCDFStreamReader
    from memx.formats.video import VideoStreamReader as VideoStreamReader

__version__ = "0.1.0"

_HOMES = {
    "memx.engine.agent": ("MemoryManagementAgent", "cleanup_memory_agent", "get_memory_agent"),
    "memx.engine.analysis.analyzer": ("MemoryAnalyzer",),
    "memx.engine.memory.buffers": ("MemoryResourcePool",),
    "memx.engine.memory.chunks": ("AdaptiveChunkSizer",),
    "memx.engine.collector.optimizer": ("GarbageCollectionOptimizer",),
    "memx.engine.reading.documents": ("extract",),
    "memx.engine.extraction": ("MemoryEfficientExtractor",),
    "memx.engine.memory.levels": ("MemoryLevel",),
    "memx.engine.memory.monitor": ("MemoryMonitor", "MemorySnapshot"),
    "memx.engine.options": ("StreamOptions",),
    "memx.engine.memory.strategy": ("ExtractionStrategy",),
    "memx.engine.reading.streaming": ("Stream", "stream"),
    "memx.errors": (
        "CorruptFile",
        "FormatError",
        "LimitError",
        "MemxError",
        "OverLimit",
        "OverMemory",
        "ReaderCrashed",
        "SourceDenied",
        "SourceError",
        "SourceFailed",
        "SourceNotFound",
        "TimedOut",
        "TruncatedFile",
        "UnsupportedSource",
        "UsageError",
    ),
    "memx.formats": ("StreamingExtractionFactory",),
    "memx.formats.audio": ("AudioStreamReader",),
    "memx.formats.base": ("ReadOptions", "StreamReader"),
    "memx.formats.binary": ("BinaryStreamReader",),
    "memx.formats.dicom": ("DicomStreamReader",),
    "memx.formats.fits": ("FitsStreamReader",),
    "memx.formats.hdf5": ("HDF5StreamReader",),
    "memx.formats.netcdf": ("NetCDFStreamReader",),
    "memx.formats.video": ("VideoStreamReader",),
}
"""Where each public name lives; the imports above say the same to type checkers, and a test compares the two."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - a list, made from the table


def __getattr__(name: str) -> object:
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
