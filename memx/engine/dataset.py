"""Many files, one document each."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from memx.engine.budget import available_memory
from memx.engine.discovery import discover, identity
from memx.engine.documents import TYPE, Fold, folded
from memx.engine.prediction import MARGIN, predict_peak
from memx.engine.process import resident
from memx.engine.session import Session, StreamOptions
from memx.engine.strategy import plan_for
from memx.engine.streaming import Stream
from memx.engine.workers import Job
from memx.formats import Format
from memx.records import Record
from memx.sources import Origin, Source

_REMEMBERED = 256


class PeakHistory:
    """What the files of each kind peaked at, of the last ones that were read, and so what the next one will."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[tuple[int, int]]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))

    def predict(self, key: str, size: int | None) -> int:
        """Resident bytes that the next file of the row `key` should stay below: see `memx.engine.prediction`.

        For the first that is what memx has now, and the same room for error.
        """
        runs = self._runs[key]
        predicted = predict_peak([size for size, _ in runs], [peak for _, peak in runs], size)
        return resident() + MARGIN if predicted is None else predicted

    def note(self, key: str, size: int | None, peak: int) -> None:
        """A file of the row `key` was read."""
        if size is not None and peak:
            self._runs[key].append((size, peak))


class Extraction(Stream):
    """One source read into one `metadata` record, which is all that `records()` and `lines()` give.

    What is wrong with the source is never raised: it is the record's `code` and `reason`. Where a worker dies,
    the record is made here. A KeyboardInterrupt leaves no record. Raises UsageError for a format that does
    not exist.
    """

    _last = TYPE

    def __init__(
        self, origin: Origin, options: StreamOptions | None = None, history: PeakHistory | None = None
    ) -> None:
        super().__init__(origin, replace(options or StreamOptions(), summary=True))
        self._history = history or PeakHistory()
        self._key: str | None = None
        self._predicted: int | None = None

    def document(self) -> Record:
        """The `metadata` record."""
        (record,) = self.records()
        return record

    def _from_here(self, row: Format, source: Source, copy: Source) -> Iterator[Record | bytes]:
        self._predict(row, source)
        return super()._from_here(row, source, copy)

    def _told(self, session: Session) -> Iterator[Record]:
        return folded(session, self._predicted)

    def _job(self, path: str, row: Format, source: Source, *, spooled: bool) -> Job:
        self._predict(row, source)
        job = super()._job(path, row, source, spooled=spooled)
        return replace(job, document=True, predicted_peak=self._predicted)

    def _predict(self, row: Format, source: Source) -> None:
        self._key, self._predicted = row.key, self._history.predict(row.key, source.size)

    def _ended(self, record: Record) -> None:
        super()._ended(record)
        if self._key is not None:
            self._history.note(self._key, record["size"], record["metrics"]["peak_rss"])

    def _closing(
        self, file: Record | None, lines: int, error: Exception | None, metrics: dict[str, Any]
    ) -> Iterator[Record]:
        fold, available = Fold(self._predicted), self._available()
        fold.take_all(super()._closing(file, lines, error, metrics))
        opened = file is not None and file["format"] is not None
        plan = plan_for(self.size, available, self.options.strategy, self.options.chunk_size) if opened else None
        yield fold.record(plan, available, None)

    def _available(self) -> int:
        """Bytes that a worker may take, as it would have seen them."""
        allowed, there = self.options.max_memory, available_memory()
        return there if allowed is None else min(there, max(0, allowed - resident()))

    def _interrupted(self, given: int) -> Iterator[Record]:
        return iter(())


def extract(origin: Origin, options: StreamOptions | None = None) -> Record:
    """The `metadata` record of `origin`: one document of at most 1 MiB, read under memory management.

    Raises UsageError for a format that does not exist, and nothing else: a source that cannot be read gives a
    record with its `code`.
    """
    return Extraction(origin, options).document()


def extractions(
    paths: Iterable[str], options: StreamOptions | None = None, *, output: str | int | None = None
) -> Iterator[Extraction]:
    """An `Extraction` for each file of `paths`, folders walked; `output` is the file being written, left out there.

    They share what they learn of memory: read one before you ask for the next.
    """
    history = PeakHistory()
    without = None if output is None else identity(output)
    for path in discover(paths, without):
        yield Extraction(path, options, history)
