"""Lines gathered into blocks: many at a time, and before an error those that were told before it."""

from collections.abc import Callable, Iterator
from itertools import islice

from memx.errors import MemxError

LINES = 256
"""So many lines make a block."""


def in_blocks(lines: Iterator[str]) -> Iterator[bytes]:
    """The lines of an iterator, many at a time."""

    def add(block: list[str]) -> bool:
        before = len(block)
        block.extend(islice(lines, LINES))
        return len(block) > before

    return gathered(add)


def gathered(add: Callable[[list[str]], bool]) -> Iterator[bytes]:
    """Those that `add` adds to a list at each call, until it says that there are no more."""
    more = True
    while more:
        block: list[str] = []
        try:
            while more and len(block) < LINES:
                more = add(block)
        except MemxError:
            if block:
                yield "".join(block).encode("ascii")
            raise
        if block:
            yield "".join(block).encode("ascii")
