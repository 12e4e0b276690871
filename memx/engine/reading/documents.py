"""The records of one source folded into one: the `metadata` record of `memx extract`."""

import os
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from memx.engine.analysis.prediction import PeakHistory
from memx.engine.collector.pauses import PauseRecorder, PauseStats
from memx.engine.memory.budget import available_memory
from memx.engine.memory.process import resident
from memx.engine.memory.strategy import StrategyPlan, plan_for
from memx.engine.options import StreamOptions
from memx.engine.reading.closely import CloseLook
from memx.engine.reading.session import Reading, Session
from memx.engine.reading.streaming import Inside, Stream
from memx.engine.workers.jobs import Job
from memx.errors import LimitError, MemxError, OverMemory, TimedOut
from memx.formats import Format, detect
from memx.formats.documents import DOCUMENTS, Document, PlainDocument
from memx.records import Record, binary, decode
from memx.sources import Origin, Source, open_source

TYPE = "metadata"
RETURNED = "returned"
"""The type of a record that bears the whole document, as an extractor of the user returned it."""


_APART = frozenset(("file", "end", "error", RETURNED))
"""Types of records that are no part of a document."""


class Fold:
    """Takes the records of one source, from `file` to `end`; `record` is what they come to.

    `predicted_peak` is the resident memory in bytes that the reading was expected to stay below.
    """

    def __init__(self, predicted_peak: int | None = None) -> None:
        self._predicted_peak = predicted_peak
        self._document: Document | None = None
        self._file: Record = {}
        self._end: Record = {}
        self._faults = 0
        self._fault: Record | None = None
        self._returned: Record | None = None

    @property
    def ended(self) -> bool:
        """Whether the `end` was taken."""
        return bool(self._end)

    def take(self, record: Record) -> None:
        """Folds the next record in."""
        kind = record["type"]
        if kind not in _APART:
            if self._document is not None:
                self._document.add(record)
        elif kind == "file":
            self._file = record
            if record["format"] is not None:
                self._document = DOCUMENTS.get(record["format"], PlainDocument)(record)
        elif kind == "end":
            self._end = record
        elif kind == "error":
            self._faults += 1
            if self._fault is None or record["code"] in _STOPPED:
                self._fault = record
        elif kind == RETURNED:
            self._returned = record

    def take_all(self, portions: Iterable[Record | list[Record]]) -> None:
        """Folds all of them in; several at a time are none but those of a document."""
        for portion in portions:
            if isinstance(portion, dict):
                self.take(portion)
            elif self._document is not None:
                for record in portion:
                    self._document.add(record)

    def record(
        self, plan: StrategyPlan | None, available: int, pauses: PauseStats | None, collector: str | None = None
    ) -> Record:
        """The `metadata` record, once the `end` was taken.

        `plan` is how the source was read, with `available` bytes of memory at hand; None where it could not be
        opened. `pauses` are those of the collector, and `collector` the user's setting of it.
        """
        fault, end = self._fault, self._end
        metadata, truncated = self._contents()
        record: Record = {
            "type": TYPE,
            "path": end["path"],
            "format": self._file["format"],
            "size": self._file["size"],
            "status": end["status"],
            "reason": _reason(fault, self._faults) if fault else end["reason"],
            "code": fault and fault["code"],
            "strategy": {
                "name": plan and str(plan.strategy),
                "reason": plan and plan.reason,
                "available": available,
                "predicted_peak": self._predicted_peak,
            },
            "metadata": metadata,
        }
        if collector is not None:
            record["strategy"]["collector"] = collector
        if truncated:
            record["metadata_truncated"] = True
        gc = {"collections": pauses.collections if pauses else 0, "pause_s": pauses.pause_s if pauses else 0.0}
        record["metrics"] = end["metrics"] | {"gc": gc}
        return record

    def _contents(self) -> tuple[Any, bool]:
        """The document, and whether it was cut."""
        if self._returned is not None:
            return self._returned["metadata"], self._returned["truncated"]
        if self._document is None:
            return {}, False
        self._document.finish()
        return self._document.metadata, self._document.truncated


_STOPPED = frozenset((OverMemory.code, TimedOut.code))
"""These end a reading, and say more of it than a fault in the file that it came across before."""


def _reason(fault: Record, faults: int) -> str:
    """One sentence for all that is wrong."""
    message: str = fault["message"]
    if faults == 1:
        return message
    return f"{message}; {faults - 1} more {'fault was' if faults == 2 else 'faults were'} found"


def folded(session: Reading, predicted_peak: int | None = None, look: CloseLook | None = None) -> Generator[Record]:
    """The one `metadata` record of `session`, which is read to its end for it; `look` adds to its metrics.

    A time-out that is raised in here from outside, and memory that is refused, end the reading, and are told.
    """
    fold = Fold(predicted_peak)
    portions: Generator[Record | list[Record]]
    if look is None:
        portions = looked_at = session.portions() if isinstance(session, Session) else iter(session)
    else:
        portions = records = iter(session)
        looked_at = look.over(records)
    with PauseRecorder() as pauses:
        try:
            fold.take_all(looked_at)
        except (TimedOut, MemoryError) as exc:
            # it struck here; in the session it would have been taken care of, so it is told there
            if not fold.ended:
                fold.take_all([portions.throw(exc)])
                fold.take_all(portions)
    record = fold.record(session.plan, session.plan.available, pauses.stats, session.collector)
    if look is not None:
        record["metrics"] |= look.figures()
    yield record


