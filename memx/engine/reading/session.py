"""One source read in this process, between its `file` and its `end` line."""

import errno
import fnmatch
import os
import re
import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from memx.engine.collector.optimizer import GarbageCollectionOptimizer
from memx.engine.memory.budget import recently_available
from memx.engine.memory.process import PeakMeter, bytes_read_by_process
from memx.engine.memory.strategy import ExtractionStrategy, StrategyPlan, plan_for
from memx.engine.options import CHUNK_LENGTH, DEBUG, StreamOptions
from memx.engine.reading.librarian import Librarian
from memx.engine.reading.memory import ReadingMemory
from memx.errors import CorruptFile, MemxError, OverMemory, TruncatedFile
from memx.formats import Format
from memx.formats.base import BelongsTo, ReadOptions, StreamReader, fault, open_reader
from memx.formats.lane import cores
from memx.records import MAX_LINE, Record
from memx.sources import LocalFile, Source

if TYPE_CHECKING:
    from memx.engine.collector.setting import CollectorSetting
    from memx.engine.reading.companion import Companion

_RECORDS_A_LOOK = 32
_Part = Record | list[Record] | bytes


class Reading(Protocol):
    """One source being read in this process."""

    plan: StrategyPlan
    collector: str | None
    """The setting of the collector that the user has for it."""

    @property
    def position(self) -> int | None:
        """How far it has come, in bytes, if that is known."""

    @property
    def bytes_read(self) -> int:
        """What was read so far, as far as that is known."""

    def __iter__(self) -> Generator[Record]:
        """The records, from `file` to `end`."""


