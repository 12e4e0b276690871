"""Lines on a terminal that are drawn anew in their place."""

import os
import re
import sys
from collections.abc import Sequence

from memx.cli.columns import width_of

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def canvas() -> int | None:
    """The descriptor of standard error, where that is a terminal that can move its cursor."""
    able = sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"
    return sys.stderr.fileno() if able else None


class Drawing:
    """Lines below all that is written on the terminal of `descriptor`; each drawing takes the place of the last.

    Nothing flickers, since lines are written over, in one write; and nothing above is touched. The cursor stays
    shown, and where it is after a line: whoever is killed leaves nothing behind that has to be put right.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lines: Sequence[str] = ()
        self._columns = 0
        self.gone = False
        """Whether the terminal went away: there is nobody to show anything to."""

    @property
    def width(self) -> int:
        """Cells of a line. One is left over: at the end of a line terminals differ."""
        return max(1, self._size().columns - 1)

    @property
    def height(self) -> int:
        """Lines that there is room for; one is left for the cursor."""
        return max(1, self._size().lines - 1)

    def draw(self, lines: Sequence[str]) -> None:
        """Shows `lines`, which are no wider and no more than there is room for."""
        columns = self._size().columns
        # where lines were folded, a terminal remembers it, and would unfold what is written over them
        clean = "" if columns == self._columns else "\x1b[J"
        shown = "".join(f"{line}\x1b[K\n" for line in lines)
        self._write(f"{self._back()}{clean}{shown}\x1b[J")
        self._lines, self._columns = lines, columns

    def erase(self) -> None:
        """Takes what is drawn away."""
        if self._lines:
            self._write(f"{self._back()}\x1b[J")
        self._lines = ()

    def again(self, lines: Sequence[str]) -> None:
        """Draws `lines` after they were erased, if there are any."""
        if lines:
            self.draw(lines)

    @property
    def lines(self) -> Sequence[str]:
        """What is drawn."""
        return self._lines

    def _back(self) -> str:
        """What moves the cursor to where the drawing begins (ECMA-48: CUU)."""
        if not self._lines:
            return ""
        # where the terminal became narrower, it has folded what was too wide, as all but the oldest do
        columns = self._size().columns
        rows = sum(max(1, -(-width_of(_COLOURS.sub("", line)) // columns)) for line in self._lines)
        return f"\x1b[{rows}A\r"

    def _size(self) -> os.terminal_size:
        try:
            size = os.get_terminal_size(self._descriptor)
        except OSError:
            size = os.terminal_size((0, 0))
        return os.terminal_size((size.columns or 80, size.lines or 24))  # a terminal that does not know says 0

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self.gone = True
