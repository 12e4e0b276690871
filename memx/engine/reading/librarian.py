"""Asking a library what memx's own reader does not know: one object at a time, in a process of its own.

The process is a fresh interpreter that has the library's reader open. On standard input it gets its orders and then
its questions, each a line of JSON; it answers each with the lines of records and an empty line on standard output. It
ends when its input closes.
"""

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from memx.engine.memory.process import resident, resident_of
from memx.engine.workers.jobs import json_line
from memx.engine.workers.pipes import wait_for
from memx.formats import by_key
from memx.formats.base import ReadOptions, StreamReader
from memx.records import Record, decode, encode

if TYPE_CHECKING:
    import subprocess

_BLOCK = 1 << 16
_SECONDS = 10.0
"""So long an answer is waited for; then the process is ended, and there is none."""
_DEATHS_MOST = 3
"""After so many processes that died of their questions, none is asked any more."""
_CONSTRUCTS_MOST = 64
"""So many different constructs are counted by name; the rest are `other`."""
_ANSWER_MOST = 1 << 24
"""Bytes of the longest answer."""
_MARGIN = 16 << 20
"""Bytes that the process which asks may still grow by."""
_ROOM = 48 << 20
"""Bytes that a library needs to read anything."""


class Librarian:
    """Answers for the library, of the file at `path`; told to a reader as `ReadOptions.ask_library`.

    `max_memory` is what all of memx may keep resident, in bytes: where it leaves no room, nothing is answered.
    """

    def __init__(self, path: str | None, options: ReadOptions, max_memory: int | None) -> None:
        self.asked: dict[str, int] = {}
        """How often each construct was asked for."""
        self._path = path
        self._told = {"max_value_bytes": options.max_value_bytes, "chunks": options.chunks}
        self._max_memory = max_memory
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths = 0

    def __call__(self, library: str, construct: str, question: dict[str, Any]) -> list[Record]:
        """What the library's reader, whose row is called `library`, answers; nothing where it has no answer.

        `construct` is what memx does not know, in words; empty where it was counted before.
        """
        if self._path is None or self._deaths >= _DEATHS_MOST:
            return []
        if self._process is None and (room := self._room()) != 0:
            self._process = self._started(library, room)
        if self._process is None:
            return []
        if construct:
            name = construct if construct in self.asked or len(self.asked) < _CONSTRUCTS_MOST else "other"
            self.asked[name] = self.asked.get(name, 0) + 1
        answer = self._exchange(self._process, question)
        if answer is None:
            self._deaths += 1
            self.close()
            return []
        return [decode(line) for line in answer.splitlines()]

    def close(self) -> None:
        """Ends the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            process.wait()

    def _room(self) -> int | None:
        """Bytes that the process may keep resident; None for as much as it likes, 0 for nothing."""
        if self._max_memory is None:
            return None
        room = self._max_memory - resident() - resident_of(os.getppid()) - _MARGIN
        return room if room >= _ROOM else 0

    def _started(self, library: str, room: int | None) -> "subprocess.Popen[bytes]":
        from memx.engine.workers import interpreter  # late: hardly a file needs it

        orders = {"library": library, "path": self._path, "options": self._told, "room": room}
        process = interpreter.start("memx.engine.reading.librarian", own_group=False)
        interpreter.tell(process, json_line(orders))
        return process

    def _exchange(self, process: "subprocess.Popen[bytes]", question: dict[str, Any]) -> bytes | None:
        """The lines that are answered; None where the process died, or had to be given up."""
        from memx.engine.workers import interpreter

        assert process.stdout is not None
        if not interpreter.tell(process, json_line(question)):
            return None
        answer, until = b"", time.monotonic() + _SECONDS
        while not (answer == b"\n" or answer.endswith(b"\n\n")):
            left = until - time.monotonic()
            if left <= 0 or len(answer) > _ANSWER_MOST or not wait_for((process.stdout.fileno(),), left):
                return None
            part = os.read(process.stdout.fileno(), _BLOCK)
            if not part:
                return None
            answer += part
        return answer[:-1]


def main() -> None:
    """The life of the process that is asked."""
    import signal

    from memx.engine.memory.limits import DataLimit

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever asks decides what an interrupt means
    answers, told = os.dup(1), json.loads(sys.stdin.buffer.readline())
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries print
    DataLimit().hold(told["room"], ("numpy",))
    with open_library(told["library"], told["path"], told["options"]) as reader:
        for line in sys.stdin.buffer:
            _write(answers, b"".join(map(encode, reader.answer(json.loads(line)))) + b"\n")
    os._exit(0)  # a library may die of being unloaded


def open_library(library: str, path: str, options: dict[str, Any]) -> StreamReader:
    """The opened reader whose row is called `library`."""
    from memx.sources import open_source

    row = by_key(library)
    reader = row.load()(open_source(path), ReadOptions(format=row.name, **options))
    reader.owns_source = True
    reader.begin()
    return reader


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]
