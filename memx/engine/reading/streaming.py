"""The way of a byte: open, detect, and the records, from this process or from a worker."""

import time
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

from memx.engine.memory.process import resident
from memx.engine.options import StreamOptions
from memx.engine.reading.session import Reading, Session, end_record, error_record, file_record
from memx.engine.workers.jobs import Job, Orders
from memx.errors import LimitError, MemxError, ReaderCrashed, TruncatedFile, UsageError
from memx.formats import Format, by_key, detect, format_names
from memx.formats.base import BelongsTo, fault, suited
from memx.records import Record, decode, encode
from memx.sources import LocalFile, Origin, Source, name_of, open_source
from memx.sources.local import open_descriptor


class Inside(NamedTuple):
    """What a worker knows of the source that it reads: there, libraries may be loaded."""

    prepare: Callable[[Format], None]
    """Told each row that the source is read as, before its reader is loaded."""
    name: str | None = None
    """What records call the source; None: as it is called."""
    row: Format | None = None
    """None: as its first bytes say."""
    spooled: bool = False
    """Whether the source is a copy."""
    construct: str | None = None
    """What of the source only a library knows, by the word of memx's own reader."""
    call: Callable[[Source, Format, StreamOptions], Reading] | None = None
    """What reads it instead of memx's readers: the user's extractor."""