class Session:
    """The records of one open source, from `file` to `end`; iterate once.

    What is wrong with the source is never raised: it is an `error` record, and the status of `end`. The source
    can do what the reader of `row` asks for; `spooled` says that it is a copy. `prepare` is given in a worker: it
    is told each row that the file is read as; `construct` is what of it only the library of `row` knows. Raises
    BelongsTo, before the first record, where the file is for a library and this process is no worker.
    """

    def __init__(
        self,
        source: Source,
        row: Format,
        options: StreamOptions,
        *,
        spooled: bool = False,
        prepare: Callable[[Format], None] | None = None,
        construct: str | None = None,
    ) -> None:
        self._source = source
        self._row = row
        self._options = options
        self._spooled = spooled
        self._prepare = prepare
        self._constructs = [] if construct is None else [construct]
        self.plan = plan_for(source.size, recently_available(), options.strategy, options.chunk_size)
        self._setting = setting_of(options, row)
        self.collector = str(self._setting) if self._setting else None
        self._memory = ReadingMemory(self.plan.chunk_size)
        self._reader: StreamReader | None = None
        self._librarian: Librarian | None = None
        self._companion: Companion | None = None
        self._may_share = False
        self._named = False
        self._count = 0
        self._fault: Record | None = None
        self._status = "complete"
        self._reason: str | None = None

    @property
    def position(self) -> int:
        """How far the reading has come, in bytes."""
        return self._source.tell() if self._reader is None else self._reader.source.tell()

    @property
    def bytes_read(self) -> int:
        """What was read of the source so far, as far as memx read it itself."""
        return self._source.bytes_read

    @property
    def given(self) -> int:
        """How many lines were given so far, the `file` line among them."""
        return self._named + self._count

    def __iter__(self) -> Generator[Record]:
        return self._told(self._kept)

    def portions(self) -> Generator[Record | list[Record]]:
        """The same; where nothing is left out or added, some several at a time: see `StreamReader.portions`."""
        return self._told(self._kept if self._is_edited else lambda reader: reader.portions())

    def blocks(self) -> Generator[Record | bytes]:
        """The same; where nothing is left out or added, some records as lines: see `StreamReader.blocks`.

        Another process may tell some of them.
        """
        self._may_share = self._options.two_processes and not self._is_edited
        return self._told(self._kept if self._is_edited else lambda reader: reader.blocks())

    @property
    def _is_edited(self) -> bool:
        """Whether records are left out, or something is added to them."""
        options = self._options
        return bool(options.select) or options.limit is not None or options.with_path

    def _told(self, parts_of: Callable[[StreamReader], Iterable[_Part]]) -> Generator[Any]:
        reader_class = self._row.load()  # what it imports is no part of what the file costs
        # a library reads by itself: then only the kernel knows how much
        meter = Meter(asks_kernel=reader_class.access == "path")
        try:
            # the collector is set as long as records are asked for: their reader and their taker work in turns
            with collecting(self._setting, self.plan.strategy):
                yield from self._read(parts_of)
        except BelongsTo:
            raise
        except Exception as exc:
            if os.environ.get(DEBUG) and not isinstance(exc, MemxError):
                raise
            self._fail(error_record(exc))
        finally:
            if self._reader is not None:
                self._reader.close()
            for other in (self._librarian, self._companion):
                if other is not None:
                    other.close()
        if not self._named:
            self._named = True
            yield self._stamp(self._file(self._row.name, self._row.library or reader_class.reader))
        if self._fault is not None:
            self._count += 1
            yield self._stamp(self._fault)
        metrics = meter.metrics(self._source.bytes_read)
        if self._companion is not None:
            metrics["bytes_read"] += self._companion.bytes_read
            metrics["second_process_rss"] = self._companion.private
        asked = dict.fromkeys(self._constructs, 1) | (self._librarian.asked if self._librarian is not None else {})
        if asked:
            metrics["asked_library"] = asked
        yield self._stamp(end_record(self._source.path, self._status, self._reason, self._count, metrics))

    def _read(self, parts_of: Callable[[StreamReader], Iterable[_Part]]) -> Iterator[_Part]:
        if isinstance(self._source, LocalFile):
            self._source.drop_behind = self.plan.drop_behind
            if not self.plan.read_ahead:
                self._source.forgo_read_ahead()
        options = reader_options(self._options, self.plan, self._memory)
        self._librarian = Librarian(self._source.local_path(), options, self._options.max_memory)
        options = options._replace(ask_library=self._librarian, accompany=self._accompanied())
        self._reader, added = open_reader(
            self._source, self._row, options, libraries=self._prepare is not None, handed_on=self._is_of
        )
        self._named = True
        yield self._stamp(self._file(self._reader.format, self._reader.reader) | added)
        with_path = self._options.with_path
        for part in parts_of(self._reader):
            if not isinstance(part, dict):
                self._count += len(part) if isinstance(part, list) else part.count(b"\n")
                yield part
                self._memory.poll()
                continue
            if part["type"] == "error" and self._status == "complete":
                self._status, self._reason = "truncated", part["message"]
            told = self._stamp(part) if with_path else part
            self._count += 1  # right before it is given: signals strike at calls
            yield told
            if not self._count % _RECORDS_A_LOOK:
                self._memory.poll()

    def _accompanied(self) -> Callable[[], "Companion | None"] | None:
        """What starts a second process that reads along; None where there is no place for it."""
        if not self._may_share or self._prepare is not None or not isinstance(self._source, LocalFile):
            return None
        if sys.platform != "linux" or self.plan.strategy is ExtractionStrategy.CONSERVATIVE:
            return None
        return self._begin_to_share

    def _begin_to_share(self) -> "Companion | None":
        if cores() < 2:
            return None
        from memx.engine.reading.companion import Companion  # late: only what is long needs it

        assert self._reader is not None
        self._companion = companion = Companion(self._reader)
        try:
            companion.start()
        except OSError:  # there may be too many processes: it goes without
            companion.close()
            self._companion = None
        return self._companion

    def _is_of(self, row: Format, construct: str | None) -> None:
        self._row = row
        if construct is not None:
            self._constructs.append(construct)
        if self._prepare is not None:
            self._prepare(row)

    def _kept(self, records: Iterable[Record]) -> Iterable[Record]:
        """What `select` and `limit` leave; an `error` is kept always."""
        everything = not self._options.select and self._options.limit is None
        return records if everything else self._selected(records)

    def _selected(self, records: Iterable[Record]) -> Iterator[Record]:
        keep, limit = selector(self._options.select), self._options.limit
        given = 0
        for record in records:
            if record["type"] != "error":
                if not keep(record):
                    continue
                if given == limit:
                    self._reason = f"cut after {limit} records, as asked with --limit"
                    return
                given += 1
            yield record

    def _file(self, name: str, reader: str) -> Record:
        file = file_record(self._source.path, name, self._source.size, reader, self.plan)
        return file | {"spooled": True} if self._spooled else file

    def _fail(self, fault: Record) -> None:
        broke = fault["code"] == TruncatedFile.code or (fault["code"] == CorruptFile.code and self._count > 0)
        self._fault, self._status, self._reason = fault, "truncated" if broke else "failed", fault["message"]

    def _stamp(self, record: Record) -> Record:
        return record | {"source": self._source.path} if self._options.with_path else record


