"""The real command, in a process of its own: with pipes, or on a terminal."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memx.records import Record, decode

MEMX = (sys.executable, "-m", "memx")


def memx(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Runs `memx` to its end; what it wrote is bytes."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60} | options
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([*MEMX, *map(str, arguments)], check=False, **options)


def records_of(output: bytes) -> list[Record]:
    """The records of whole lines."""
    assert output.endswith(b"\n")
    return [decode(line) for line in output.splitlines()]


def started(*arguments: object, **options: Any) -> "subprocess.Popen[bytes]":
    """A running `memx`, its output in pipes."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | options
    return subprocess.Popen([*MEMX, *map(str, arguments)], **options)


def on_terminal(
    *arguments: object,
    columns: int = 80,
    stdout: int | None = None,
    when: Callable[[str], bool] | None = None,
    signals: int = signal.SIGINT,
    environment: dict[str, str] | None = None,
) -> tuple[int, str]:
    """The exit status of `memx`, and all that its terminal got: both outputs, or, with `stdout`, its errors alone.

    Where `when` first says yes to what the terminal shows, the process gets `signals`.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    inherited = {name: text for name, text in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
    process = subprocess.Popen(
        [*MEMX, *map(str, arguments)],
        stdin=slave,
        stdout=slave if stdout is None else stdout,
        stderr=slave,
        env=inherited | {"TERM": "xterm-256color"} | (environment or {}),
    )
    os.close(slave)
    shown = bytearray()
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline and select.select([master], [], [], 60)[0]:
            try:
                data = os.read(master, 1 << 16)
            except OSError:  # Linux: the last descriptor of the other side was closed
                break
            if not data:
                break
            shown += data
            if when is not None and when(shown.decode("utf-8", "replace")):
                when = None
                process.send_signal(signals)
        return process.wait(timeout=10), shown.decode("utf-8", "replace").replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def random_bytes(folder: Path, length: int) -> Path:
    """A file that no format knows, the same each time."""
    path = folder / "random.bin"
    with path.open("wb") as file:
        block = bytes((7 * at * at + at // 251) % 256 for at in range(1 << 12))
        for start in range(0, length, len(block)):
            file.write(block[: length - start])
    return path
