"""Work in a thread of its own: in order, and its errors are raised where its result is taken."""

import sys
import threading
from pathlib import Path

import pytest

from memx.formats.lane import STACK, Lane


def test_results_come_in_order() -> None:
    with Lane(lambda number: number * number) as lane:
        for number in range(100):
            lane.put(number)
        assert lane.waiting == 100
        assert [lane.take() for _ in range(100)] == [number * number for number in range(100)]
        assert lane.waiting == 0


@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what is reserved")
def test_little_is_reserved_for_its_stack() -> None:
    def reserved() -> int:
        pages = Path("/proc/self/statm").read_bytes().split()[5]  # proc(5): private writable memory, touched or not
        return int(pages) * 4096

    before, size = reserved(), threading.stack_size()
    lanes = [Lane(lambda _: None) for _ in range(8)]
    for lane in lanes:
        lane.__enter__()
    grown = reserved() - before
    for lane in lanes:
        lane.__exit__(None, None, None)
    assert grown < len(lanes) * 2 * STACK
    assert threading.stack_size() == size


def test_the_work_is_done_elsewhere() -> None:
    with Lane(lambda _: threading.get_ident()) as lane:
        lane.put(None)
        assert lane.take() != threading.get_ident()


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, ValueError])
def test_what_is_raised_is_raised_to_who_waits_and_the_lane_goes_on(error: type[BaseException]) -> None:
    def work(fails: bool) -> str:
        if fails:
            raise error
        return "done"

    with Lane(work) as lane:
        lane.put(True)
        lane.put(False)
        with pytest.raises(error):
            lane.take()
        assert lane.take() == "done"


def test_leaving_waits_for_the_task_in_hand_and_begins_no_other() -> None:
    begun, may_end, done = threading.Event(), threading.Event(), []

    def work(number: int) -> None:
        begun.set()
        assert may_end.wait(10)
        done.append(number)

    before = threading.active_count()
    with Lane(work) as lane:
        for number in range(5):
            lane.put(number)
        assert begun.wait(10)
        threading.Timer(0.05, may_end.set).start()
    assert done == [0]
    assert threading.active_count() <= before + 1  # the timer
