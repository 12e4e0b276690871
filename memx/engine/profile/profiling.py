"""`memx profile`: what each file costs, and which format, extractor or file is a problem.

Every file is read by a worker, of which the kernel tells the peak. A worker of its own for each file costs 70 ms of
computing, so of many small files of a kind all but the first 1,000 share workers; their records say so. When all
files are read, some are read again: to see what repetition leaves behind, and where too few files leave a doubt.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from memx import __version__
from memx.engine.dataset.discovery import size_of
from memx.engine.dataset.feed import Feed
from memx.engine.dataset.pool import Done, Pool, Task
from memx.engine.dataset.run import GRACE, STALL, Tally
from memx.engine.memory.budget import available_memory
from memx.engine.memory.process import resident
from memx.engine.options import StreamOptions
from memx.engine.profile.findings import Kind, in_doubt, problems
from memx.engine.profile.groups import Group, Key, own_time
from memx.engine.profile.regression import Baseline
from memx.engine.profile.sampling import PERIOD, Sampler, Series, Top
from memx.engine.reading.repeating import FEWEST
from memx.records import Record, decode, encode

TYPE, REPORT = "profile", "profile-report"
OWN = 1000
"""So many small files of a kind have workers of their own."""
WORST = 10
BARS = 400
"""Readings that a timeline holds: the longest."""
_AGAIN = 2
"""How often a file is read again where there is a doubt."""
_LOOK_FOR_LEAKS = 1.0
"""Seconds that a reading may take to be repeated unasked."""
_PATIENCE = 30.0
"""Seconds that the readings of a group may take to be done again."""


class Profile:
    """Reads the files of `paths()` by each of the `extractors` (None: memx's readers): iterate `records()`, once.

    With `repeat`, each is read so often by its worker; else a file or two of each group are read again and again at
    the end. A `baseline` is compared with at the end. Files that peak above `budget` bytes are a problem. `trace`
    takes what was seen of each reading. Raises UsageError where an extractor cannot be used.
    """

    path, size, position, write_batch = "", None, None, None

    def __init__(
        self,
        paths: Callable[[], Iterable[str]],
        options: StreamOptions | None = None,
        *,
        extractors: Sequence[str] = (),
        jobs: int = 1,
        repeat: int = 0,
        budget: int | None = None,
        baseline: Baseline | None = None,
        trace: Callable[[Record], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self.groups: dict[Key, Group] = {}
        self.bars: Top[Record] = Top(BARS)
        """The longest readings."""
        self.memory = Series()
        """Of this process and its workers, over the whole run."""
        self.jobs = jobs
        self._paths = paths
        self._options = (options or StreamOptions())._replace(closely=True, rises=trace is not None, repeat=repeat)
        if self._options.stall is None:
            self._options = self._options._replace(stall=STALL)
        self._extractors = extractors or (None,)
        self._memory_budget = self._options.max_memory or resident() + available_memory()
        self._budget = budget if budget is not None else self._options.max_memory
        self._baseline = baseline
        self._trace = trace
        self._over: Counter[Key] = Counter()
        self._worst: Top[Record] = Top(WORST)
        self._slowest: Top[Record] = Top(WORST)
        self._kinds: Counter[str] = Counter()
        self._pool: Pool | None = None
        self._stopping = False
        self._began_at = datetime.now(UTC)
        for name in extractors:
            self._pool_for(self._options._replace(extractor=name)).close()

    @property
    def status(self) -> str:
        """`complete`, if every file was."""
        return "complete" if self.tally.statuses["complete"] == self.tally.files else "failed"

    def in_hand(self) -> list[tuple[int | None, str, int]]:
        """What is being read: the worker, the path, and the bytes that it keeps resident."""
        pool = self._pool
        return [] if pool is None else list(pool.in_hand())

    def interrupt(self) -> None:
        """Finishes what is in hand and begins nothing else; for signal handlers."""
        self._stopping = True
        if self._pool is not None:
            self._pool.stop(GRACE)

    def lines(self) -> Iterator[bytes]:
        """The record of each file as a line."""
        return map(encode, self.records())

    def records(self) -> Iterator[Record]:
        """The record of each file, as soon as it is done; when there are no more, all is known for `report`."""
        with Sampler(self.in_hand, PERIOD if self._trace is None else PERIOD / 4) as sampler:
            self.memory = sampler.total
            for extractor in self._extractors:
                options = self._options._replace(extractor=extractor)
                for done, record in self._read(self._tasks(), options, sampler):
                    self._note(done, record)
                    yield record
            self._look_again(sampler)

    def report(self) -> dict[str, Any]:
        """What the run came to, as JSON has it. Sizes in bytes, times in seconds."""
        groups = self.sorted_groups()
        found = [problem for group in groups for problem in problems(group, self._over[group.key], self._budget)]
        found.sort(key=lambda problem: list(Kind).index(problem.kind))
        return {
            "type": REPORT,
            "memx": __version__,
            "python": sys.version.split()[0],
            "began": self._began_at.isoformat(timespec="milliseconds"),
            "elapsed_s": round(self.tally.seconds, 3),
            "jobs": self.jobs,
            "interrupted": self._stopping,
            "budget": self._budget,
            "files": self.tally.files,
            "bytes": self.tally.bytes,
            "failed": self.tally.files - self.tally.statuses["complete"],
            "peak_rss": self.tally.peak_rss,
            "problems": [problem.as_dict() for problem in found],
            "groups": [group.figures() for group in groups],
            "worst": list(self._worst),
            "slowest": list(self._slowest),
            "longest": list(self.bars),
            "over_budget": sum(self._over.values()),
            "baseline": None if self._baseline is None else self._baseline.as_dict(),
            "memory": [[round(at - self.tally.began, 3), memory] for at, memory in self.memory.points],
            "sample": [record for group in groups for record in group.sample],
        }

    def sorted_groups(self) -> list[Group]:
        """Those with the highest peak first."""
        return sorted(self.groups.values(), key=lambda group: -group.highest["peak_rss"])

    # the reading

    def _pool_for(self, options: StreamOptions) -> Pool:
        pool = Pool(options, self.jobs, self._memory_budget)
        try:
            if options.extractor is not None:
                pool.start()
        except BaseException:
            pool.close()
            raise
        return pool

    def _read(self, tasks: Iterable[Task], options: StreamOptions, sampler: Sampler) -> Iterator[tuple[Done, Record]]:
        """The `profile` record of each task, as it is done."""
        feed = Feed(iter(tasks))
        self._pool = pool = self._pool_for(options)
        if self._stopping:
            pool.stop(GRACE)
        try:
            for done in pool.run(feed):
                yield done, self._record(done, options, sampler)
        finally:
            self._pool = None
            feed.close()
            pool.close()

    def _tasks(self) -> Iterator[Task]:
        self._kinds.clear()
        for path in self._paths():
            task = Task(path, size_of(path))
            if len(self._kinds) < OWN or task.kind in self._kinds:
                self._kinds[task.kind] += 1
            task.own = bool(self._options.repeat) or not task.is_small or self._kinds[task.kind] <= OWN
            yield task

    def _record(self, done: Done, options: StreamOptions, sampler: Sampler) -> Record:
        told = decode(done.line)
        metrics = told["metrics"]
        repeat, rises = metrics.pop("repeat", None), metrics.pop("rises", None)
        began = metrics.pop("began_at", time.monotonic() - metrics["elapsed_s"])
        ended = began + metrics["elapsed_s"]
        seen = [point for point in sampler.taken(done.task.name).points if began <= point[0] <= ended]
        metrics["mean_rss"], metrics["samples"] = _mean(metrics, [memory for _, memory in seen]), len(seen)
        record = {
            "type": TYPE,
            "path": told["path"],
            "format": told["format"],
            "extractor": options.extractor,
            "size": told["size"],
            "status": told["status"],
            "reason": told["reason"],
            "code": told["code"],
            "worker": {"number": done.place, "own": done.task.own},
            "began_s": round(max(0.0, began - self.tally.began), 6),
            "metrics": metrics,
        }
        if "collector" in told["strategy"]:
            record["collector"] = told["strategy"]["collector"]
        if repeat is not None:
            record["repeat"] = repeat
        if self._trace is not None:
            self._trace(_trace_of(record, seen, began, rises))
        return record

    def _note(self, done: Done, record: Record) -> None:
        self.tally.note(done.answer)
        key = record["format"], record["extractor"]
        group = self.groups.setdefault(key, Group(key))
        group.add(record)
        peak = record["metrics"]["peak_rss"]
        self._over[key] += self._budget is not None and peak > self._budget
        self._worst.add(peak, record)
        self._slowest.add(record["metrics"]["elapsed_s"], record)
        self.bars.add(record["metrics"]["elapsed_s"], record)

    # what is read again

    def _look_again(self, sampler: Sampler) -> None:
        for group in list(self.groups.values()):
            options = self._options._replace(extractor=group.extractor)
            if in_doubt(group) and _took(group.complete()) * _AGAIN < _PATIENCE:
                once = options._replace(repeat=0)
                for record in self._again(group.complete() * _AGAIN, once, sampler):
                    group.sample.add(f"{record['path']}\0{record['began_s']}", record)
            if not self._options.repeat:
                for record in self._again(_for_leaks(group), options._replace(repeat=FEWEST), sampler):
                    group.repeated(record)
            if self._baseline is not None:
                once = options._replace(repeat=0)
                self._baseline.compare(group, partial(self._again, options=once, sampler=sampler))

    def _again(self, records: list[Record], options: StreamOptions, sampler: Sampler) -> Iterator[Record]:
        """The same files once more; those whose names records cannot tell are left out."""
        paths = (record["path"] for record in records)
        tasks = [Task(path, size, own=True) for path in paths if (size := size_of(path)) is not None]
        if tasks and not self._stopping:
            trace, self._trace = self._trace, None
            try:
                for _, record in self._read(tasks, options, sampler):
                    yield record
            finally:
                self._trace = trace


def _mean(metrics: dict[str, Any], seen: list[int]) -> int:
    """The mean of what was resident when somebody looked; where nobody did, of beginning and peak."""
    peak: int = metrics["peak_rss"]
    if not seen:
        return peak - int(metrics["peak_rss_delta"]) // 2
    mean: int = round(sum(seen) / len(seen))
    return min(peak, mean) if peak else mean


def _trace_of(
    record: Record, seen: list[tuple[float, int]], began: float, rises: list[dict[str, Any]] | None
) -> Record:
    """What was seen of one reading over its time."""
    metrics = record["metrics"]
    highest = max(rises or (), key=lambda rise: rise["to"] - rise["from"], default=None)
    return {
        "type": "trace",
        **{name: record[name] for name in ("path", "format", "extractor", "size", "status")},
        "elapsed_s": metrics["elapsed_s"],
        "peak_rss": metrics["peak_rss"],
        "samples": [[round(at - began, 4), memory] for at, memory in seen],
        "rises": rises or [],
        "rose_at": highest,
    }


def _for_leaks(group: Group) -> list[Record]:
    """Files that are read again and again unasked: one of median size, and the largest, of those that are quick."""
    quick = [record for record in group.complete() if own_time(record) <= _LOOK_FOR_LEAKS]
    ordered = sorted(quick, key=lambda record: record["size"] or 0)
    return [ordered[at] for at in sorted({len(ordered) // 2, len(ordered) - 1})] if ordered else []


def _took(records: list[Record]) -> float:
    return sum(own_time(record) for record in records)
