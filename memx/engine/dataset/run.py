"""Many files, one document each: found, read, and counted; nothing lost."""

import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from memx.engine.analysis.prediction import PeakHistory
from memx.engine.dataset.discovery import size_of
from memx.engine.dataset.feed import Feed, One
from memx.engine.dataset.pool import Done, Pool, Task
from memx.engine.memory.budget import available_memory
from memx.engine.memory.process import resident
from memx.engine.options import StreamOptions
from memx.engine.reading.documents import Extraction, modified
from memx.engine.workers.jobs import Answer, answer_to
from memx.errors import MemxError
from memx.formats.base import suited
from memx.records import Record, decode, encode
from memx.sources import open_source

if TYPE_CHECKING:
    from memx.engine.dataset.journal import Journal

STALL = 300.0
"""Seconds without any progress after which a worker gives a file up, where nothing else was asked for."""
GRACE = 10.0
"""Seconds that the files in hand have to be finished when the run is interrupted."""
_COUNTING = 2.0
"""Seconds that are spent on counting what an interrupted run leaves."""


class Tally:
    """What a run came to, so far."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.files = self.bytes = self.skipped = self.peak_rss = 0
        self.statuses: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()
        self.elapsed_s = 0.0
        """Seconds that were spent on the files, by all workers together."""

    def note(self, answer: Answer) -> None:
        """A file is done."""
        self.files += 1
        self.bytes += answer.size or 0
        self.statuses[answer.status] += 1
        if answer.code:
            self.codes[answer.code] += 1
        self.formats[answer.format or "unknown"] += 1
        self.peak_rss = max(self.peak_rss, answer.peak_rss)
        self.elapsed_s += answer.elapsed_s

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self.began


class Run:
    """Reads many files, each into one `metadata` record: iterate `lines()` or `records()`, once.

    `paths` is gone through by a thread of its own. With `jobs`, or where the options ask for anything that needs
    a process of its own, files are read by so many workers (one, for None); else in this process, and only what
    libraries read by a worker. Files whose line stands in `journal` are left out. Raises UsageError where the
    user's extractor cannot be used, before any file is read.
    """

    path, size, position, write_batch = "", None, None, None

    def __init__(
        self,
        paths: Iterable[str],
        options: StreamOptions | None = None,
        *,
        jobs: int | None = None,
        journal: "Journal | None" = None,
    ) -> None:
        self.options = options or StreamOptions()
        self.tally = Tally()
        self.left: tuple[int, bool] | None = None
        """After an interrupt: how many files were not read, and whether all of them were counted."""
        self._paths = paths
        self._jobs = jobs
        self._journal = journal
        self._stopping = False
        self._dropped = 0
        self._reading: str | None = None
        self._history = PeakHistory()
        self._libraries: Pool | None = None
        self.pool = self._pool()
        if self.options.extractor is not None and self.pool is not None:
            try:
                self.pool.start()
            except BaseException:
                self.pool.close()
                raise

    @property
    def status(self) -> str:
        """`complete`, if every file was."""
        return "complete" if self.tally.statuses["complete"] == self.tally.files else "failed"

    def in_hand(self) -> list[tuple[int | None, str, int]]:
        """What is being read: the worker (None: this process), the path, and the bytes that it keeps resident."""
        if self.pool is not None:
            return list(self.pool.in_hand())
        return [] if self._reading is None else [(None, self._reading, resident())]

    def records(self) -> Iterator[Record]:
        """The record of each file."""
        return map(decode, self.lines())

    def lines(self) -> Iterator[bytes]:
        """The record of each file as a line, as soon as it is done."""
        feed = Feed(self._tasks())
        try:
            for done in self._done(feed):
                self.tally.note(done.answer)
                yield done.line
            if self._stopping:
                count, all_of_them = feed.left(_COUNTING)
                self.left = count + self._dropped + (self.pool.dropped if self.pool else 0), all_of_them
        finally:
            feed.close()
            for pool in (self.pool, self._libraries):
                if pool is not None:
                    pool.close()

    def interrupt(self) -> None:
        """Finishes what is in hand, if that takes no more than `GRACE`, and begins nothing else.

        For handlers of signals in the main thread.
        """
        self._stopping = True
        if self.pool is not None:
            self.pool.stop(GRACE)
        elif self._reading is not None:
            signal.signal(signal.SIGALRM, _time_is_up)
            signal.setitimer(signal.ITIMER_REAL, GRACE)

    def summary(self) -> dict[str, Any]:
        """What the run came to, as one object."""
        tally, seconds = self.tally, self.tally.seconds
        return {
            "files": tally.files,
            "skipped": tally.skipped,
            "left": self.left and self.left[0],
            "bytes": tally.bytes,
            "elapsed_s": round(seconds, 3),
            "files_per_second": round(tally.files / seconds, 3) if seconds else 0.0,
            "status": dict(tally.statuses),
            "errors": dict(tally.codes),
            "formats": dict(tally.formats),
            "peak_rss": tally.peak_rss,
            "workers": self.pool.jobs if self.pool else 0,
            "retried": self.pool.retried if self.pool else 0,
            "recycled": self.pool.recycled if self.pool else 0,
            "interrupted": self._stopping,
        }

    def _pool(self) -> Pool | None:
        options = self.options
        if self._jobs is None and not options.needs_worker:
            return None
        if options.stall is None:
            options = options._replace(stall=STALL)
        budget = options.max_memory or resident() + available_memory()
        return Pool(options, self._jobs or 1, budget)

    def _tasks(self) -> Iterator[Task]:
        """The files to be read."""
        for path in self._paths:
            if path == "-":
                yield self._standard_input()
                continue
            size = size_of(path)
            if self._journal is not None and self._journal.has(path, size, modified(path)):
                self.tally.skipped += 1
            else:
                yield Task(path, size)

    def _standard_input(self) -> Task:
        """That, as a copy where it is for a worker: a worker's own standard input brings it its jobs."""
        if self.pool is None:
            return Task("-")
        try:
            copy = suited(open_source("-"), "path")
        except MemxError as exc:
            return Task("-", failed=exc)
        return Task(copy.local_path() or "", copy.size, copy=copy)

    def _done(self, feed: Feed[Task]) -> Iterator[Done]:
        if self.pool is not None:
            yield from self.pool.run(feed)
            return
        while not (feed.ended or self._stopping):
            task = feed.take()
            if task is None:
                feed.wait(1.0)
                continue
            extraction = Extraction(task.path, self.options, self._history, elsewhere=self._elsewhere)
            try:
                self._reading = task.path
                (part,) = extraction.parts()
                self._reading = None
            except KeyboardInterrupt:  # it took too long to finish
                self._dropped = 1
                return
            finally:
                if self._stopping:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            record = decode(part) if isinstance(part, bytes) else part
            yield Done(task, part if isinstance(part, bytes) else encode(part), answer_to(record))

    def _elsewhere(self, path: str) -> bytes:
        """The line of a file that a library has to read."""
        if self._libraries is None:
            self._libraries = Pool(self.options, 1, resident() + available_memory())
        (done,) = self._libraries.run(One(Task(path, size_of(path))))
        return done.line


def _time_is_up(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt
