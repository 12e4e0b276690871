"""Reading one file in two processes: the second tells stretches of it while the first tells others.

The second is a fork of the first: it has the opened reader, and all but a few pages of its memory are those of the
first. It uses nothing that another thread of the first may have held, but reads the file and two pipes. Through these
it gets questions and answers them, in messages: the length of some JSON, that JSON, and the blocks of lines whose
lengths stand in it. It ends when the first does, and nothing hangs on it: who asked in vain tells all by himself.
"""

import json
import os
import signal
import struct
import time
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NoReturn

from memx.engine.memory.process import private_of
from memx.engine.workers.pipes import wait_for
from memx.formats.base import StreamReader

_LENGTH = struct.Struct("=I")
_BLOCK = 1 << 16
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECONDS = 10.0
"""So long an answer is waited for; then the process is ended."""


class Companion:
    """The second process of `reader`, which is open; told to it as `ReadOptions.accompany`."""

    def __init__(self, reader: StreamReader) -> None:
        self.bytes_read = 0
        """What it read of the source."""
        self.private = 0
        """Bytes that it kept resident for itself alone when it ended."""
        self._reader = reader
        self._pid = 0
        self._asking = self._answers = -1

    def start(self) -> None:
        """Starts the process. Raises OSError where there can be none."""
        with ExitStack() as after:
            questions, self._asking = os.pipe()
            after.callback(os.close, questions)
            self._answers, answering = os.pipe()
            after.callback(os.close, answering)
            # a signal to all processes of a terminal shall not find the second one with the handlers of the first
            before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
            after.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
            signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of the other threads: see above
                self._pid = os.fork()
            if not self._pid:
                _accompany(self._reader, questions, answering, (self._asking, self._answers), before)

    def ask(self, question: dict[str, Any]) -> bool:
        """Has it tell a stretch; False where it is not there any more."""
        if self._pid:
            try:
                _send(self._asking, question)
            except BrokenPipeError:
                self.close()
        return bool(self._pid)

    def answer(self) -> tuple[dict[str, Any], list[bytes]] | None:
        """Waits for what it tells; None where it is not there any more."""
        if not self._pid:
            return None
        try:
            said, blocks = _receive(self._answers, time.monotonic() + _SECONDS)
        except (EOFError, TimeoutError):
            self.close()
            return None
        self.bytes_read += said.pop("read")
        return said, blocks

    def close(self) -> None:
        """Ends the process. Closing twice is no error."""
        pid, self._pid = self._pid, 0
        pipes, self._asking, self._answers = {self._asking, self._answers} - {-1}, -1, -1
        with ExitStack() as last:
            for pipe in pipes:
                last.callback(os.close, pipe)
            if pid:
                last.callback(_end, pid)
                self.private = private_of(pid)


def _end(pid: int) -> None:
    """Ends a process, unless it is none of this one's any more."""
    # where SIGCHLD is ignored, or something waits for whatever ends, what has ended is gone; `pid` may be another's
    with suppress(ChildProcessError, ProcessLookupError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _accompany(
    reader: StreamReader, questions: int, answers: int, others: Iterable[int], signals: Iterable[int]
) -> NoReturn:
    """The life of the second process, in which `signals` are blocked, besides those that it takes care of.

    The ends `others` of the pipes are those of the first process.
    """
    try:
        for pipe in others:
            os.close(pipe)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides what an interrupt means
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):  # who waits for the end of the output waits for the first process alone
            os.dup2(nowhere, descriptor)
        read = reader.source.bytes_read
        while True:
            question, _ = _receive(questions, None)
            said, blocks = reader.stretch(question)
            before, read = read, reader.source.bytes_read
            _send(answers, said | {"read": read - before}, blocks)
    finally:  # of whatever: nothing of what the first process has yet to do is done here
        os._exit(0)


def _send(pipe: int, said: dict[str, Any], blocks: Sequence[bytes] = ()) -> None:
    """Writes a message, waiting until there is room for it. Raises BrokenPipeError."""
    head = json.dumps(said | {"lengths": list(map(len, blocks))}).encode("ascii")
    for part in (_LENGTH.pack(len(head)), head, *blocks):
        with memoryview(part) as left:
            done = 0
            while done < len(part):
                done += os.write(pipe, left[done:])


def _receive(pipe: int, until: float | None) -> tuple[dict[str, Any], list[bytes]]:
    """A message. Raises EOFError where the other end is closed, TimeoutError where it is not there at `until`."""
    (length,) = _LENGTH.unpack(_read(pipe, _LENGTH.size, until))
    said = json.loads(_read(pipe, length, until))
    return said, [_read(pipe, length, until) for length in said.pop("lengths")]


def _read(pipe: int, length: int, until: float | None) -> bytes:
    parts = []
    while length:
        if until is not None and not wait_for((pipe,), until - time.monotonic()):
            raise TimeoutError
        part = os.read(pipe, min(length, _BLOCK))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
