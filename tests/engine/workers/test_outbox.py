"""The memory that outlives a worker: what comes by the pipe and what is taken from it are one order of lines."""

import fcntl
import mmap
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.workers.outbox import BATCH, Inbox, Outbox, make_outbox
from memx.records import MAX_LINE


@pytest.fixture
def boxes():
    memory = make_outbox()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 1 << 20)
    outbox, inbox = Outbox(memory, writing), Inbox(memory)
    yield outbox, inbox, reading
    inbox.close()
    outbox._memory.close()
    for descriptor in (memory, reading, writing):
        os.close(descriptor)


def arrive(inbox: Inbox, reading: int, most: int = 1 << 20) -> bytes:
    try:
        return inbox.from_pipe(os.read(reading, most))
    except BlockingIOError:
        return b""


def test_what_is_gathered_is_taken_once(boxes):
    outbox, inbox, reading = boxes
    outbox.put(b"one\n")
    assert inbox.from_outbox() == b"one\n"
    assert inbox.from_outbox() == b""
    outbox.put(b"two\n")
    outbox.flush()
    assert arrive(inbox, reading) == b"two\n", "what was taken from memory comes again by the pipe, and is dropped"


def test_a_full_batch_is_written_by_itself(boxes):
    outbox, inbox, reading = boxes
    line = b"x" * 1000 + b"\n"
    for _ in range(BATCH // len(line)):
        outbox.put(line)
    assert arrive(inbox, reading) == b""
    outbox.put(line)
    assert len(arrive(inbox, reading)) > BATCH


def test_the_longest_line_fits(boxes):
    outbox, inbox, _ = boxes
    outbox.put(b"a" * (BATCH - 2) + b"\n")
    outbox._pipe = os.open(os.devnull, os.O_WRONLY)
    outbox.put(b"b" * (MAX_LINE - 1) + b"\n")
    os.close(outbox._pipe)
    assert inbox.from_outbox() == b"", "it was flushed: what is not in memory must be waited for"


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 30000)),
        st.tuples(st.just("pipe"), st.integers(1, 70000)),
        st.tuples(st.just("memory"), st.just(0)),
        st.tuples(st.just("flush"), st.just(0)),
    ),
    max_size=60,
)


@given(steps)
def test_lines_arrive_whole_in_order_and_once(steps):
    memory = make_outbox()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    outbox, inbox = Outbox(memory, writing), Inbox(memory)
    put, arrived = b"", b""
    unread = 0
    for step, size in steps:
        if step == "put":
            if unread + size > 40000:  # a full pipe would block: read it, as the parent does
                while part := arrive(inbox, reading):
                    arrived += part
                unread = 0
            line = b"%d " % len(put) + b"x" * size + b"\n"
            outbox._pipe = writing
            try:
                outbox.put(line)
            except BlockingIOError:
                break
            put += line
            unread += len(line)
        elif step == "pipe":
            arrived += arrive(inbox, reading, size)
        elif step == "flush":
            try:
                outbox.flush()
            except BlockingIOError:
                break
        else:
            arrived += inbox.from_outbox()
        assert put.startswith(arrived)
        assert not arrived or arrived.endswith(b"\n")
    else:
        while part := arrive(inbox, reading):
            arrived += part
        assert arrived + inbox.from_outbox() == put
    inbox.close()
    outbox._memory.close()
    for descriptor in (memory, reading, writing):
        os.close(descriptor)


def test_untouched_room_costs_nothing():
    memory = make_outbox()
    assert os.fstat(memory).st_blocks == 0
    view = mmap.mmap(memory, 16)
    view.close()
    os.close(memory)
