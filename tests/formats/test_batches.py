"""Records as blocks of lines: the same lines, in the same order, whatever ends a block."""

from collections.abc import Iterator

import pytest

from memx.errors import CorruptFile
from memx.formats.base import fault
from memx.formats.batches import in_blocks
from memx.records import Record, encode


def card(value: object) -> Record:
    return {"type": "card", "value": value}


def lines(parts: Iterator[Record | bytes]) -> bytes:
    return b"".join(part if isinstance(part, bytes) else encode(part) for part in parts)


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
def test_nothing_is_lost(count: int) -> None:
    records = [card(n) for n in range(count)]
    parts = list(in_blocks(records, 80))
    assert lines(iter(parts)) == b"".join(map(encode, records))
    assert len(parts) <= count // 100 + 1


def test_an_error_is_given_as_it_is() -> None:
    records = [card(1), card(2), fault("corrupt", "odd"), card(3)]
    first, error, last = in_blocks(records, 80)
    assert (first, last) == (encode(card(1)) + encode(card(2)), encode(card(3)))
    assert error == records[2]


def test_a_heavy_value_ends_its_block() -> None:
    assert len(list(in_blocks([card("x" * 81), card("y" * 80), card("z")], 80))) == 2


def test_what_was_read_comes_before_what_went_wrong() -> None:
    def broken() -> Iterator[Record]:
        yield card(1)
        raise CorruptFile("broken")

    parts = in_blocks(broken(), 80)
    assert next(parts) == encode(card(1))
    with pytest.raises(CorruptFile):
        next(parts)


def test_nothing_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr("memx.formats.batches.time.monotonic", lambda: next(now))
    assert len(list(in_blocks([card(n) for n in range(5)], 80))) == 5