def setting_of(options: StreamOptions, row: Format) -> "CollectorSetting | None":
    """The user's setting of the collector for a file of `row`, or for the extractor; None where there is none."""
    if not options.collectors:
        return None
    from memx.engine.collector.setting import CollectorSetting, setting_for

    settings = {name: CollectorSetting.from_table(table) for name, table in options.collectors.items()}
    return setting_for(settings, row, options.extractor) or None


def collecting(setting: "CollectorSetting | None", strategy: ExtractionStrategy) -> AbstractContextManager[object]:
    """The collector as `setting` says, or as memx sees fit under `strategy`, for the length of a `with` block."""
    if setting is None:
        return GarbageCollectionOptimizer().applied(strategy)
    setting.prepare()
    return setting.applied(strategy)


def selector(patterns: Iterable[str]) -> Callable[[Record], bool]:
    """Whether a record's type, tag, keyword, path or name matches one of the shell `patterns`; all, for none."""
    alternatives = "|".join(map(fnmatch.translate, patterns))
    if not alternatives:
        return lambda _record: True
    match = re.compile(alternatives).match
    fields = ("type", "tag", "keyword", "path", "name")
    return lambda record: any(isinstance(text := record.get(field), str) and match(text) for field in fields)


class Meter:
    """What a source costs, from the making of this object on; `asks_kernel`: whether only that knows what is read."""

    def __init__(self, *, asks_kernel: bool = True) -> None:
        self._peak = PeakMeter()
        self._peak.start()
        self._began = time.monotonic()
        self._read_before = bytes_read_by_process() if asks_kernel else None

    def metrics(self, bytes_read: int = 0) -> dict[str, Any]:
        """The `metrics` of the `end` line; `bytes_read` is what was counted here."""
        if self._read_before is not None:
            bytes_read = bytes_read_by_process() - self._read_before
        peak = self._peak.peak()
        return {
            "elapsed_s": round(time.monotonic() - self._began, 6),
            "bytes_read": bytes_read,
            "peak_rss": peak,
            "peak_rss_delta": peak - self._peak.began_at,
            "peak_exact": self._peak.exact,
        }


def file_record(
    path: str, name: str | None, size: int | None, reader: str | None, plan: StrategyPlan | None = None
) -> Record:
    """The first line of a source."""
    return {
        "type": "file",
        "path": path,
        "format": name,
        "size": None if path == "-" else size,
        "reader": reader,
        "strategy": plan and plan.strategy,
        "chunk_size": plan and plan.chunk_size,
    }


def error_record(error: Exception) -> Record:
    """The `error` line of what went wrong; what memx did not foresee is `internal`, and says so."""
    if isinstance(error, MemxError):
        return fault(error.code, error.message, error.offset)
    if is_want_of_memory(error):
        return fault(OverMemory.code, "the memory that may be used does not hold what this file needs")
    what = f"{type(error).__name__}: {error}"[:500]
    return fault(
        MemxError.code, f"memx failed here, which is a bug worth reporting ({what}); set {DEBUG}=1 to see where"
    )


def is_want_of_memory(error: Exception) -> bool:
    """Whether memory was refused: to Python itself, to a call of the system, to a library being loaded, to a thread."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, MemoryError) or (
        isinstance(error, ImportError | RuntimeError) and any(sign in str(error) for sign in _WANT_OF_MEMORY)
    )


_WANT_OF_MEMORY = (
    "failed to map segment",
    "cannot map zero-fill pages",
    "cannot change memory protections",
    "annot allocate memory",
    "can't start new thread",
)
"""What the dynamic linker (glibc), strerror(3) and CPython say then."""


def end_record(path: str, status: str, reason: str | None, count: int, metrics: dict[str, Any]) -> Record:
    """The last line of a source."""
    return {"type": "end", "path": path, "status": status, "reason": reason, "records": count, "metrics": metrics}


def reader_options(options: StreamOptions, plan: StrategyPlan, memory: ReadingMemory) -> ReadOptions:
    """What a reader is told under `plan`; its buffers are lent by `memory`."""
    return ReadOptions(
        chunk_size=plan.chunk_size,
        current_chunk_size=memory.polled_chunk_size if options.summary else memory.current_chunk_size,
        lend=memory.lend,
        chunk_length=options.chunk_size or CHUNK_LENGTH,
        max_value_bytes=min(options.max_value_bytes, MAX_LINE),  # what no line holds need not be read
        frame_length=options.frame_length,
        hop_length=options.hop_length or options.frame_length,
        format=options.format,
        chunks=options.chunks and not options.summary,
        summary=options.summary,
    )
