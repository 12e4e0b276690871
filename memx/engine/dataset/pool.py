"""Several workers at once, within one budget: admission, retries, replacements.

A file is begun when what it may well take fits what is left of the budget next to what the others may take or
really keep. The kernel holds each worker to its part. A file that was refused memory is read once more, alone,
with the whole budget.
"""

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from memx.engine.analysis.prediction import PeakHistory
from memx.engine.dataset.feed import Feed, One
from memx.engine.memory.process import resident
from memx.engine.options import StreamOptions
from memx.engine.reading.documents import Extraction
from memx.engine.workers.jobs import NOTHING, Answer, Job, Orders, answer_to
from memx.engine.workers.worker import POLL, Worker, wait
from memx.errors import MemxError, OverMemory, ReaderCrashed, UsageError
from memx.records import encode
from memx.sources import Source

LEAST = 40 << 20
"""Bytes that a worker needs to read anything at all: with less for each, there are fewer of them."""
OWN_GROWTH = 4 << 20
"""Bytes that the parent may still grow by."""
SMALL = 1 << 20
"""Files of at most so many bytes are given to a worker several at a time."""
_SLACK = 16 << 20
"""Bytes that the part of a worker may be smaller than the others' by."""
_BATCH = 16
_FAT, _GROWN = 128 << 20, 32 << 20
"""Bytes that a worker may keep between two files: more, or more than half its part, and so much more than after its
first file, which loads what all need, and it is replaced."""
_DEATHS_MOST = 3
"""So many workers may die in a row before they have begun anything."""


@dataclass(slots=True)
class Task:
    """A file to be read."""

    path: str
    size: int | None = None
    """Bytes."""
    expected: int = 0
    """Resident bytes that it may well take; 0 where nothing is known."""
    predicted: int | None = None
    """Resident bytes that it should stay below."""
    copy: Source | None = None
    """What `path` is a temporary copy in, of standard input; closed when it is done."""
    failed: MemxError | None = None
    """Why it cannot even be given to a worker."""
    alone: bool = False
    """It was refused memory once, and is now read with the whole budget."""
    own: bool = False
    """Its worker reads nothing before it and nothing after it, so that what that keeps is of this file alone."""
    kind: str = field(init=False)
    """Files of one kind tell something of each other's peaks."""

    def __post_init__(self) -> None:
        self.kind = os.path.splitext(self.path)[1].lower()[:16]

    @property
    def is_small(self) -> bool:
        """Whether several of them may wait for one worker."""
        return self.size is not None and self.size <= SMALL

    @property
    def name(self) -> str:
        """What records call it."""
        return self.path if self.copy is None else self.copy.path


@dataclass(slots=True)
class Done:
    """A file that was read, or could not be."""

    task: Task
    line: bytes
    """Its record."""
    answer: Answer
    place: int = 0
    """The number of the place whose worker read it."""


@dataclass(slots=True)
class _Place:
    """Where a worker works, one after the other."""

    number: int
    worker: Worker | None = None
    tasks: dict[int, Task] = field(default_factory=dict)
    """What it was given and has not answered, by number, in order."""
    grant: int = 0
    """Bytes that it may keep resident while it has tasks."""
    kept: int = 0
    """Bytes that it kept when it was last done."""
    first: int = 0
    """Bytes that it kept after its first file."""
    deaths: int = 0
    retiring: bool = False
    answer: Answer | None = None
    """One whose record has not come yet."""