class Stream:
    """The records of one source, with the `file` line before them and the `end` line behind.

    Iterate `records()` or `lines()`, once. What is wrong with the source is never raised: it is an `error`
    line, and the status of the `end` line. What a library has to read is read in a process of its own. A
    KeyboardInterrupt, thrown in or struck inside, is raised again after the `end` line was given.
    Raises UsageError for a format that does not exist.
    """

    _last = "end"
    """The type of the last record, which has the status."""

    def __init__(self, origin: Origin, options: StreamOptions | None = None, *, inside: Inside | None = None) -> None:
        self.path = name_of(origin) if inside is None or inside.name is None else inside.name
        self.options = options or StreamOptions()
        self.size: int | None = None
        self.status: str | None = None
        """`complete`, `truncated` or `failed`, once the `end` line was given."""
        self.worker_pid: int | None = None
        self._origin = origin
        self._began = time.monotonic()
        self._session: Reading | None = None
        self._inside = inside
        self._in_blocks = False
        if self.options.format not in (None, *format_names()):
            raise UsageError(f"there is no format {self.options.format!r}: choose from {', '.join(format_names())}")

    @property
    def write_batch(self) -> int | None:
        """How many bytes of lines are best written at once; None where that is not known."""
        return None if self._session is None else self._session.plan.write_batch

    @property
    def position(self) -> int | None:
        """How far the reading has come, in bytes; None where that is not known."""
        return None if self._session is None else self._session.position

    def records(self) -> Generator[Record]:
        """Each record as a dictionary of JSON's types."""
        return self.parts(blocks=False)  # type: ignore[return-value]  # no blocks, for none were asked for

    def lines(self) -> Generator[bytes]:
        """The records as JSON: one or several whole lines at a time, each with its newline."""
        parts, in_hand = self.parts(), None
        try:
            while True:
                try:
                    for part in parts:
                        in_hand = part
                        line = part if isinstance(part, bytes) else encode(part)
                        in_hand = None  # right before it is given: signals strike at calls
                        yield line
                    return
                except KeyboardInterrupt as exc:  # struck, or was thrown in, here: the parts have a last word to say
                    if in_hand is not None:
                        yield in_hand if isinstance(in_hand, bytes) else encode(in_hand)
                        in_hand = None
                    part = parts.throw(exc)  # raises it again where nothing is left to say
                    yield part if isinstance(part, bytes) else encode(part)
        finally:
            parts.close()

    def parts(self, *, blocks: bool = True) -> Generator[Record | bytes]:
        """The records as they come: one by one, or, with `blocks`, some as whole lines."""
        self._in_blocks = blocks
        given, last, parts = 0, False, self._opened()
        try:
            for part in parts:
                for told in map(decode, part.splitlines()) if isinstance(part, bytes) and not blocks else (part,):
                    lines = self._lines_of(told, given)
                    last = self._is_last(told)
                    given += lines  # right before it is given: signals strike at calls
                    yield told
        except (KeyboardInterrupt, LimitError) as exc:  # it struck outside of the session, which tells of it itself
            parts.close()
            if not last:
                yield from self._cut_short(exc, given)
            if isinstance(exc, KeyboardInterrupt):
                raise
        finally:
            parts.close()

    def _opened(self) -> Generator[Record | bytes]:
        """Records, read in this process, or blocks of lines that a worker wrote."""
        try:
            source = self._open()
        except MemxError as exc:
            yield from self._unreadable(None, exc)
            return
        construct = None
        with source:
            self.size = source.size
            try:
                row = self._row(source)
                isolated = self._inside is None and (row.library is not None or self.options.needs_worker)
                by_path = isolated or self.options.extractor is not None
                copy = suited(source, "path" if by_path else row.load().access)
            except MemxError as exc:
                yield from self._unreadable(source, exc)
                return
            with copy:
                if not isolated:
                    try:
                        yield from self._from_here(row, source, copy)
                        return
                    except BelongsTo as direction:  # to a library, which is not loaded here
                        row, construct = by_key(direction.key), direction.construct
                yield from self._from_worker(row, source, copy, construct)

    def _open(self) -> Source:
        if self._inside is None or self._inside.name is None:
            return open_source(self._origin)
        assert isinstance(self._origin, str)
        return LocalFile(open_descriptor(self._origin), self.path, name=self._origin)

    def _row(self, source: Source) -> Format:
        """What `source` is to be read as."""
        if self._inside is None:
            return detect(source, self.options.format)
        row = self._inside.row or detect(source, self.options.format)
        self._inside.prepare(row)
        return row

    def _from_here(self, row: Format, source: Source, copy: Source) -> Iterator[Record | bytes]:
        inside, spooled = self._inside, copy is not source
        if inside is None:
            self._session = Session(copy, row, self.options, spooled=spooled)
        elif inside.call is not None:
            self._session = inside.call(copy, row, self.options)
        else:
            spooled = spooled or inside.spooled
            self._session = Session(
                copy, row, self.options, spooled=spooled, prepare=inside.prepare, construct=inside.construct
            )
        for record in self._told(self._session):
            if not isinstance(record, bytes) and record["type"] == self._last:
                self._ended(record)
            yield record

    def _from_worker(
        self, row: Format, source: Source, copy: Source, construct: str | None
    ) -> Iterator[Record | bytes]:
        from memx.engine.workers.worker import Worker  # late: workers themselves never need it

        self._session = None
        path = copy.local_path()
        assert path is not None
        worker = Worker(Orders(self.options, documents=self._last != "end"))
        worker.send(self._job(path, row, source, spooled=copy is not source)._replace(construct=construct))
        worker.flush()
        self.worker_pid = worker.pid
        lines, stopped = 0, None
        try:
            for block in worker.blocks():
                lines += block.count(b"\n")
                last = block[block.rfind(b"\n", 0, -1) + 1 :]
                if last.startswith(b'{"type":"%s"' % self._last.encode()):
                    self._ended(decode(last))
                yield block
        except MemxError as exc:
            stopped = exc
        finally:
            self.worker_pid = None
            worker.close()
        if self.status is None:
            file = None if lines else file_record(source.path, row.name, source.size, row.library or "direct")
            yield from self._closing(file, lines - 1, stopped, worker.metrics())

    def _job(self, path: str, row: Format, source: Source, *, spooled: bool) -> Job:
        """What a worker is to do with the file at `path`."""
        budget = self.options.max_memory
        allowance = None if budget is None else budget - resident()
        return Job(1, path, source.path, spooled=spooled, row=row, allowance=allowance, last=True)

    def _told(self, session: Reading) -> Iterator[Record | bytes]:
        """What of `session` leaves memx."""
        return session.blocks() if self._in_blocks and isinstance(session, Session) else iter(session)

    def _ended(self, record: Record) -> None:
        """This was the last record."""
        self.status = record["status"]

    def _closing(
        self, file: Record | None, lines: int, error: Exception | None, metrics: dict[str, Any]
    ) -> Iterator[Record]:
        """What whoever read the file could not say any more: `file`, if it was not said, an error, the end."""
        if file is not None:
            lines = 0
            yield self._stamp(file)
        record = error_record(error or ReaderCrashed("the process that read the file gave no end"))
        yield self._stamp(record)
        self.status = "failed"
        yield self._stamp(end_record(self.path, self.status, record["message"], lines + 1, metrics))

    def _lines_of(self, part: Record | bytes, given: int) -> int:
        """How many lines there are in a part, behind `given` others."""
        if not isinstance(part, bytes):
            return 1
        # counting takes longer than writing: the session has done it
        return self._session.given - given if isinstance(self._session, Session) else part.count(b"\n")

    def _is_last(self, part: Record | bytes) -> bool:
        if isinstance(part, bytes):
            return part.startswith(b'{"type":"%s"' % self._last.encode(), part.rfind(b"\n", 0, -1) + 1)
        return bool(part["type"] == self._last)

    def _cut_short(self, error: KeyboardInterrupt | LimitError, given: int) -> Iterator[Record]:
        """The lines that are missing after `given` lines when the reading is ended from outside."""
        metrics = self._metrics(0 if self._session is None else self._session.bytes_read)
        if isinstance(error, LimitError):
            file = None if given else file_record(self.path, None, self.size, None)
            yield from self._closing(file, given - 1, error, metrics)
            return
        if not given:
            yield self._stamp(file_record(self.path, None, self.size, None))
        yield self._stamp(fault(TruncatedFile.code, "interrupted"))
        self.status = "truncated"
        yield self._stamp(end_record(self.path, self.status, "interrupted", max(1, given), metrics))

    def _metrics(self, bytes_read: int) -> dict[str, Any]:
        """The `metrics` of a source that no session came to the end of."""
        return {
            "elapsed_s": round(time.monotonic() - self._began, 6),
            "bytes_read": bytes_read,
            "peak_rss": resident(),
            "peak_rss_delta": 0,
            "peak_exact": False,
        }

    def _unreadable(self, source: Source | None, reason: MemxError) -> Iterator[Record]:
        """The lines of a source that cannot be read at all."""
        return self._closing(
            file_record(self.path, None, None if source is None else source.size, None),
            0,
            reason,
            self._metrics(0),
        )

    def _stamp(self, record: Record) -> Record:
        return record | {"source": self.path} if self.options.with_path else record


def stream(origin: Origin, options: StreamOptions | None = None) -> Iterator[Record]:
    """The records of `origin`, from `file` to `end`, each as soon as it is read.

    Memory does not grow with the file or with the number of records. Raises UsageError for a format that
    does not exist, and nothing else: a broken source gives `error` and `end` records.
    """
    return Stream(origin, options).records()
