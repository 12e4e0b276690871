"""Local files, streams, pipes and copies on disk: all give the same bytes, and only what is there."""

import gzip
import io
import os
import socket
import stat
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.errors import OverLimit, SourceDenied, SourceFailed, SourceNotFound, TimedOut, UnsupportedSource
from memx.sources import LocalFile, Source, name_of, open_source, spool
from memx.sources.local import open_descriptor
from memx.sources.stream import ForwardStream, SeekableStream

DATA = bytes(range(256)) * 5


class Dribble(io.RawIOBase):
    """A raw stream that gives at most seven bytes a call, and cannot seek."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        return self._inner.readinto(memoryview(buffer)[:7])


class OnlyRead:
    """The least that a file object can be."""

    def __init__(self, data: bytes) -> None:
        self._inner = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._inner.read(min(size, 100))


class Failing:
    """A file object that fails in its own way after some bytes."""

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self._left = 10

    def read(self, size: int) -> bytes:
        if size and not self._left:
            raise self._error
        got = min(size, self._left)
        self._left -= got
        return bytes(got)


@pytest.fixture(params=["local", "stdio", "dribble", "only read", "bytes", "offset", "spooled"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Source]:
    """DATA behind every kind of source."""
    path = tmp_path / "data"
    path.write_bytes(DATA)
    shifted = io.BytesIO(b"before" + DATA)
    shifted.seek(6)
    makers: dict[str, Any] = {
        "local": lambda: open_source(path),
        "stdio": lambda: open_source(path.open("rb")),
        "dribble": lambda: open_source(Dribble(DATA)),  # type: ignore[arg-type]  # a raw stream, not a BinaryIO
        "only read": lambda: open_source(OnlyRead(DATA)),  # type: ignore[arg-type]  # the least there is
        "bytes": lambda: open_source(io.BytesIO(DATA)),
        "offset": lambda: open_source(shifted),
        "spooled": lambda: spool(open_source(Dribble(DATA))),  # type: ignore[arg-type]  # as above
    }
    with makers[request.param]() as opened:
        yield opened
        if request.param == "stdio":
            opened._file.close()


class TestEverySource:
    def test_peek_does_not_move(self, source: Source) -> None:
        assert source.peek(300) == DATA[:300]
        assert source.peek(3) == DATA[:3]
        assert source.tell() == 0
        assert source.read(5000) == DATA
        assert source.tell() == len(DATA)
        assert source.read(1) == b""

    def test_reads_and_skips(self, source: Source) -> None:
        assert source.peek(50) == DATA[:50]
        assert source.read(10) == DATA[:10]
        assert source.skip(100) == 100
        buffer = bytearray(20)
        assert source.readinto(memoryview(buffer)) == 20
        assert bytes(buffer) == DATA[110:130]
        assert source.tell() == 130
        assert source.skip(1 << 62) == len(DATA) - 130
        assert source.tell() == len(DATA)
        assert source.skip(5) == 0
        assert source.readinto(memoryview(buffer)) == 0

    def test_reads_on_with_what_is_there(self, source: Source) -> None:
        data = source.read_on(5, 200)
        assert 5 <= len(data) <= 200
        while part := source.read_on(5, 200):
            data += part
        assert data == DATA
        assert source.tell() == len(DATA)

    def test_a_short_end(self, source: Source) -> None:
        source.skip(len(DATA) - 3)
        buffer = bytearray(8)
        assert source.readinto(memoryview(buffer)) == 3
        assert bytes(buffer[:3]) == DATA[-3:]

    def test_left_where_the_size_is_known(self, source: Source) -> None:
        source.read(30)
        assert source.left() == (None if source.size is None else len(DATA) - 30)

    def test_anywhere_where_seekable(self, source: Source) -> None:
        if not source.seekable:
            with pytest.raises(NotImplementedError):
                source.seek(0)
            with pytest.raises(NotImplementedError):
                source.read_at(0, 1)
            return
        assert source.read_at(700, 5) == DATA[700:705]
        assert source.tell() == 0
        assert source.read_at(len(DATA) - 2, 1 << 60) == DATA[-2:]
        assert source.read_at(1 << 60, 5) == b""
        source.seek(256)
        assert source.read(2) == DATA[256:258]
        source.seek(1 << 50)
        assert source.read(2) == b""
        assert source.left() == 0

    def test_closing_twice_is_no_error(self, source: Source) -> None:
        source.close()
        source.close()


@given(
    st.lists(st.tuples(st.sampled_from(["read", "readinto", "skip"]), st.integers(0, 400)), max_size=20), st.booleans()
)
def test_any_way_through_gives_the_bytes_in_order(steps: list[tuple[str, int]], seekable: bool) -> None:
    file: Any = io.BytesIO(DATA) if seekable else Dribble(DATA)
    source, at = open_source(file), 0
    source.peek(33)
    for way, length in steps:
        expected = DATA[at : at + length]
        if way == "read":
            assert source.read(length) == expected
        elif way == "readinto":
            buffer = bytearray(length)
            assert source.readinto(memoryview(buffer)) == len(expected)
            assert bytes(buffer[: len(expected)]) == expected
        else:
            assert source.skip(length) == len(expected)
        at += len(expected)
        assert source.tell() == at


class TestLocalFile:
    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFound, match="no file"):
            open_source(tmp_path / "none")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_denied(self, tmp_path: Path) -> None:
        path = tmp_path / "secret"
        path.touch(mode=0)
        with pytest.raises(SourceDenied):
            open_source(path)

    def test_denied_as_the_system_says(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(SourceDenied, match="no permission"):
            open_descriptor(tmp_path / "secret")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(UnsupportedSource, match="folder"):
            open_source(tmp_path)

    def test_a_socket(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(tmp_path / "s"))
            with pytest.raises(SourceFailed):
                open_source(tmp_path / "s")

    @pytest.mark.parametrize("name", ["nul\0byte", "x" * 5000])
    def test_a_name_that_cannot_be(self, name: str) -> None:
        with pytest.raises(SourceFailed):
            open_source(name)

    def test_a_name_of_any_bytes(self, tmp_path: Path) -> None:
        path = os.fsencode(tmp_path) + b"/\xff.bin"
        with open(path, "wb"):
            pass
        with open_source(os.fsdecode(path)) as source:
            assert source.path.endswith("\\xff.bin")

    def test_skipped_bytes_are_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "sparse"
        with path.open("wb") as file:
            file.truncate(1 << 40)
        with open_source(path) as source:
            assert source.skip(1 << 39) == 1 << 39
            assert source.read(16) == bytes(16)
            assert source.bytes_read == 16
            assert source.left() == (1 << 39) - 16

    def test_page_cache_is_given_back_behind_a_long_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "posix_fadvise", lambda _fd, at, length, _advice: given.append((at, length)))
        path = tmp_path / "long"
        with path.open("wb") as file:
            file.truncate(20 << 20)
        with open_source(path) as source:
            assert isinstance(source, LocalFile)
            source.drop_behind = True
            while source.read(1 << 20):
                pass
        assert given == [(0, 8 << 20), (8 << 20, 8 << 20)]

    def test_its_descriptor_is_closed(self, tmp_path: Path) -> None:
        path = tmp_path / "data"
        path.touch()
        descriptor = open_descriptor(path)
        LocalFile(descriptor, "data").close()
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(descriptor)


def test_a_pipe_is_not_waited_for_longer_than_needed() -> None:
    reading, writing = os.pipe()
    with open(writing, "wb", buffering=0) as end, open(reading, "rb") as pipe, open_source(pipe) as source:
        end.write(b"abcdef")
        assert source.read_on(2, 1 << 16) == b"abcdef"
        end.write(b"gh")
        assert source.read_on(1, 1 << 16) == b"gh"


class TestNamedPipe:
    def test_its_writer_may_come_later(self, tmp_path: Path) -> None:
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        writer = threading.Timer(0.1, lambda: fifo.write_bytes(DATA))
        writer.start()
        try:
            with open_source(fifo) as source:
                assert source.peek(4) == DATA[:4]
                assert source.read(5000) == DATA
                assert source.size is None
        finally:
            writer.join()

    def test_an_interrupt_leaves_nothing_open(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import select

        class Interrupted:
            def register(self, *_: int) -> None:
                pass

            def poll(self) -> None:
                raise KeyboardInterrupt

        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        before = len(os.listdir("/proc/self/fd"))
        monkeypatch.setattr(select, "poll", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_source(fifo)
        assert len(os.listdir("/proc/self/fd")) == before


class TestFileObjects:
    def test_they_stay_the_callers(self) -> None:
        for file in (io.BytesIO(DATA), io.BufferedReader(Dribble(DATA))):
            open_source(file).close()
            assert not file.closed

    def test_one_that_is_owned_is_closed(self) -> None:
        file = io.BytesIO(DATA)
        ForwardStream(file, "x").close()
        assert file.closed

    def test_text_is_refused(self) -> None:
        with pytest.raises(UnsupportedSource, match="binary"):
            open_source(io.StringIO("text"))  # type: ignore[arg-type]  # the point

    def test_what_cannot_be_read_is_refused(self) -> None:
        with pytest.raises(UnsupportedSource, match="int"):
            open_source(5)  # type: ignore[arg-type]  # the point

    def test_a_closed_one_is_refused(self) -> None:
        file = io.BytesIO(DATA)
        file.close()
        with pytest.raises(SourceFailed, match="closed"):
            open_source(file)

    @pytest.mark.parametrize(
        "error", [OSError(5, "Input/output error"), EOFError("gone"), ValueError("closed"), zlib.error("x")]
    )
    def test_what_it_raises_is_said(self, error: Exception) -> None:
        source = open_source(Failing(error))  # type: ignore[arg-type]  # the least there is
        assert source.read(10) == bytes(10)
        with pytest.raises(SourceFailed) as caught:
            source.read(10)
        assert caught.value.offset == 10

    @pytest.mark.parametrize("error", [MemoryError(), TimedOut("over"), KeyboardInterrupt()])
    def test_what_is_no_fault_of_it_passes(self, error: BaseException) -> None:
        source = open_source(Failing(error))  # type: ignore[arg-type]  # as above
        with pytest.raises(type(error)):
            source.read(20)

    def test_a_broken_gzip_file_object(self) -> None:
        with gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(DATA)[:-9])) as file, pytest.raises(SourceFailed):
            open_source(file).read(5000)  # type: ignore[arg-type]  # a GzipFile is as good as a BinaryIO

    def test_one_that_stands_behind_its_end_is_empty(self) -> None:
        file = io.BytesIO(DATA)
        file.seek(5000)
        source = SeekableStream(file, "x")
        assert source.size == 0
        assert source.read(5) == b""

    def test_names(self, tmp_path: Path) -> None:
        path = tmp_path / "data"
        path.touch()
        with path.open("rb") as file:
            assert name_of(file) == str(path)
        assert name_of(io.BytesIO()) == "-"
        assert name_of(path) == name_of(str(path)) == str(path)


class TestSpool:
    def test_a_path_while_it_is_open(self) -> None:
        with spool(open_source(Dribble(DATA))) as copy:  # type: ignore[arg-type]  # a raw stream, not a BinaryIO
            path = copy.local_path()
            assert path is not None
            with open(path, "rb") as file:
                assert file.read() == DATA
            assert copy.size == len(DATA)

    def test_nothing_is_left(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with spool(open_source(io.BytesIO(DATA))):
            assert len(os.listdir(tmp_path)) == 1
        assert os.listdir(tmp_path) == []

    def test_where_no_folder_takes_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "none"))
        with pytest.raises(OverLimit, match="no temporary copy"):
            spool(open_source(io.BytesIO(DATA)))

    def test_a_full_disk(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OverLimit, match="no space left"):
            spool(open_source(io.BytesIO(DATA)))

    def test_a_source_that_fails_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(SourceFailed):
            spool(open_source(Failing(OSError(5, "Input/output error"))))  # type: ignore[arg-type]  # the least there is
        assert os.listdir(tmp_path) == []
        assert len(os.listdir("/proc/self/fd")) == before

    def test_only_its_owner_reads_it(self) -> None:
        with spool(open_source(io.BytesIO(DATA))) as copy:
            assert stat.S_IMODE(os.stat(copy.local_path() or "").st_mode) == 0o600


@pytest.mark.parametrize("make", [open_source, lambda path: open_source(io.BytesIO(DATA))])
def test_many_small_reads_are_those_of_read_at(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    offsets = (0, 7, 1000, len(DATA) - 3)
    with make(path) as source:
        before, read = source.bytes_read, source.reads_at(16)
        given = [read(offset) for offset in offsets]
        source.was_read(sum(map(len, given)))
        assert given == [DATA[offset : offset + 16] for offset in offsets]
        assert source.bytes_read - before == 3 * 16 + 3


@pytest.mark.skipif(not hasattr(os, "O_NOATIME"), reason="only Linux leaves access times as they are")
def test_reading_leaves_the_time_of_access(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    os.utime(path, (1, 2))  # so old that even a lazy file system would set it anew
    with open_source(path) as source:
        assert source.read(len(DATA)) == DATA
    assert path.stat().st_atime == 1


def test_a_file_of_somebody_else_is_read_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    really = os.open

    def open_as_another(name: Any, flags: int, *rest: Any) -> int:
        if flags & getattr(os, "O_NOATIME", 0):
            raise PermissionError(1, "Operation not permitted")
        return really(name, flags, *rest)

    monkeypatch.setattr(os, "open", open_as_another)
    with open_source(path) as source:
        assert source.read(len(DATA)) == DATA
