"""Reading in a process of its own: a library that crashes, hangs or grows costs its file and nothing else.

A worker is a fresh interpreter. It gets its job as one JSON line on standard input, which stays open as a
life line: when it closes, the worker ends. It answers with the lines of one source on standard output.
"""

import importlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from memx.engine.cgroups import oom_kills
from memx.engine.outbox import BATCH, Inbox, Outbox, make_outbox
from memx.engine.process import data_size, resident
from memx.engine.session import DEBUG, Session, StreamOptions
from memx.engine.strategy import ExtractionStrategy
from memx.errors import MemxError, OverMemory, ReaderCrashed, TimedOut
from memx.formats import Format
from memx.records import Record, encode
from memx.sources import LocalFile
from memx.sources.local import open_descriptor
from memx.sources.spool import remove

_BLOCK = 1 << 16
_POLL = 0.05
"""Seconds after which what a worker gathered is taken from it."""
_NO_MEMORY = 71
"""With this status a worker ends where not even its last words found memory (EX_OSERR of sysexits.h)."""
_STACK = 1 << 20
"""Bytes of a thread's stack: they are reserved, and the limit counts them."""
_ROOM_TO_IMPORT = 24 << 20
"""Bytes that importing NumPy makes resident at most."""
_GRACE = 2.0
"""Seconds that a worker has to end by itself when its time is up."""
_ENVIRONMENT = {
    # a reader of metadata gains nothing from threads, and each costs a stack and an arena
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_TRIM_THRESHOLD_": "65536",
    # files are only read, often from where no lock can be had
    "HDF5_USE_FILE_LOCKING": "FALSE",
}


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is to read, and how: `file`, which records call `name`, with the reader of `row`."""

    file: str
    name: str
    spooled: bool
    row: Format
    options: StreamOptions
    allowance: int | None
    """Bytes that the worker may have resident, all in all."""
    document: bool = False
    """Whether the records are folded into one `metadata` record where they are read: see `memx.engine.documents`."""
    predicted_peak: int | None = None
    """What that record says of it, in bytes."""
    outbox: int = -1
    """The descriptor of the memory that the lines are gathered in: see `memx.engine.outbox`."""

    def to_json(self) -> bytes:
        """One line; of the row all but how it is detected."""
        row = {field.name: getattr(self.row, field.name) for field in fields(self.row) if field.name != "matches"}
        members = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(members | {"row": row, "options": asdict(self.options)}).encode("ascii") + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> "Job":
        """What `to_json` wrote."""
        members = json.loads(line)
        options, row = members["options"], members["row"]
        options["select"] = tuple(options["select"])
        options["strategy"] = options["strategy"] and ExtractionStrategy(options["strategy"])
        row["matches"] = lambda _head, _suffix: True
        return cls(**members | {"options": StreamOptions(**options), "row": Format(**row)})


class Worker:
    """One running worker, for one job."""

    def __init__(self, job: Job) -> None:
        boot = f"import sys; sys.path[:] = {sys.path!r}; from memx.engine.workers import main; main()"
        memory = make_outbox()
        self._inbox = Inbox(memory)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-c", boot],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get(DEBUG) else subprocess.DEVNULL,
                env=_ENVIRONMENT | os.environ,
                bufsize=0,
                pass_fds=(memory,),
            )
        finally:
            os.close(memory)
        self.pid = self._process.pid
        self._began = time.monotonic()
        self._peak = 0
        self._timeout = job.options.timeout
        self._deadline = None if self._timeout is None else self._began + self._timeout
        self._asked = False
        self._limited = job.allowance is not None or _has_limit()
        self._oom_kills = oom_kills()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(replace(job, outbox=memory).to_json())
        except BrokenPipeError:
            pass  # it died at once: `blocks` tells

    def blocks(self) -> Iterator[bytes]:
        """Whole lines, as they come, in blocks.

        Raises TimedOut or ReaderCrashed where the worker did not come to its end, after all that it said.
        """
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while True:
            yield from self._wait(pipe)
            data = os.read(pipe, _BLOCK)
            if not data:
                break
            if lines := self._inbox.from_pipe(data):
                yield lines
        if lines := self._inbox.from_outbox():
            yield lines
        _, wait_status, usage = os.wait4(self.pid, 0)
        self._peak = usage.ru_maxrss * 1024
        status = self._process.returncode = os.waitstatus_to_exitcode(wait_status)
        if status != 0:
            raise self._too_slow() if self._asked else self._death(status)

    def _death(self, status: int) -> MemxError:
        """What a worker died of. Some libraries end the process where memory is refused to them."""
        if status == _NO_MEMORY or (status > 0 and self._limited):
            return OverMemory("the memory that may be used does not hold what this file needs")
        if status == -signal.SIGKILL and oom_kills() > self._oom_kills:
            return OverMemory("the kernel killed the process that read the file, since its cgroup ran out of memory")
        return ReaderCrashed(_obituary(status))

    def _wait(self, pipe: int) -> Iterator[bytes]:
        """Waits until there is something to read, and gives meanwhile what has been gathered for a while.

        A worker whose time is up is asked to end, then killed.
        """
        while True:
            left = _POLL if self._deadline is None else min(_POLL, self._deadline - time.monotonic())
            if left > 0:
                if select.select([pipe], [], [], left)[0]:
                    return
                if lines := self._inbox.from_outbox():
                    yield lines
            elif self._asked:
                self._process.kill()
                return
            else:
                self._process.terminate()  # the worker says its end, if it still can
                self._asked, self._deadline = True, time.monotonic() + _GRACE

    def _too_slow(self) -> TimedOut:
        return TimedOut(f"the reading took more than {self._timeout:g} seconds")

    def metrics(self) -> dict[str, Any]:
        """The `metrics` of an `end` line that the worker did not write itself."""
        return {
            "elapsed_s": round(time.monotonic() - self._began, 6),
            "bytes_read": 0,
            "peak_rss": self._peak,
            "peak_rss_delta": 0,
            "peak_exact": False,
        }

    def close(self) -> None:
        """Ends the worker, if it is still there, and lets go of its pipes."""
        self._process.kill()
        self._inbox.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


def _obituary(status: int) -> str:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"the process that read the file was killed by {name}"
    return f"the process that read the file ended with status {status}"


def main() -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interrupt means
    threading.stack_size(_STACK)
    job = Job.from_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, args=(job.file if job.spooled else None,), daemon=True).start()
    outbox = Outbox(job.outbox, _private_output())
    output = _Output(outbox, job.options.timeout)
    if job.allowance is not None:
        if job.allowance < resident():
            os._exit(_NO_MEMORY)  # the budget does not even hold what is there before anything is read
        _import_ahead(job.row.imports, job.allowance)
        _limit_memory(job.allowance)
    try:
        with LocalFile(open_descriptor(job.file), job.name, name=job.file) as source:
            session = Session(source, job.row, job.options, spooled=job.spooled, isolated=True)
            outbox.batch = min(session.plan.write_batch, BATCH)
            output.run(_told(session, job))
    except BrokenPipeError:
        pass
    except MemoryError:
        os._exit(_NO_MEMORY)
    os._exit(0)  # a library that crashes when it is unloaded shall not spoil what was read


def _told(session: Session, job: Job) -> Generator[Record]:
    if not job.document:
        return iter(session)
    from memx.engine.documents import folded

    return folded(session, job.predicted_peak)


class _Output:
    """Takes the records to the outbox. SIGTERM ends the reading, but never in the midst of a writing."""

    def __init__(self, outbox: Outbox, timeout: float | None) -> None:
        self._outbox = outbox
        self._timeout = timeout
        self._in_hand: Record | None = None
        self._busy = self._stopped = False
        signal.signal(signal.SIGTERM, self._stop)

    def run(self, records: Generator[Record]) -> None:
        """Says all of `records`; when the time is up, what they say to that."""
        try:
            self._copy(records)
        except TimedOut as exc:  # it struck out here; inside the session it would have been taken care of
            if self._in_hand is not None:
                self._put(self._in_hand)
            self._put(records.throw(exc))
            self._copy(records)

    def _copy(self, records: Iterable[Record]) -> None:
        for self._in_hand in records:
            self._put(self._in_hand)
        self._busy = True
        self._outbox.flush()

    def _put(self, record: Record) -> None:
        self._busy = True
        self._outbox.put(encode(record))
        self._in_hand = None
        self._busy = False
        if self._stopped:
            self._stopped = False
            raise self._too_slow()

    def _stop(self, _signal: int, _frame: object) -> None:
        self._stopped = self._busy
        if not self._busy:
            raise self._too_slow()

    def _too_slow(self) -> TimedOut:
        return TimedOut(f"the reading took more than {self._timeout or 0:g} seconds")


def _private_output() -> int:
    """The pipe to the parent, out of reach of libraries that print: standard output itself leads nowhere."""
    private = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return private


def _end_with_parent(copy: str | None) -> None:
    # os.read, not sys.stdin: a thread that holds the lock of a buffered file at exit is fatal
    while os.read(0, 1):
        pass
    if copy is not None:
        remove(copy)
    os._exit(1)


def _has_limit() -> bool:
    """Whether a resource limit on memory is inherited by a worker."""
    kinds = (resource.RLIMIT_DATA, resource.RLIMIT_AS)
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)


def _import_ahead(names: Iterable[str], allowance: int) -> None:
    """Imports what will be needed while nothing is limited yet; `names` where `allowance` has the room for them.

    What acts on want of memory must not want any. NumPy's OpenBLAS reserves 27 MB that it never touches: what is
    reserved before the limit is set does not count.
    """
    importlib.import_module("memx.engine.pressure")
    if allowance - resident() >= _ROOM_TO_IMPORT:
        for name in names:
            importlib.import_module(name)


def _limit_memory(allowance: int) -> None:
    """Lets the kernel refuse what would make more than `allowance` bytes resident (setrlimit(2), RLIMIT_DATA).

    The limit counts data that was reserved but never touched, and that is there already: it is set above that.
    """
    limit = data_size() + max(0, allowance - resident())
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
