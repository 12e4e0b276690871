"""Reading in a process of its own: a library that crashes, hangs or grows costs its file and nothing else.

A worker is a fresh interpreter with pipes of its own and no lock that it shares with anybody, so that it can be
killed at any instant. `memx.engine.reading.serving` is its life.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from typing import Any

from memx.engine.memory.cgroups import oom_kills
from memx.engine.memory.limits import inherited
from memx.engine.options import DEBUG
from memx.engine.workers.fences import Fence, fence
from memx.engine.workers.interpreter import start, tell
from memx.engine.workers.jobs import NO_MEMORY, Job, Orders, Why, limit_error
from memx.engine.workers.outbox import Inbox, make_outbox
from memx.engine.workers.pipes import wait_for
from memx.engine.workers.watch import Watch
from memx.errors import LimitError, MemxError, OverMemory, ReaderCrashed

_BLOCK = 1 << 16
POLL = 0.05
"""Seconds after which what a worker gathered is taken from it, and its clocks are looked at."""
_GRACE = 2.0
"""Seconds that a worker has to end a job by itself when it is asked to."""


class Worker:
    """One running worker. It is sent jobs, says lines, and is watched."""

    def __init__(self, orders: Orders) -> None:
        self._options = orders.options
        self._inbox, self._process = _started(orders)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self._pipe = self._process.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._exit = _exit_descriptor(self.pid)
        self._began = self._ended_at = time.monotonic()
        self._job_began = 0.0
        self._oom_kills = oom_kills()
        self._limited = inherited() and orders.options.extractor is None
        self._watch = Watch(self.pid, orders.options)
        self._fence = _fenced(self.pid) if orders.options.max_memory is not None else None
        self._jobs = b""
        self._asked: LimitError | None = None
        self._deadline = 0.0
        self.peak = 0
        """Bytes, once it has ended."""
        self.ended: MemxError | None = None
        """What it died of, where it did not end by itself."""

    def send(self, job: Job) -> None:
        """Gives it a job, at the next `flush`; it may have others before that."""
        # a library may end the process where memory is refused to it; an extractor that ends it means to
        self._limited |= job.allowance is not None and self._options.extractor is None
        self._watch.allowance = job.allowance
        if self._fence is not None and job.allowance is not None:
            self._fence.limit(job.allowance)
        self._jobs += job.to_json()

    def flush(self) -> None:
        """Lets it have the jobs that it was sent."""
        jobs, self._jobs = self._jobs, b""
        tell(self._process, jobs)  # where it has died, `take` tells

    def take(self, *, waiting: bool = False) -> bytes | None:
        """Whole lines that it said; nothing where none are there yet; None when it has ended and all was taken.

        `waiting`: also those that it has gathered and not written.
        """
        gone = self._has_exited()
        data = self._read()
        if data:
            return self._inbox.from_pipe(data)
        if gone or data is not None:
            lines = self._inbox.from_outbox()
            if not lines:
                self._end()
            return lines or None
        return self._inbox.from_outbox() if waiting else b""

    def in_hand(self) -> int:
        """The number of the job that it has in hand; 0 for none."""
        return self._inbox.in_hand()[0]

    def look(self) -> None:
        """Looks at what the job in hand used up: who has no time or memory left is asked to end, then killed."""
        number, since = self._inbox.in_hand()
        now = time.monotonic()
        if self._asked is not None:
            if number != self._watch.number:
                self._asked = None  # it has listened
            elif now > self._deadline:
                self.kill()
            return
        why = self._watch.verdict(number, since, now)
        if why is not None:
            self._asked, self._deadline = limit_error(why, self._options), now + _GRACE
            self._inbox.ask(number, why)
            self._signal(signal.SIGTERM)

    def let_go(self) -> None:
        """It begins no other job."""
        self._inbox.ask(0, Why.GO)

    def kill(self) -> None:
        """Ends it at once, and what it started."""
        self._signal(signal.SIGKILL)
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def memory(self) -> int:
        """Bytes that it and what it started keep resident now."""
        return self._watch.memory()

    def blocks(self) -> Iterator[bytes]:
        """Whole lines, as they come, in blocks, until it has ended.

        Raises TimedOut, OverMemory or ReaderCrashed where it did not come to its end, after all that it said.
        """
        while (lines := self.take(waiting=True)) is not None:
            if lines:
                yield lines
            else:
                wait([self], POLL)
                self.look()
        if self.ended is not None:
            raise self.ended

    @property
    def may_have_lacked_memory(self) -> bool:
        """Whether it died as libraries do that do not look whether they were given the memory that they asked for."""
        return self._limited and -(self._process.returncode or 0) in (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS)

    def metrics(self) -> dict[str, Any]:
        """The `metrics` of an `end` line that the worker did not write itself."""
        return {
            "elapsed_s": round(self._ended_at - max(self._began, self._job_began), 6),
            "bytes_read": 0,
            "peak_rss": self.peak,
            "peak_rss_delta": 0,
            "peak_exact": False,
        }

    def close(self) -> None:
        """Ends it, if it is still there, and lets go of its pipes."""
        self.kill()
        self._inbox.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if self._exit is not None:
            os.close(self._exit)
            self._exit = None
        self._process.wait()
        if self._fence is not None:
            self._fence.remove()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """What becomes readable when it says something or ends."""
        return (self._pipe,) if self._exit is None else (self._pipe, self._exit)

    def _read(self) -> bytes | None:
        """What is in the pipe; None where there is nothing yet, no bytes where its other end is closed."""
        try:
            return os.read(self._pipe, _BLOCK)
        except BlockingIOError:
            return None

    def _has_exited(self) -> bool:
        # a process that it started may keep the pipe open: its end is no proof of life
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _end(self) -> None:
        """Takes its exit status."""
        if self._process.returncode is not None:
            return
        self._ended_at, self._job_began = time.monotonic(), self._inbox.in_hand()[1]
        _, wait_status, usage = os.wait4(self.pid, 0)
        self.peak = usage.ru_maxrss * 1024
        status = self._process.returncode = os.waitstatus_to_exitcode(wait_status)
        if status != 0:
            self.ended = self._asked or self._death(status)

    def _death(self, status: int) -> MemxError:
        """What it died of. Some libraries end the process where memory is refused to them."""
        if status == NO_MEMORY or (status > 0 and self._limited):
            return OverMemory("the memory that may be used does not hold what this file needs")
        if status == -signal.SIGKILL and self._was_out_of_memory():
            return OverMemory("the kernel killed the process that read the file, since its cgroup ran out of memory")
        return ReaderCrashed(_obituary(status))

    def _was_out_of_memory(self) -> bool:
        if self._fence is not None:
            return self._fence.oom_kills() > 0
        return oom_kills() > self._oom_kills

    def _signal(self, number: int) -> None:
        # not Popen's own way, which would take the exit status
        if self._process.returncode is None:
            os.kill(self.pid, number)


def wait(workers: Collection[Worker], seconds: float) -> None:
    """Waits until one of `workers` says something or ends, at most so long."""
    wait_for((descriptor for worker in workers for descriptor in worker.descriptors), seconds)


def _started(orders: Orders) -> tuple[Inbox, "subprocess.Popen[bytes]"]:
    """A worker that has its orders, and where its lines are gathered."""
    memory = make_outbox()
    inbox = Inbox(memory)
    try:
        process = start(
            "memx.engine.reading.serving",
            site=orders.options.extractor is not None,
            stderr=None if os.environ.get(DEBUG) else subprocess.DEVNULL,
            pass_fds=(memory,),
        )
        tell(process, orders._replace(outbox=memory).to_json())
    except BaseException:
        inbox.close()
        raise
    finally:
        os.close(memory)
    return inbox, process


def _fenced(pid: int) -> Fence | None:
    """A cgroup with that process in it, where one can be made."""
    made = fence()
    if made is not None and not made.enclose(pid):
        made.remove()
        return None
    return made


def _exit_descriptor(pid: int) -> int | None:
    """Becomes readable when the process ends (pidfd_open(2)); None where there is no such thing."""
    opened: Callable[[int], int] | None = getattr(os, "pidfd_open", None)
    try:
        return None if opened is None else opened(pid)
    except OSError:
        return None


def _obituary(status: int) -> str:
    if status < 0:
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        return f"the process that read the file was killed by {name}"
    return f"the process that read the file ended with status {status}"
