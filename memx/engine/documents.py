"""The records of one source folded into one: the `metadata` record of `memx extract`."""

from collections.abc import Generator, Iterable

from memx.engine.pauses import PauseRecorder, PauseStats
from memx.engine.session import Session
from memx.engine.strategy import StrategyPlan
from memx.errors import OverMemory, TimedOut
from memx.formats.documents import DOCUMENTS, Document, PlainDocument
from memx.records import Record

TYPE = "metadata"


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

    @property
    def ended(self) -> bool:
        """Whether the `end` was taken."""
        return bool(self._end)

    def take(self, record: Record) -> None:
        """Folds the next record in."""
        kind = record["type"]
        if kind == "file":
            self._file = record
            if record["format"] is not None:
                self._document = DOCUMENTS.get(record["format"], PlainDocument)(record)
        elif kind == "end":
            self._end = record
        elif kind == "error":
            self._faults += 1
            if self._fault is None or record["code"] in _STOPPED:
                self._fault = record
        elif self._document is not None:
            self._document.add(record)

    def take_all(self, records: Iterable[Record]) -> None:
        """Folds all of them in."""
        for record in records:
            self.take(record)

    def record(self, plan: StrategyPlan | None, available: int, pauses: PauseStats | None) -> Record:
        """The `metadata` record, once the `end` was taken.

        `plan` is how the source was read, with `available` bytes of memory at hand; None where it could not be
        opened. `pauses` are those of the collector.
        """
        document, fault, end = self._document, self._fault, self._end
        if document is not None:
            document.finish()
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
            "metadata": document.metadata if document else {},
        }
        if document is not None and document.truncated:
            record["metadata_truncated"] = True
        gc = {"collections": pauses.collections if pauses else 0, "pause_s": pauses.pause_s if pauses else 0.0}
        record["metrics"] = end["metrics"] | {"gc": gc}
        return record


_STOPPED = frozenset((OverMemory.code, TimedOut.code))
"""These end a reading, and say more of it than a fault in the file that it came across before."""


def _reason(fault: Record, faults: int) -> str:
    """One sentence for all that is wrong."""
    message: str = fault["message"]
    if faults == 1:
        return message
    return f"{message}; {faults - 1} more {'fault was' if faults == 2 else 'faults were'} found"


def folded(session: Session, predicted_peak: int | None = None) -> Generator[Record]:
    """The one `metadata` record of `session`, which is read to its end for it.

    A time-out that is raised in here from outside, and memory that is refused, end the reading, and are told.
    """
    fold = Fold(predicted_peak)
    records = iter(session)
    with PauseRecorder() as pauses:
        try:
            fold.take_all(records)
        except (TimedOut, MemoryError) as exc:
            # it struck here; in the session it would have been taken care of, so it is told there
            if not fold.ended:
                fold.take(records.throw(exc))
                fold.take_all(records)
    yield fold.record(session.plan, session.plan.available, pauses.stats)
