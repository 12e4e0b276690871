"""The cursor, against plain bytes."""

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from memx.sources import Cursor, open_source

LENGTHS = st.integers(0, 90)


class Forward(io.BytesIO):
    """Bytes that cannot be sought in."""

    def seekable(self) -> bool:
        return False


class CursorMachine(RuleBasedStateMachine):
    """Whatever is done with a cursor, it stands where an index into the bytes stands."""

    @initialize(data=st.binary(max_size=400), block=st.integers(1, 64), seekable=st.booleans(), begin=LENGTHS)
    def begin(self, data: bytes, block: int, seekable: bool, begin: int) -> None:
        source = open_source(io.BytesIO(data) if seekable else Forward(data))
        begin = source.skip(begin)
        self.data, self.at, self.seekable, self.block = data, begin, seekable, block
        self.cursor = Cursor(source, block)
        self.asked = 0

    @rule(length=LENGTHS)
    def take(self, length: int) -> None:
        self.asked = max(self.asked, length)
        expected = self.data[self.at : self.at + length]
        assert self.cursor.take(length) == expected
        self.at += len(expected)

    @rule(length=LENGTHS)
    def ensure(self, length: int) -> None:
        self.asked = max(self.asked, length)
        there = self.cursor.ensure(length)
        assert there == (self.at + length <= len(self.data))
        if there:
            index = self.cursor.index
            assert self.cursor.buffer[index : index + length] == self.data[self.at : self.at + length]

    @rule(length=st.integers(0, 500))
    def skip(self, length: int) -> None:
        expected = min(length, len(self.data) - self.at)
        assert self.cursor.skip(length) == expected
        self.at += expected

    @precondition(lambda self: self.seekable)
    @rule(part=st.floats(0, 1))
    def seek(self, part: float) -> None:
        self.at = int(part * len(self.data))
        self.cursor.seek(self.at)

    @invariant()
    def stands_where_the_index_stands(self) -> None:
        assert self.cursor.tell() == self.at

    @invariant()
    def holds_no_more_than_was_asked_for_and_a_block(self) -> None:
        assert len(self.cursor.buffer) <= self.asked + self.block


TestCursor = CursorMachine.TestCase


@given(st.integers(1 << 40, 1 << 62), st.booleans())
def test_a_lying_length_allocates_nothing(length: int, seekable: bool) -> None:
    file: Any = io.BytesIO(b"abc") if seekable else Forward(b"abc")
    cursor = Cursor(open_source(file))
    assert not cursor.ensure(length)
    assert cursor.take(length) == b"abc"
    assert cursor.skip(length) == 0


def test_it_steps_over_without_reading() -> None:
    source = open_source(io.BytesIO(bytes(1 << 20)))
    cursor = Cursor(source, 100)
    cursor.take(10)
    cursor.skip(1 << 19)
    cursor.take(10)
    assert source.bytes_read == 200