class Extraction(Stream):
    """One source read into one `metadata` record, which is all that `records()` and `lines()` give.

    What is wrong with the source is never raised: it is the record's `code` and `reason`. Where a worker dies,
    the record is made here. A KeyboardInterrupt leaves no record. Raises UsageError for a format that does
    not exist.

    `elsewhere` gives the record's line of a path that a library has to read; without it, a worker is started for
    it. `history` is told what a file cost, and says what to expect of this one, if `predicted_peak` does not.
    """

    _last = TYPE

    def __init__(
        self,
        origin: Origin,
        options: StreamOptions | None = None,
        history: PeakHistory | None = None,
        *,
        inside: Inside | None = None,
        predicted_peak: int | None = None,
        elsewhere: Callable[[str], bytes] | None = None,
    ) -> None:
        super().__init__(origin, (options or StreamOptions())._replace(summary=True), inside=inside)
        self._history = history
        self._key: str | None = None
        self._predicted = predicted_peak
        self._elsewhere = elsewhere
        self._stamp_of_file = _file_stamp(origin, spooled=inside is not None and inside.spooled)

    def document(self) -> Record:
        """The `metadata` record."""
        (record,) = self.records()
        return record

    def lost(self, error: MemxError, metrics: dict[str, Any]) -> Record:
        """The record of a file whose worker died over it, or never began it."""
        name = None
        if isinstance(self._origin, str) and os.path.isfile(self._origin):
            try:
                with open_source(self._origin) as source:
                    self.size = source.size
                    name = detect(source, self.options.format).name
            except MemxError:
                pass  # what the worker died of says more
        (record,) = self._closing(
            {"type": "file", "path": self.path, "format": name, "size": self.size}, 0, error, metrics
        )
        return record

    def _from_here(self, row: Format, source: Source, copy: Source) -> Iterator[Record | bytes]:
        self._predict(row, source)
        return super()._from_here(row, source, copy)

    def _from_worker(
        self, row: Format, source: Source, copy: Source, construct: str | None
    ) -> Iterator[Record | bytes]:
        path = copy.local_path()
        if self._elsewhere is None or path is None or copy is not source:
            yield from super()._from_worker(row, source, copy, construct)
            return
        line = self._elsewhere(path)
        self._ended(decode(line))
        yield line

    def _told(self, session: Reading) -> Iterator[Record]:
        look = CloseLook(rises=self.options.rises) if self.options.closely else None
        return map(self._stamped, folded(session, self._predicted, look))

    def _job(self, path: str, row: Format, source: Source, *, spooled: bool) -> Job:
        self._predict(row, source)
        return super()._job(path, row, source, spooled=spooled)._replace(predicted_peak=self._predicted)

    def _predict(self, row: Format, source: Source) -> None:
        if self._history is not None:
            self._key, self._predicted = row.key, self._history.predict(row.key, source.size)

    def _ended(self, record: Record) -> None:
        super()._ended(record)
        if self._key is not None and self._history is not None:
            self._history.note(self._key, record["size"], record["metrics"]["peak_rss"])

    def _closing(
        self, file: Record | None, lines: int, error: Exception | None, metrics: dict[str, Any]
    ) -> Iterator[Record]:
        fold, available = Fold(self._predicted), self._available()
        fold.take_all(super()._closing(file, lines, error, metrics))
        opened = file is not None and file["format"] is not None
        plan = plan_for(self.size, available, self.options.strategy, self.options.chunk_size) if opened else None
        yield self._stamped(fold.record(plan, available, None))

    def _available(self) -> int:
        """Bytes that a worker may take, as it would have seen them."""
        allowed, there = self.options.max_memory, available_memory()
        return there if allowed is None else min(there, max(0, allowed - resident()))

    def _cut_short(self, error: KeyboardInterrupt | LimitError, given: int) -> Iterator[Record]:
        return iter(()) if isinstance(error, KeyboardInterrupt) else super()._cut_short(error, given)

    def _stamped(self, record: Record) -> Record:
        """`record`, with what tells whether its file is still the same, and from whom it is."""
        metrics = record.pop("metrics")
        record.update(self._stamp_of_file)
        if self.options.extractor is not None:
            record["extractor"] = self.options.extractor
        record["metrics"] = metrics
        return record


def _file_stamp(origin: Origin, *, spooled: bool) -> dict[str, Any]:
    """`mtime`, and `path_bytes` where the path is no UTF-8: what is lost in `path`."""
    if spooled or not isinstance(origin, str | os.PathLike) or origin == "-":
        return {"mtime": None}
    stamp: dict[str, Any] = {"mtime": modified(origin)}
    try:
        os.fspath(origin).encode("utf-8")
    except UnicodeEncodeError:
        stamp["path_bytes"] = binary(os.fsencode(origin))
    return stamp


def modified(path: str | os.PathLike[str]) -> str | None:
    """When a regular file was last modified, to the nanosecond, as ISO 8601 in UTC; None for anything else."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            return None
        nanoseconds = found.st_mtime_ns
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09}Z"
    except (OSError, ValueError, OverflowError):
        return None


def extract(origin: Origin, options: StreamOptions | None = None) -> Record:
    """The `metadata` record of `origin`: one document of at most 1 MiB, read under memory management.

    Raises UsageError for a format that does not exist, and nothing else: a source that cannot be read gives a
    record with its `code`.
    """
    return Extraction(origin, options, PeakHistory()).document()
