"""Readers that misbehave, each in its own way; workers import them by name."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

from memx.errors import CorruptFile
from memx.formats.base import BelongsTo, StreamReader
from memx.records import Record, encode


class Hostile(StreamReader):
    format = "hostile"
    reader = "hostile"
    access = "path"

    def records(self) -> Iterator[Record]:
        yield {"type": "thing", "name": "first"}
        self.misbehave()
        yield {"type": "thing", "name": "last"}

    def misbehave(self) -> None:
        """What the reader does between its two records."""


class Blocks(Hostile):
    """Well-behaved: it writes lines itself."""

    def records(self) -> Iterator[Record]:
        yield {"type": "thing", "name": "whole"}
        for number in range(3):
            yield {"type": "part", "number": number}

    def blocks(self) -> Iterator[Record | bytes]:
        first, *others = self.records()
        yield first
        yield b"".join(map(encode, others))


class TellsWhatIsLoaded(Hostile):
    def records(self) -> Iterator[Record]:
        yield {"type": "thing", "name": " ".join(sys.modules)}


class Segfaults(Hostile):
    def misbehave(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class SegfaultsAtOpen(Hostile):
    def open(self) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGSEGV)
        return {}


class Exits(Hostile):
    def misbehave(self) -> None:
        os._exit(7)


class SysExits(Hostile):
    def misbehave(self) -> None:
        sys.exit(3)


class Sleeps(Hostile):
    def misbehave(self) -> None:
        time.sleep(60)


class IgnoresTermination(Hostile):
    def misbehave(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)


class NeverEnds(Hostile):
    def records(self) -> Iterator[Record]:
        index = 0
        while True:
            yield {"type": "thing", "name": f"thing {index}"}
            index += 1


class Prints(Hostile):
    def misbehave(self) -> None:
        print("hello")
        os.write(1, b"from C\n")
        os.write(2, b"a warning\n")


class TakesMemory(Hostile):
    def misbehave(self) -> None:
        self.hoard = bytearray(1 << 30)


class Breaks(Hostile):
    def misbehave(self) -> None:
        raise CorruptFile("the thing is bent", offset=12)


class Bug(Hostile):
    def misbehave(self) -> None:
        raise ZeroDivisionError("by nobody")


class HandsOn(Hostile):
    def open(self) -> dict[str, Any]:
        raise BelongsTo("binary")


class HandsOnToALibrary(Hostile):
    """A direct reader that finds something that only the library knows."""

    reader = "direct"
    access = "seek"

    def open(self) -> dict[str, Any]:
        self.source.read_at(0, 10)
        raise BelongsTo("library")
