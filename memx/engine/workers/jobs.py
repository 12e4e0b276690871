"""What a worker is told: its orders when it starts, and then its jobs, each one line of JSON."""

import json
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import orjson

from memx.engine.memory.strategy import ExtractionStrategy
from memx.engine.options import StreamOptions
from memx.errors import LimitError, OverMemory, TimedOut
from memx.formats import Format
from memx.records import Record

NO_MEMORY = 71
"""With this status a worker ends where not even its last words found memory (EX_OSERR of sysexits.h)."""


NOTHING: dict[str, Any] = {
    "elapsed_s": 0.0,
    "bytes_read": 0,
    "peak_rss": 0,
    "peak_rss_delta": 0,
    "peak_exact": False,
}
"""The `metrics` of what was not even begun."""


class Why(IntEnum):
    """Why the parent wants an end of what a worker does."""

    TIME_IS_UP = 1
    STALLED = 2
    TOO_FAT = 3
    GO = 4
    """No job is to be begun any more."""


def limit_error(why: Why, options: StreamOptions) -> LimitError:
    """What a record says of it."""
    if why is Why.TIME_IS_UP:
        return TimedOut(f"the reading took more than {options.timeout or 0:g} seconds")
    if why is Why.STALLED:
        return TimedOut(f"nothing was read or computed for {options.stall or 0:g} seconds")
    return OverMemory("the memory that may be used does not hold what this file needs")


class Orders(NamedTuple):
    """What holds for all jobs of a worker."""

    options: StreamOptions
    documents: bool = False
    """Whether the records of a source are folded into one `metadata` record: see `memx.engine.reading.documents`."""
    answers: bool = False
    """Whether an `Answer` stands before each of those records."""
    outbox: int = -1
    """The descriptor of the memory that lines are gathered in: see `memx.engine.workers.outbox`."""

    def to_json(self) -> bytes:
        """One line."""
        return json_line(self._asdict() | {"options": self.options._asdict()})

    @classmethod
    def from_json(cls, line: bytes) -> "Orders":
        """What `to_json` wrote."""
        members = json.loads(line)
        options = members["options"]
        options["select"] = tuple(options["select"])
        options["strategy"] = options["strategy"] and ExtractionStrategy(options["strategy"])
        return cls(**members | {"options": StreamOptions(**options)})


class Job(NamedTuple):
    """One source to read: `file`, which records call `name`; None: as it is called."""

    number: int
    """Counts from 1."""
    file: str
    name: str | None = None
    spooled: bool = False
    """Whether `file` is a copy, to be removed where the parent is killed."""
    row: Format | None = None
    """Whose reader it is for; None: as its first bytes say."""
    construct: str | None = None
    """What of it only the library of that reader knows."""
    allowance: int | None = None
    """Bytes that the worker may have resident, all in all."""
    predicted_peak: int | None = None
    """What the `metadata` record says of it, in bytes."""
    last: bool = False
    """Whether the worker goes when this is done."""

    def to_json(self) -> bytes:
        """One line; of the row all but how it is detected."""
        members = self._asdict()
        if self.row is not None:
            members["row"] = self.row._asdict()
            del members["row"]["matches"]
        return _line(members)

    @classmethod
    def from_json(cls, line: bytes) -> "Job":
        """What `to_json` wrote."""
        members = _members(line)
        if members["row"] is not None:
            members["row"] = Format(**members["row"] | {"matches": lambda _head, _suffix: True})
        return cls(**members)


class Answer(NamedTuple):
    """What the parent has to know of a `metadata` record without reading it. Sizes in bytes."""

    number: int
    """That of the job; 0: the worker is ready, or `reason` says why it cannot be."""
    status: str
    code: str | None
    size: int | None
    peak_rss: int
    resident: int
    """What the worker kept when it was done and had given back what it could."""
    format: str | None = None
    elapsed_s: float = 0.0
    reason: str | None = None

    def to_json(self) -> bytes:
        """One line."""
        return _line(self._asdict())

    @classmethod
    def from_json(cls, line: bytes) -> "Answer":
        """What `to_json` wrote."""
        return cls(**_members(line))


def answer_to(record: Record, number: int = 0, resident: int = 0) -> Answer:
    """What is to be known of a `metadata` record."""
    metrics = record["metrics"]
    about = (record["status"], record["code"], record["size"], metrics["peak_rss"])
    return Answer(number, *about, resident, record["format"], metrics["elapsed_s"])


def json_line(members: Mapping[str, Any]) -> bytes:
    """One line of JSON as Python writes it: names that are no UTF-8 come back as they were, and so does infinity."""
    return json.dumps(members).encode("ascii") + b"\n"


def _line(members: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(members, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a name that is no UTF-8
        return json_line(members)


def _members(line: bytes) -> dict[str, Any]:
    try:
        members: dict[str, Any] = orjson.loads(line)
    except ValueError:
        members = json.loads(line)
    return members
