"""The life of a worker: it gets its orders and its jobs on standard input, and says lines on standard output.

Standard input is its life line too: when the parent is gone, so is the worker, and whatever it started.
"""

import gc
import os
import select
import signal
import threading
from collections.abc import Callable, Generator, Iterable
from typing import Any

from memx.engine.memory.limits import DataLimit
from memx.engine.memory.process import resident
from memx.engine.options import StreamOptions
from memx.engine.reading.session import Reading
from memx.engine.reading.streaming import Inside, Stream
from memx.engine.workers.jobs import NO_MEMORY, Answer, Job, Orders, Why, answer_to, limit_error
from memx.engine.workers.outbox import Outbox
from memx.errors import LimitError, UsageError
from memx.formats import Format
from memx.records import Record, encode
from memx.sources import Source
from memx.sources.spool import remove

_STACK = 1 << 20
"""Bytes of a thread's stack: they are reserved, and the limit counts them."""
_FAT = 16 << 20
"""Bytes that a worker may have gained by a job before it looks what it can give back."""


def main() -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.stack_size(_STACK)
    lines = _Lines()
    orders = Orders.from_json(lines.next())
    bench = _Workbench(orders)
    lines.idle = bench.outbox.flush
    life_line = threading.Thread(target=_end_with_parent, args=(bench,), daemon=True)
    life_line.start()
    if bench.ready():
        while line := lines.next():
            job = Job.from_json(line)
            if bench.outbox.asked()[1] == Why.GO:
                break
            bench.serve(job)
            if job.last:
                break
    bench.outbox.flush()
    os._exit(0)  # a library that crashes when it is unloaded shall not spoil what was read


class _Lines:
    """The lines of standard input; `idle` is called before a wait for one."""

    def __init__(self) -> None:
        self._data = b""
        self.idle: Callable[[], None] | None = None

    def next(self) -> bytes:
        """The next line; nothing at the end."""
        while (end := self._data.find(b"\n")) < 0:
            if self.idle is not None and not select.select([0], [], [], 0)[0]:
                self.idle()
            data = os.read(0, 1 << 16)
            if not data:
                return b""
            self._data += data
        line, self._data = self._data[:end], self._data[end + 1 :]
        return line


class _Workbench:
    """Serves jobs. SIGTERM ends the one in hand, but never in the midst of a writing."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self.outbox = Outbox(orders.outbox, _private_output())
        self.copy: str | None = None
        """The temporary file that is being read."""
        self._limit = DataLimit()
        self._extractor: Callable[[str], Any] | None = None
        self._lean = 0
        self._number = 0
        self._in_hand: Record | bytes | None = None
        self._listens, self._stopped = False, False
        signal.signal(signal.SIGTERM, self._stop)

    def ready(self) -> bool:
        """Loads the extractor, if there is one, and answers how that went."""
        name, reason = self._orders.options.extractor, None
        if name is not None:
            from memx.engine.reading.extractors import load, unusable

            _die_with_parent()
            try:
                self._extractor = load(name)
            except UsageError as exc:
                reason = exc.message
                self._extractor = unusable(exc)
            gc.freeze()
        if self._orders.answers:
            status = "failed" if reason else "complete"
            self.outbox.put(Answer(0, status, None, None, 0, resident(), reason=reason).to_json())
            self.outbox.flush()
        self._lean = resident()
        return reason is None or not self._orders.answers

    def serve(self, job: Job) -> None:
        """Reads what the job is about, and says it."""
        self.copy, self._number, self._stopped = job.file if job.spooled else None, job.number, False
        self.outbox.begin(job.number)
        try:
            self._limit.hold(job.allowance)
            self._say(self._parts(job))
        except BrokenPipeError:
            os._exit(0)
        except MemoryError:
            os._exit(NO_MEMORY)
        finally:
            self._number = 0
        self.outbox.begin(0)

    def _parts(self, job: Job) -> Generator[Record | bytes]:
        def prepare(row: Format) -> None:
            self._limit.hold(job.allowance, row.imports)

        inside = Inside(prepare, job.name, job.row, job.spooled, job.construct, self._extractor and self._call)
        if not self._orders.documents:
            stream = Stream(job.file, self._orders.options, inside=inside)
        else:
            from memx.engine.reading.documents import Extraction

            options, predicted = self._orders.options, job.predicted_peak
            stream = Extraction(job.file, options, inside=inside, predicted_peak=predicted)
            if options.repeat:
                from memx.engine.reading.repeating import repeated

                again = lambda: Extraction(job.file, options, inside=inside, predicted_peak=predicted)  # noqa: E731
                return repeated(stream, again, options.repeat)
        return stream.parts()

    def _call(self, source: Source, row: Format, options: StreamOptions) -> Reading:
        from memx.engine.reading.extractors import Call

        assert self._extractor is not None
        return Call(self._extractor, source, row, options)

    def _say(self, parts: Generator[Record | bytes]) -> None:
        """Says all of `parts`; when they are to end, also what they say to that."""
        try:
            self._copy(parts)
        except LimitError as exc:  # it struck out here; inside it would have been taken care of
            if self._in_hand is not None:
                self._put(self._in_hand)
            try:
                last_words = parts.throw(exc)
            except StopIteration:  # all was said already
                return
            self._put(last_words)
            self._copy(parts)

    def _copy(self, parts: Iterable[Record | bytes]) -> None:
        self._listen()
        for self._in_hand in parts:
            self._put(self._in_hand)
        self._listens = False

    def _put(self, part: Record | bytes) -> None:
        self._listens = False
        self.outbox.put(self._answered(part) if self._orders.answers else _line(part))
        self._in_hand = None
        self._listen()

    def _listen(self) -> None:
        self._listens = True
        if self._stopped:
            self._stopped = False
            raise self._reason()

    def _answered(self, record: Record | bytes) -> bytes:
        """The record, with what the parent has to know of it before it."""
        assert isinstance(record, dict)
        line = _line(record)
        return answer_to(record, self._number, self._settled()).to_json() + line

    def _settled(self) -> int:
        """What is resident, after all was given back that could be where that is much."""
        there = resident()
        if there > self._lean + _FAT:
            from memx.engine.memory.pressure import heap_trim

            gc.collect()
            heap_trim()
            there = resident()
        return there

    def _stop(self, _signal: int, _frame: object) -> None:
        if self.outbox.asked()[0] != self._number or not self._number:
            return  # about a job that is done
        self._stopped = not self._listens
        if self._listens:
            raise self._reason()

    def _reason(self) -> LimitError:
        return limit_error(Why(self.outbox.asked()[1]), self._orders.options)


def _line(part: Record | bytes) -> bytes:
    return part if isinstance(part, bytes) else encode(part)


def _private_output() -> int:
    """The pipe to the parent, out of reach of libraries that print: standard output itself leads nowhere."""
    private = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return private


def _end_with_parent(bench: _Workbench) -> None:
    """Waits until nobody can write to standard input any more, without reading it (poll(2), POLLHUP)."""
    poll = select.poll()
    poll.register(0, 0)
    poll.poll()
    if bench.copy is not None:
        remove(bench.copy)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # what an extractor started, too
    os._exit(1)


def _die_with_parent() -> None:
    """Has the kernel kill this process with its parent: the user's code may let no thread run (prctl(2), Linux)."""
    import ctypes

    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (AttributeError, OSError):  # not Linux: the life line has to do
        pass
