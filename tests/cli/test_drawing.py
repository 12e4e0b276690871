"""What is drawn in its place stays there, also where the terminal changes its size."""

import fcntl
import os
import pty
import struct
import termios
from collections.abc import Iterator

import pytest

from memx.cli.drawing import Drawing


class Terminal:
    """A terminal of which the test plays the screen."""

    def __init__(self) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(80, 24)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def shown(self) -> str:
        return os.read(self.master, 1 << 16).decode().replace("\r\n", "\n")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    yield terminal
    os.close(terminal.master)
    os.close(terminal.slave)


def test_a_drawing_takes_the_place_of_the_last(terminal: Terminal) -> None:
    drawing = Drawing(terminal.slave)
    drawing.draw(["one", "two"])
    assert terminal.shown() == "\x1b[Jone\x1b[K\ntwo\x1b[K\n\x1b[J"
    drawing.draw(["three"])
    assert terminal.shown() == "\x1b[2A\rthree\x1b[K\n\x1b[J"
    drawing.erase()
    assert terminal.shown() == "\x1b[1A\r\x1b[J"
    drawing.draw(["four"])
    assert terminal.shown() == "four\x1b[K\n\x1b[J"


def test_lines_that_the_terminal_folded_are_taken_away_whole(terminal: Terminal) -> None:
    drawing = Drawing(terminal.slave)
    drawing.draw(["\x1b[31m" + "x" * 79 + "\x1b[0m", "short", "日本" * 15])  # of two cells each
    terminal.shown()
    terminal.resize(40, 24)
    drawing.draw(["small"])
    assert terminal.shown() == f"\x1b[{2 + 1 + 2}A\r\x1b[Jsmall\x1b[K\n\x1b[J"


def test_there_is_room_for_the_cursor(terminal: Terminal) -> None:
    drawing = Drawing(terminal.slave)
    assert (drawing.width, drawing.height) == (79, 23)
    terminal.resize(40, 12)
    assert (drawing.width, drawing.height) == (39, 11)
    terminal.resize(0, 0)  # one that does not know its size
    assert (drawing.width, drawing.height) == (79, 23)


def test_a_terminal_that_went_away_is_no_error() -> None:
    master, slave = pty.openpty()
    os.close(master)
    drawing = Drawing(slave)
    drawing.draw(["nobody", "sees this"])
    assert drawing.gone
    os.close(slave)
