"""Reading in a process of its own: a library that crashes, hangs or grows costs its file and nothing else.

A worker is a fresh interpreter. It gets its job as one JSON line on standard input, which stays open as a
life line: when it closes, the worker ends. It answers with the lines of one source on standard output.
"""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from memx.engine.session import DEBUG, Session, StreamOptions
from memx.engine.strategy import ExtractionStrategy
from memx.errors import ReaderCrashed, TimedOut
from memx.formats import detect
from memx.records import encode
from memx.sources import LocalFile
from memx.sources.local import open_descriptor

_BLOCK = 1 << 16
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
    """What a worker is to read: `file`, which records call `name`."""

    file: str
    name: str
    spooled: bool
    options: StreamOptions

    def to_json(self) -> bytes:
        """One line."""
        return json.dumps(asdict(self)).encode("ascii") + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> "Job":
        """What `to_json` wrote."""
        fields = json.loads(line)
        options: dict[str, Any] = fields["options"]
        options["select"] = tuple(options["select"])
        options["strategy"] = ExtractionStrategy(options["strategy"]) if options["strategy"] else None
        return cls(fields["file"], fields["name"], fields["spooled"], StreamOptions(**options))


class Worker:
    """One running worker, for one job."""

    def __init__(self, job: Job) -> None:
        boot = f"import sys; sys.path[:] = {sys.path!r}; from memx.engine.workers import main; main()"
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", boot],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get(DEBUG) else subprocess.DEVNULL,
            env=_ENVIRONMENT | os.environ,
            bufsize=0,
        )
        self.pid = self._process.pid
        self._began = time.monotonic()
        self._peak = 0
        self._timeout = job.options.timeout
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(job.to_json())
        except BrokenPipeError:
            pass  # it died at once: `blocks` tells

    def blocks(self) -> Iterator[bytes]:
        """Whole lines, as they come, in blocks.

        Raises TimedOut or ReaderCrashed where the worker did not come to its end.
        """
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        asked = False
        rest = b""
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if deadline is not None and not select.select([descriptor], [], [], left)[0]:
                if asked:
                    self._process.kill()
                    raise TimedOut(f"the reading took more than {self._timeout:g} seconds")
                self._process.terminate()  # the worker says its end, if it still can
                asked, deadline = True, time.monotonic() + _GRACE
                continue
            data = os.read(descriptor, _BLOCK)
            if not data:
                break
            block, newline, tail = data.rpartition(b"\n")
            if newline:
                yield rest + block + newline
                rest = tail
            else:
                rest += data
        _, wait_status, usage = os.wait4(self.pid, 0)
        self._peak = usage.ru_maxrss * 1024
        status = self._process.returncode = os.waitstatus_to_exitcode(wait_status)
        if status != 0:
            raise ReaderCrashed(_obituary(status))

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
    job = Job.from_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    output = _private_output()
    _limit_memory(job.options.max_memory)
    signal.signal(signal.SIGTERM, _time_is_up(job.options.timeout))
    try:
        _run(job, output)
    except BrokenPipeError:
        os._exit(0)


def _run(job: Job, output: int) -> None:
    with LocalFile(open_descriptor(job.file), job.name, name=job.file) as source:
        session = Session(source, detect(source, job.options.format), job.options, spooled=job.spooled)
        batch, written = bytearray(), time.monotonic()
        for record in session:
            batch += encode(record)
            if len(batch) >= _BLOCK or time.monotonic() - written > 0.05:
                _write(output, batch)
                written = time.monotonic()
        _write(output, batch)


def _write(descriptor: int, batch: bytearray) -> None:
    with memoryview(batch) as view:
        done = 0
        while done < len(view):
            done += os.write(descriptor, view[done:])
    batch.clear()


def _private_output() -> int:
    """The pipe to the parent, out of reach of libraries that print: standard output itself leads nowhere."""
    private = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return private


def _end_with_parent() -> None:
    # os.read, not sys.stdin: a thread that holds the lock of a buffered file at exit is fatal
    while os.read(0, 1):
        pass
    os._exit(1)


def _limit_memory(allowance: int | None) -> None:
    """Lets the kernel refuse what goes beyond `allowance` bytes of data (setrlimit(2), RLIMIT_DATA)."""
    if allowance is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (allowance, allowance))


def _time_is_up(timeout: float | None) -> Callable[[int, object], None]:
    def stop(_signal: int, _frame: object) -> None:
        raise TimedOut(f"the reading took more than {timeout or 0:g} seconds")

    return stop
