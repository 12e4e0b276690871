"""The second process of a long film: it comes and goes without a trace, and nothing hangs on it."""

import errno
import fcntl
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from memx.engine.options import StreamOptions
from memx.engine.reading import companion, session
from memx.engine.reading.companion import Companion
from memx.engine.reading.streaming import Stream
from memx.formats.base import StreamReader
from memx.formats.video.matroska import turns
from memx.records import Record, decode
from memx.sources import open_source
from tests.cli.command import memx, records_of, started
from tests.samples import matroska as samples

PICTURES = 60_000


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of so many packets that two processes read it."""
    path = tmp_path_factory.mktemp("film") / "long.mkv"
    each = 250
    clusters = (samples.cluster(40 * begin, *samples.pictures(40 * begin, each)) for begin in range(0, PICTURES, each))
    path.write_bytes(samples.film(*clusters))
    return path


def children(pid: int) -> list[int]:
    """The processes that one has started and not waited for."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def until(condition: Callable[[], object]) -> None:
    """Waits for it."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.005)


def is_there(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def told(path: Path, **options: Any) -> tuple[list[bytes], Record]:
    """What a stream says: its lines, and the last one apart, decoded."""
    *lines, end = b"".join(Stream(path, StreamOptions(**options)).lines()).splitlines()
    return lines, decode(end)


def test_two_processes_say_what_one_says(film: Path) -> None:
    alone, end = told(film)
    assert "second_process_rss" not in end["metrics"]
    with patch.object(session, "cores", lambda: 2):
        together, its_end = told(film, two_processes=True)
    assert together[1:] == alone[1:]
    assert its_end["records"] == end["records"] == PICTURES + 1
    assert 0 < its_end["metrics"]["bytes_read"] < film.stat().st_size
    assert 0 < its_end["metrics"]["second_process_rss"] < its_end["metrics"]["peak_rss"]
    assert children(os.getpid()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("options", "processors"), [
    ({}, 2), ({"two_processes": True}, 1), ({"two_processes": True, "strategy": "conservative"}, 2),
    ({"two_processes": True, "limit": PICTURES}, 2), ({"two_processes": True, "select": ("packet",)}, 2),
    ({"two_processes": True, "with_path": True}, 2), ({"two_processes": True, "max_memory": 1 << 30}, 2),
])  # fmt: skip
def test_one_process_is_enough(film: Path, options: dict[str, Any], processors: int) -> None:
    if "strategy" in options:
        options = options | {"strategy": session.ExtractionStrategy(options["strategy"])}
    with patch.object(session, "cores", lambda: processors), patch.object(companion.os, "fork", None):
        _, end = told(film, **options)
    assert end["status"] == "complete"
    assert "second_process_rss" not in end["metrics"]


def test_where_no_process_can_be_had_one_is_enough(film: Path) -> None:
    with patch.object(session, "cores", lambda: 2), patch.object(companion.os, "fork", side_effect=BlockingIOError):
        before = len(os.listdir("/proc/self/fd"))
        lines, end = told(film, two_processes=True)
        assert len(os.listdir("/proc/self/fd")) == before
    assert (len(lines), end["status"]) == (PICTURES + 2, "complete")
    assert "second_process_rss" not in end["metrics"]


class Answering(StreamReader):
    """Answers with what it was asked, once it has done what was asked for."""

    format = "answering"

    def records(self) -> Iterator[Record]:
        return iter(())

    def stretch(self, question: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        match question["do"]:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "raise":
                raise MemoryError
            case "leave":
                raise SystemExit(0)
            case "hang":
                signal.pause()
            case "print":
                os.write(1, b"into nowhere")
        return {"heard": question["do"]}, [b"x" * 300_000 + b"\n", b"", b"y\n"]


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Companion]:
    (tmp_path / "it").write_bytes(b"it")
    with open_source(tmp_path / "it") as source:
        before = len(os.listdir("/proc/self/fd"))
        it = Companion(Answering(source))
        it.start()
        yield it
        it.close()
        it.close()
        assert len(os.listdir("/proc/self/fd")) == before
    assert children(os.getpid()) == []


def test_it_answers_again_and_again(second: Companion, capfd: pytest.CaptureFixture[str]) -> None:
    for what in ("listen", "print", "listen"):
        assert second.ask({"do": what})
        assert second.answer() == ({"heard": what}, [b"x" * 300_000 + b"\n", b"", b"y\n"])
    second.close()
    assert second.private > 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("what", ["die", "raise", "leave", "hang"])
def test_it_is_gone_and_nothing_else_is(second: Companion, what: str) -> None:
    with patch.object(companion, "_SECONDS", 0.2):
        assert second.ask({"do": what})
        assert second.answer() is None
    assert not second.ask({"do": "listen"})
    assert second.answer() is None


def test_killed_between_two_questions(second: Companion) -> None:
    os.kill(second._pid, signal.SIGKILL)
    until(lambda: not is_there(second._pid))
    assert not second.ask({"do": "listen"})
    assert second.answer() is None


@pytest.fixture
def unwatched() -> Iterator[None]:
    """SIGCHLD is ignored, as it may be by whoever starts the command: what ends is gone at once (wait(2))."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, before)


