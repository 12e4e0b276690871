"""Ctrl-C: an `end` line, whole lines, status 130; a second one kills."""

import os
import signal
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from memx.cli.interrupt import Interrupts
from tests.cli.command import random_bytes, records_of, started


def interrupted(*arguments: object, after: float = 0.0, **options: object) -> tuple[int, bytes, bytes]:
    """What `memx stream` leaves when it is interrupted a while after its first line."""
    with started("stream", *arguments, **options) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        return process.wait(timeout=30), first + rest, process.stderr.read()


@pytest.mark.parametrize("after", [0.0, 0.05, 0.3])
def test_the_end_line_is_said(tmp_path: Path, after: float) -> None:
    # beyond what a pipe takes: later the command waits for the reader, in the middle of a write
    source = random_bytes(tmp_path, 400_000)
    status, out, err = interrupted("--chunk-size", 1, source, source, after=after)
    assert (status, err) == (130, b"")
    file, *between, error, end = records_of(out)
    assert (file["type"], end["type"], end["status"], end["reason"]) == ("file", "end", "truncated", "interrupted")
    assert error == {"type": "error", "code": "truncated", "message": "interrupted"}
    assert end["records"] == len(between) + 1
    assert [record["index"] for record in between] == list(range(len(between)))


@pytest.mark.slow
def test_also_where_a_worker_reads(tmp_path: Path) -> None:
    source = random_bytes(tmp_path, 400_000)
    status, out, err = interrupted("--chunk-size", 1, "--timeout", 60, source, after=0.1)
    assert (status, err) == (130, b"")
    _, *between, end = records_of(out)
    assert (end["reason"], end["records"]) == ("interrupted", len(between))


def test_a_read_that_blocks_is_ended() -> None:
    read, write = os.pipe()
    os.write(write, b"x" * 5000)
    try:
        status, out, err = interrupted("--chunk-size", "1K", "-", after=0.2, stdin=read)
    finally:
        os.close(read)
        os.close(write)
    assert (status, err) == (130, b"")
    assert records_of(out)[-1]["reason"] == "interrupted"


@pytest.mark.slow
def test_a_second_interrupt_kills(tmp_path: Path) -> None:
    source = random_bytes(tmp_path, 400_000)
    with started("stream", "--chunk-size", 1, source) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(0.5)  # the pipe is full, nobody reads, and the first interrupt has to wait for that
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == -signal.SIGINT


def numbers() -> Generator[int, None, None]:
    try:
        yield from range(10)
    except KeyboardInterrupt:
        yield -1
        raise


def interrupt_at(moment: int, got: list[int]) -> None:
    """Reads `numbers` into `got`, and is interrupted after `moment` of them were taken, outside of the generator."""
    with Interrupts() as interrupts:
        for number in interrupts.guard(numbers()):
            if len(got) == moment:
                signal.raise_signal(signal.SIGINT)
            got.append(number)
        if moment == len(got):
            signal.raise_signal(signal.SIGINT)


def test_outside_of_the_generator_nothing_is_lost() -> None:
    got: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interrupt_at(3, got)
    assert got == [0, 1, 2, 3, -1]


def test_after_the_last_item_too() -> None:
    got: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        interrupt_at(10, got)
    assert got == list(range(10))


def test_what_ignores_interrupts_still_does() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
