"""What is to be read, found by a thread of its own."""

import threading
import time
from collections.abc import Iterator

import pytest

from memx.engine.dataset.feed import AHEAD, Feed, One
from memx.errors import UsageError


def taken(feed: Feed[int]) -> list[int]:
    items = []
    while not feed.ended:
        item = feed.take()
        if item is None:
            feed.wait(0.1)
        else:
            items.append(item)
    return items


def test_all_items_come_in_order() -> None:
    feed = Feed(range(10 * AHEAD))
    assert taken(feed) == list(range(10 * AHEAD))
    feed.close()


def test_few_are_held() -> None:
    given = []

    def items() -> Iterator[int]:
        for number in range(100 * AHEAD):
            given.append(number)
            yield number

    feed = Feed(items())
    time.sleep(0.2)
    assert len(given) <= AHEAD + 2
    feed.close()


def test_an_error_comes_after_what_was_found_before() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise UsageError("the list breaks")

    feed = Feed(items())
    while (first := feed.take()) is None:
        feed.wait(0.1)
    assert first == 1
    with pytest.raises(UsageError, match="the list breaks"):
        taken(feed)
    feed.close()


def test_what_is_left_is_counted() -> None:
    feed = Feed(range(1000))
    assert feed.left(10.0) == (1000, True)
    feed.close()
    gate = threading.Event()

    def slow() -> Iterator[int]:
        yield 1
        gate.wait(10)

    feed = Feed(slow())
    assert feed.left(0.2) == (1, False)
    gate.set()
    feed.close()


def test_one() -> None:
    feed = One("a")
    assert (feed.ended, feed.take(), feed.ended, feed.take()) == (False, "a", True, None)