@pytest.mark.usefixtures("unwatched")
@pytest.mark.parametrize("what", ["listen", "die"])
def test_where_nobody_is_told_that_it_ended(second: Companion, what: str) -> None:
    assert second.ask({"do": what})
    assert (second.answer() is None) == (what == "die")
    second.close()
    assert not second.ask({"do": "listen"})


@pytest.mark.usefixtures("unwatched")
def test_kills_none_but_its_own(second: Companion) -> None:
    pid = second._pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{pid}").exists())
    with patch.object(companion.os, "kill") as kill:  # another process may have its number now
        second.close()
    kill.assert_not_called()


def test_half_the_pipes_are_given_back(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"it")
    with open_source(tmp_path / "it") as source:
        before = len(os.listdir("/proc/self/fd"))
        it = Companion(Answering(source))
        no_more = OSError(errno.EMFILE, "too many open files")
        with patch.object(companion.os, "pipe", side_effect=[os.pipe(), no_more]), pytest.raises(OSError, match="many"):
            it.start()
        it.close()
        assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_may_be_many(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    pipe = os.pipe

    def high() -> tuple[int, int]:
        ends = pipe()
        try:
            return fcntl.fcntl(ends[0], fcntl.F_DUPFD_CLOEXEC, 1024), fcntl.fcntl(ends[1], fcntl.F_DUPFD_CLOEXEC, 1024)
        finally:
            for end in ends:
                os.close(end)

    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    (tmp_path / "it").write_bytes(b"it")
    try:
        with open_source(tmp_path / "it") as source, patch.object(companion.os, "pipe", high):
            it = Companion(Answering(source))
            it.start()
            assert it.ask({"do": "listen"})
            assert it.answer() is not None
            it.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_interrupt_amid_its_end_leaves_nothing(second: Companion) -> None:
    pid = second._pid
    with patch.object(companion, "private_of", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        second.close()
    assert not is_there(pid)


def test_an_interrupt_amid_its_start_leaves_nothing(tmp_path: Path) -> None:
    mask = signal.pthread_sigmask

    def struck(how: int, signals: Any) -> Any:
        before = mask(how, signals)
        if how == signal.SIG_BLOCK and signals:  # Python looks for signals when it has set the mask
            raise KeyboardInterrupt
        return before

    blocked = mask(signal.SIG_BLOCK, ())
    (tmp_path / "it").write_bytes(b"it")
    with open_source(tmp_path / "it") as source:
        before = len(os.listdir("/proc/self/fd"))
        it = Companion(Answering(source))
        with patch.object(companion.signal, "pthread_sigmask", struck), pytest.raises(KeyboardInterrupt):
            it.start()
        it.close()
        assert len(os.listdir("/proc/self/fd")) == before
    assert mask(signal.SIG_BLOCK, ()) == blocked


def reading(path: Path) -> Any:
    """A command that waits for the reader of its output, and its second process."""
    process = started("stream", path)
    until(lambda: children(process.pid))
    return process, children(process.pid)[0]


needs_two = pytest.mark.skipif(session.cores() < 2, reason="there is one processor")


@needs_two
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_command_goes_on_when_it_is_killed(film: Path, how: int) -> None:
    process, child = reading(film)
    with process:
        os.kill(child, how)
        records = records_of(process.stdout.read())
        assert (process.wait(timeout=30), process.stderr.read()) == (0, b"")
    assert [record["pos"] for record in records[2:-1]] == sorted(record["pos"] for record in records[2:-1])
    assert (len(records), records[-1]["status"]) == (PICTURES + 3, "complete")


@needs_two
def test_it_does_not_outlive_the_command(film: Path) -> None:
    process, child = reading(film)
    with process:
        process.kill()
        process.wait(timeout=30)
        process.stdout.read()  # who waits for the end of the output waits for nobody else
    until(lambda: not is_there(child))


@needs_two
def test_an_interrupt_ends_both(film: Path) -> None:
    process, child = reading(film)
    with process:
        for pid in (process.pid, child):  # as a terminal does
            os.kill(pid, signal.SIGINT)
        records = records_of(process.stdout.read())
        assert (process.wait(timeout=30), process.stderr.read()) == (130, b"")
    assert (records[-1]["reason"], records[-1]["records"]) == ("interrupted", len(records) - 2)
    until(lambda: not is_there(child))


@needs_two
def test_both_end_when_the_reader_leaves(film: Path) -> None:
    process, child = reading(film)
    with process:
        process.stdout.close()
        assert (process.wait(timeout=30), process.stderr.read()) == (0, b"")
    until(lambda: not is_there(child))


def test_a_short_film_has_no_second_process(film: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.mkv"
    short.write_bytes(film.read_bytes()[: film.stat().st_size // 10])
    records = records_of(memx("stream", short).stdout)
    assert "second_process_rss" not in records[-1]["metrics"]
    assert len(records) * 100 < turns._WORTH