class Pool:
    """Reads the files of a feed with at most `jobs` workers, and gives a `Done` for each.

    `budget` is in bytes, for this process and all workers. Raises UsageError from `start` where the user's
    extractor cannot be used.
    """

    def __init__(self, options: StreamOptions, jobs: int, budget: int) -> None:
        self._options = options
        self._orders = Orders(options._replace(summary=True), documents=True, answers=True)
        self._budget = budget
        part = max(0, budget - resident() - OWN_GROWTH)
        self.jobs = max(1, min(jobs, part // LEAST))
        """Workers that the budget holds."""
        self._share = part // self.jobs
        self._fat = min(_FAT, max(LEAST, self._share // 2)) if self.jobs > 1 else _FAT
        self._places = [_Place(number) for number in range(self.jobs)]
        self._history = PeakHistory()
        self._held: deque[Task] = deque()
        """Not admitted yet, or to be read again; a few at most."""
        self._refused: deque[Task] = deque()
        self._number = 0
        self.stopping = False
        """No file is begun any more."""
        self.dropped = 0
        """Files that it had taken, and that were not read since it was stopped."""
        self._deadline = 0.0
        self.recycled = self.retried = 0
        """Workers that were replaced since they stayed fat; files that were read again, alone."""

    def start(self) -> None:
        """Starts the first worker, and waits until it is ready. Raises UsageError where it cannot be."""
        place = self._places[0]
        place.worker = worker = Worker(self._orders)
        text = b""
        while not text.endswith(b"\n"):
            lines = worker.take()
            if lines is None:
                said = worker.ended.message if worker.ended else "it ended by itself"
                raise UsageError(f"the extractor cannot be loaded: {said}")
            text += lines
            if not lines:
                wait([worker], POLL)
        answer = Answer.from_json(text)
        if answer.reason:
            raise UsageError(answer.reason)
        place.kept = answer.resident

    def run(self, feed: Feed[Task] | One[Task]) -> Iterator[Done]:
        """Each file of `feed`, as it is done."""
        while True:
            self._admit(feed)
            for place in self._places:
                if place.worker is not None:
                    place.worker.flush()
            while self._refused:
                task = self._refused.popleft()
                yield self._lost(task, task.failed or ReaderCrashed("nothing could be read"), NOTHING)
            busy = [place.worker for place in self._places if place.worker is not None and place.tasks]
            if self.stopping and (not busy or time.monotonic() > self._deadline):
                self.dropped += len(self._held) + sum(len(place.tasks) for place in self._places)
                return
            if not busy and feed.ended and not self._held:
                return
            if busy:
                wait(busy, POLL)
            elif not self._held:
                feed.wait(POLL)
            for place in self._places:
                yield from self._gather(place)

    def stop(self, grace: float) -> None:
        """Lets the workers finish the files in hand, if that takes no more than `grace` seconds; begins no others."""
        self.stopping, self._deadline = True, time.monotonic() + grace
        for place in self._places:
            if place.worker is not None:
                place.worker.let_go()

    def in_hand(self) -> Iterator[tuple[int, str, int]]:
        """What is being read now: the worker's process, the path, and the bytes that it keeps resident."""
        for place in self._places:
            worker, tasks = place.worker, place.tasks
            try:
                task = None if worker is None else tasks.get(worker.in_hand())
                if worker is not None and task is not None:
                    yield worker.pid, task.name, worker.memory()
            except ValueError:  # its memory was let go of: another thread asks
                continue

    def close(self) -> None:
        """Ends all workers."""
        for place in self._places:
            self._dismiss(place)

    # who gets what

    def _admit(self, feed: Feed[Task] | One[Task]) -> None:
        """Gives files to workers, as long as there are any that fit."""
        while not self.stopping:
            if not self._held:
                task = feed.take()
                if task is None:
                    return
                if task.failed is not None:
                    self._refused.append(task)
                    return
                task.expected = self._history.expect(task.kind, task.size)
                task.predicted = self._history.predict(task.kind, task.size)
                self._held.append(task)
            place = self._place_for(self._held[0])
            if place is None:
                return
            self._give(place, self._held.popleft())

    def _place_for(self, task: Task) -> _Place | None:
        """Who can take `task` now; None where it has to wait."""
        busy = [place for place in self._places if place.tasks]
        if task.alone:
            return self._make_room(self._places[0]) if not busy else None
        small = task.is_small and task.expected <= self._share and not task.own
        free = [place for place in self._places if not place.tasks]
        if not free:
            place = min(self._places, key=lambda place: len(place.tasks))
            fits = small and not place.retiring and len(place.tasks) < _BATCH and place.grant <= self._share
            return place if fits and next(iter(place.tasks.values())).is_small else None  # behind it are but small ones
        place = max(free, key=lambda place: place.worker is not None)
        left = self._left(place)
        # what this process grew by since the shares were made is missing from the last of them
        share = left if max(LEAST, self._share - _SLACK) <= left < self._share else self._share
        place.grant = min(max(share, task.expected), self._whole())
        if place.grant <= left:
            return place
        if busy:
            return None
        place = self._make_room(place)
        place.grant = min(place.grant, self._left(place))
        return place

    def _whole(self) -> int:
        """What one worker may take where there is no other."""
        return max(0, self._budget - resident() - OWN_GROWTH)

    def _left(self, place: _Place) -> int:
        """What `place` may take next to the others."""
        others = (other for other in self._places if other is not place)
        return self._whole() - sum(other.grant if other.tasks else other.kept for other in others)

    def _make_room(self, place: _Place) -> _Place:
        """`place`, when all others have gone; `place` itself begins anew."""
        for other in self._places:
            self._dismiss(other)
        place.grant = self._whole()
        return place

    def _give(self, place: _Place, task: Task) -> None:
        if task.own and place.first:
            self._dismiss(place)
        place.retiring |= task.own
        if place.worker is None:
            place.worker = Worker(self._orders)
        self._number += 1
        place.tasks[self._number] = task
        job = Job(
            self._number,
            task.path,
            None if task.copy is None else task.name,
            spooled=task.copy is not None,
            allowance=place.grant,
            predicted_peak=task.predicted,
        )
        place.worker.send(job)

    # what comes back

    def _gather(self, place: _Place) -> Iterator[Done]:
        """What the worker of `place` has said."""
        worker = place.worker
        if worker is None:
            return
        while True:
            lines = worker.take(waiting=True)
            if lines is None:
                yield from self._buried(place, worker)
                return
            if not lines:
                break
            yield from self._answered(place, lines)
        worker.look()
        if place.retiring and not place.tasks:
            self.recycled += 1
            self._dismiss(place)

    def _answered(self, place: _Place, lines: bytes) -> Iterator[Done]:
        for line in lines.splitlines(keepends=True):
            if place.answer is None:
                place.answer = Answer.from_json(line)
                place.deaths = 0
                if not place.answer.number:  # it is ready
                    place.kept, place.answer = place.answer.resident, None
                continue
            answer, place.answer = place.answer, None
            place.kept = answer.resident
            task = place.tasks.pop(answer.number)
            if answer.code == OverMemory.code and self._may_retry(place, task):
                continue
            place.first = place.first or answer.resident
            if answer.resident > max(self._fat, place.first + _GROWN) and not place.retiring:
                place.retiring = True
                if place.worker is not None:
                    place.worker.let_go()
            self._history.note(task.kind, answer.size, answer.peak_rss)
            yield self._done(task, line, answer, place)

    def _may_retry(self, place: _Place, task: Task) -> bool:
        """Whether a file that was refused memory is read again; then it is held for that.

        Not where it had the whole budget, and a worker that nothing else had been read in.
        """
        had_all = place.grant >= self._whole() - OWN_GROWTH and not place.first
        if task.alone or self.stopping or had_all:
            return False
        task.alone = True
        self.retried += 1
        self._held.appendleft(task)
        return True

    def _buried(self, place: _Place, worker: Worker) -> Iterator[Done]:
        """A worker has ended: what it had in hand is lost, what it had not begun is given to another."""
        number, error = worker.in_hand(), worker.ended
        if place.retiring and worker.ended is None:
            self.recycled += 1
        else:
            place.deaths += 1
        if number not in place.tasks and place.deaths >= _DEATHS_MOST and place.tasks:
            number = next(iter(place.tasks))
        task = place.tasks.pop(number, None)
        metrics = worker.metrics()
        error = error or ReaderCrashed("the process that read the file gave no end")
        for_want = isinstance(error, OverMemory) or worker.may_have_lacked_memory
        again = task is not None and for_want and self._may_retry(place, task)
        self._held.extendleft(reversed(place.tasks.values()))
        self._dismiss(place)
        if task is not None and not again:
            place.deaths = 0
            yield self._lost(task, error, metrics, place)

    def _lost(self, task: Task, error: MemxError, metrics: dict[str, Any], place: _Place | None = None) -> Done:
        record = Extraction(task.name, self._options, predicted_peak=task.predicted).lost(error, metrics)
        answer = answer_to(record)
        self._history.note(task.kind, answer.size, answer.peak_rss)
        return self._done(task, encode(record), answer, place)

    def _done(self, task: Task, line: bytes, answer: Answer, place: _Place | None = None) -> Done:
        if task.copy is not None:
            task.copy.close()
        return Done(task, line, answer, place.number if place is not None else 0)

    def _dismiss(self, place: _Place) -> None:
        if place.worker is not None:
            place.worker.close()
        place.worker, place.answer = None, None
        place.tasks, place.kept, place.first, place.retiring = {}, 0, 0, False
