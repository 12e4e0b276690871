"""What a person sees: the table, the memory table beside it, colours where they are wanted, and nothing hostile."""

import os
import pty
import re
import signal
from pathlib import Path

import pytest

from memx.cli.live import LiveView
from memx.engine.reading.streaming import Stream
from memx.records import decode
from tests.cli.command import memx, on_terminal, random_bytes

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def test_a_table_on_a_terminal(tmp_path: Path) -> None:
    status, shown = on_terminal("stream", random_bytes(tmp_path, 5000))
    assert status == 0
    lines = CONTROL.sub("", shown).splitlines()
    assert [line.split()[0] for line in lines if line.strip()][1:] == ["index", "0", "sha256", "complete"]
    assert all(len(line) <= 80 for line in lines[1:])
    assert "\x1b[32m" in shown


@pytest.mark.parametrize("way", ["--no-color", "NO_COLOR"])
def test_no_colour(tmp_path: Path, way: str) -> None:
    environment = {} if way.startswith("-") else {way: "1"}
    arguments = [way] if way.startswith("-") else []
    status, shown = on_terminal("stream", *arguments, random_bytes(tmp_path, 5000), environment=environment)
    assert status == 0
    assert "\x1b" not in shown


def test_json_on_a_terminal(tmp_path: Path) -> None:
    source = tmp_path / "a\u202e\x9b31m\x1b[32m.bin"
    source.write_bytes(b"abc")
    status, shown = on_terminal("stream", "--json", source)
    assert status == 0
    assert shown.replace("\n", "").isprintable()
    assert [decode(line.encode())["type"] for line in shown.splitlines()] == ["file", "chunk", "digest", "end"]
    assert decode(shown.splitlines()[0].encode())["path"] == str(source)


def test_a_table_into_a_pipe_has_no_colours(tmp_path: Path) -> None:
    done = memx("stream", "--table", random_bytes(tmp_path, 5000))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1].startswith(b"complete")


def test_hostile_names_reach_no_terminal(tmp_path: Path) -> None:
    source = tmp_path / "[red]x[bold]\x1b[31m\u202e\r\n.bin"
    source.write_bytes(b"abc")
    status, shown = on_terminal("stream", "--no-color", source, columns=160)
    assert status == 0
    assert "[red]x[bold]\\x1b[31m\\u202e\\r\\n.bin" in shown
    assert shown.replace("\n", "").isprintable()


@pytest.mark.slow
def test_the_memory_table_of_a_long_run(tmp_path: Path) -> None:
    source = random_bytes(tmp_path, 200_000)
    with open(os.devnull, "wb") as nowhere:
        status, shown = on_terminal(
            "stream",
            "--chunk-size",
            1,
            source,
            stdout=nowhere.fileno(),
            when=lambda text: text.count("records/s") >= 2,
        )
    assert status == 130
    text = CONTROL.sub("", shown)
    for title in ("memx", "worker", "peak", "available", "level", "records/s", "MB/s", "limited by"):
        assert title in text
    assert re.search("healthy|moderate|high|critical", text)
    assert re.search(r"\d+%  +[\d.]+ KiB of 195.3 KiB", text)
    assert re.search(r"budget [\d.]+ [KMGT]iB, limited by ", text)
    assert shown.endswith("\x1b[4A\r\x1b[J")  # it is gone at the end
    assert "\x1b[?" not in shown  # the cursor was never hidden: a kill leaves nothing to be put right


@pytest.mark.slow
@pytest.mark.parametrize("command", ["stream", "extract", "profile"])
def test_the_limit_that_holds_is_shown(command: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)  # whoever reads waits for more
    try:
        _, shown = on_terminal(command, "--max-memory", "500M", pipe, when=lambda text: "limited by" in text)
    finally:
        os.close(writer)
    assert "budget 500 MiB, limited by --max-memory" in shown


@pytest.mark.slow
@pytest.mark.parametrize("columns", [40, 60, 200])
def test_the_view_is_never_wider_than_the_terminal(columns: int, tmp_path: Path) -> None:
    pipe = tmp_path / ("p" * 100)
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    try:
        _, shown = on_terminal("extract", pipe, when=lambda text: text.count("budget") > 1, columns=columns)
    finally:
        os.close(writer)
    drawn = shown.partition("interrupted")[0]
    assert [line for line in CONTROL.sub("", drawn).splitlines() if len(line.rpartition("\r")[2]) >= columns] == []


@pytest.mark.slow
def test_rows_and_memory_table_share_a_terminal(tmp_path: Path) -> None:
    status, shown = on_terminal(
        "stream",
        "--chunk-size",
        1,
        random_bytes(tmp_path, 200_000),
        when=lambda text: text.count("records/s") >= 5,
        columns=160,
    )
    assert status == 130
    screen: list[str] = []
    for up, text in re.findall(r"(?:\x1b\[(\d+)A\r)?([^\x1b]*(?:\x1b\[[0-9;]*[mKJ][^\x1b]*)*)", shown):
        if up:
            del screen[len(screen) - int(up) :]
        screen += CONTROL.sub("", text).splitlines()
    indexes = [int(line.split()[0].replace(",", "")) for line in screen[2:-2]]
    assert indexes == list(range(len(indexes)))
    assert len(indexes) > 1000
    assert all("interrupted" in line for line in screen[-2:])


def test_no_memory_table_in_a_pipe_or_on_a_dumb_terminal(tmp_path: Path) -> None:
    with open(os.devnull, "wb") as nowhere:
        status, shown = on_terminal(
            "stream", random_bytes(tmp_path, 5000), stdout=nowhere.fileno(), environment={"TERM": "dumb"}
        )
    assert (status, shown) == (0, "")


@pytest.mark.slow
def test_a_source_that_was_copied_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memx.cli.live.LiveView.patience", 0.0)
    master, slave = pty.openpty()
    stream = Stream("-")
    try:
        with LiveView(slave, color=False) as view:
            view.watch(stream)
            view.took(b'{"type":"file","path":"-","spooled":true}\n')
            shown = b""
            while b"records/s" not in shown:
                shown += os.read(master, 1 << 16)
        shown += os.read(master, 1 << 16)
    finally:
        os.close(slave)
        os.close(master)
    assert b"copied to a temporary file" in shown


def test_the_terminal_closes(tmp_path: Path) -> None:
    status, _ = on_terminal(
        "stream",
        "--chunk-size",
        1,
        random_bytes(tmp_path, 100_000),
        when=lambda text: len(text) > 500,
        signals=signal.SIGHUP,
    )
    assert status == -signal.SIGHUP
