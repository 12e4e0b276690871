"""Lines on their way out of a worker, in memory that outlives it.

Writing each line to a pipe costs a system call a record; gathering them in the worker loses what was
gathered when it dies. So they are gathered in memory that parent and worker share: the parent takes from
it what a dead worker had said, and what a slow one said a while ago. In the same memory stands which job the
worker has in hand, since when, and what the parent asks of it: no message could say that at any instant.
"""

import mmap
import os
import struct
import tempfile
import time

from memx.records import MAX_LINE

BATCH = 1 << 16
MOST = MAX_LINE + (1 << 12)
"""Bytes that are put at once at most: a line, and a word before it."""
_HEADER = struct.Struct("=QQ")  # where in the stream the gathered bytes begin, and how many they are
_IN_HAND = struct.Struct("=Qd")  # the number of the job, 0 for none, and when it was begun
_ASKED = struct.Struct("=QQ")  # of which job the parent wants an end, and why
_IN_HAND_AT, _ASKED_AT, _LINES = 16, 32, 64
_ROOM = _LINES + BATCH + MOST


def make_outbox() -> int:
    """A descriptor of memory for an outbox, to be inherited by the worker; only touched pages are taken."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("memx-outbox", 0)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _ROOM)
    return descriptor


class Outbox:
    """The worker's side: `put` lines; they are written to `pipe` when a batch is full, and at `flush`."""

    def __init__(self, memory: int, pipe: int) -> None:
        self._memory = mmap.mmap(memory, _ROOM)
        self._pipe = pipe
        self._base = self._length = 0
        self.batch = BATCH
        """Bytes that are gathered before they are written, at most `BATCH`."""

    def put(self, line: bytes) -> None:
        """Says `line`, whole lines of at most `MOST` bytes: from here on they are not lost."""
        begin = _LINES + self._length
        self._memory[begin : begin + len(line)] = line
        self._length += len(line)
        _HEADER.pack_into(self._memory, 0, self._base, self._length)
        if self._length >= self.batch:
            self.flush()

    def begin(self, number: int) -> None:
        """From now on the job of this `number` is in hand; 0 for none."""
        _IN_HAND.pack_into(self._memory, _IN_HAND_AT, number, time.monotonic())

    def asked(self) -> tuple[int, int]:
        """The number of the job whose end the parent wants, and why: see `Inbox.ask`."""
        number, why = _ASKED.unpack_from(self._memory, _ASKED_AT)
        return number, why

    def flush(self) -> None:
        """Writes what is gathered; waits for the parent to have room for it."""
        with memoryview(self._memory)[_LINES : _LINES + self._length] as gathered:
            done = 0
            while done < self._length:
                done += os.write(self._pipe, gathered[done:])
        self._base += self._length
        self._length = 0
        _HEADER.pack_into(self._memory, 0, self._base, 0)


class Inbox:
    """The parent's side: puts what came through the pipe and what is taken from the outbox in one order."""

    def __init__(self, memory: int) -> None:
        self._memory = mmap.mmap(memory, _ROOM)
        self._piped = self._given = 0
        self._part = b""

    def from_pipe(self, data: bytes) -> bytes:
        """The whole lines that `data`, read from the pipe, completes and that were not given before."""
        fresh = data[max(0, self._given - self._piped) :]
        self._piped += len(data)
        return self._whole(fresh)

    def from_outbox(self) -> bytes:
        """The whole lines that are gathered and not yet given.

        The worker may be writing at the same time: what lies below the length that it told stays as it is
        until the base moves, so a base that did not move proves the copy.
        """
        base, length = _HEADER.unpack_from(self._memory)
        skip = self._given - base
        if not 0 <= skip < length <= BATCH + MOST:
            return b""  # some of what was said before is still in the pipe, or there is nothing new
        data = self._memory[_LINES + skip : _LINES + length]
        return self._whole(data) if _HEADER.unpack_from(self._memory)[0] == base else b""

    def in_hand(self) -> tuple[int, float]:
        """The number of the job that the worker has in hand, 0 for none, and since when (`time.monotonic`)."""
        number, since = _IN_HAND.unpack_from(self._memory, _IN_HAND_AT)
        return number, since

    def ask(self, number: int, why: int) -> None:
        """Wants an end of the job of this `number`; the worker learns of it by a signal."""
        _ASKED.pack_into(self._memory, _ASKED_AT, number, why)

    def close(self) -> None:
        """Lets go of the memory."""
        self._memory.close()

    def _whole(self, fresh: bytes) -> bytes:
        self._given += len(fresh)
        lines, newline, part = fresh.rpartition(b"\n")
        if not newline:
            self._part += fresh
            return b""
        whole, self._part = self._part + lines + newline, part
        return whole
