"""Text in columns of cells, as a terminal counts them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2
"""Cells between two columns."""
_NARROW = re.compile("[\x20-\u02ff\u2010-\u2027\u2580-\u259f]*").fullmatch
"""Text of which every character surely takes one cell: then Rich, which knows the others, is not needed."""
_LINES = 8
"""Lines of one row at most."""


_LEAST = 3
"""Cells of a column at least, whatever there is room for."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column `least` cells wide, and by `share` of what the terminal has more."""

    title: str
    least: int
    share: int = 0
    right: bool = False
    end: bool = False
    """Of what is too long, the end is shown: that of a path tells more."""


def spread(columns: Sequence[Column], width: int) -> list[int]:
    """The widths of `columns` that together fill `width` cells; where those are too few, the widest give way."""
    spare = width - sum(column.least for column in columns) - GAP * (len(columns) - 1)
    shares = sum(column.share for column in columns) or 1
    widths = [column.least + max(0, spare) * column.share // shares for column in columns]
    for _ in range(-spare):
        widest = widths.index(max(widths))
        widths[widest] = max(_LEAST, widths[widest] - 1)
    return widths


def fitting(columns: Sequence[Column], width: int) -> Sequence[Column]:
    """The first of `columns`: so many as there is room for in `width` cells, each as wide as it is at least."""
    taken = -GAP
    for count, column in enumerate(columns):
        taken += GAP + column.least
        if taken > width:
            return columns[:count]
    return columns


def width_of(text: str) -> int:
    """How many cells of a terminal `text` takes; those of most scripts take one each, of some two."""
    if _NARROW(text):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def fit(text: str, width: int, *, right: bool = False) -> str:
    """`text` in exactly `width` cells: filled with spaces, or cut with an ellipsis."""
    taken = width_of(text)
    if taken > width:
        if taken == len(text):
            return text[: width - 1] + "…"
        from rich.cells import set_cell_size

        return set_cell_size(text, width - 1) + "…"
    return " " * (width - taken) + text if right else text + " " * (width - taken)


def wrapped(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells, broken between words; at most `_LINES`."""
    lines, line = [], ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if line and width_of(longer) > width:
            lines.append(line.rstrip())
            longer = word
        line = longer if width_of(longer) <= width else fit(longer, width)
    lines.append(line.rstrip())
    return lines if len(lines) <= _LINES else [*lines[: _LINES - 1], fit(lines[_LINES - 1], width - 1).rstrip() + "…"]


def fit_end(text: str, width: int) -> str:
    """`text` in at most `width` cells, its beginning cut: the end of a path tells more."""
    return text if width_of(text) <= width else "…" + fit(text[::-1], width - 1).rstrip("…")[::-1]


def laid(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> list[str]:
    """Each of `cells` as wide as its column."""
    return [_cell(cell, column, width) for cell, column, width in zip(cells, columns, widths, strict=False)]


def joined(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> str:
    """One line of `cells`; where they are fewer than the columns, the last is as long as it is."""
    parts = laid(columns, widths, cells)
    if len(cells) < len(columns):
        parts[-1] = cells[-1]
    return (" " * GAP).join(parts).rstrip()


def heading(columns: Sequence[Column], widths: Sequence[int]) -> str:
    """The line of their titles."""
    return joined(columns, widths, [column.title for column in columns])


def _cell(text: str, column: Column, width: int) -> str:
    return fit(fit_end(text, width) if column.end else text, width, right=column.right)


def bar(fraction: float, width: int) -> str:
    """A bar in eighths of a cell."""
    eighths = max(0, min(width * 8, round(fraction * width * 8)))
    full, part = divmod(eighths, 8)
    drawn: str = "█" * full + "▏▎▍▌▋▊▉"[part - 1 : part]
    return drawn + "·" * (width - len(drawn))
