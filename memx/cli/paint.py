"""The colours of text on a terminal."""

import sys
from collections.abc import Callable
from typing import Any

Paint = Callable[[str, str], str]
"""Gives text a style."""

STATUS_STYLE = {"complete": "green", "truncated": "magenta", "failed": "red"}
"""How it is said how a source ended; none of the colours is lost on a light ground."""


def painter(color: bool, file: Any = None) -> Paint:
    """What gives text the colours that the terminal of `file` has; None: of standard output."""
    if not color:
        return lambda text, _style: text
    from rich.color import ColorSystem
    from rich.console import Console
    from rich.style import Style

    name = Console(file=file or sys.stdout).color_system
    if name is None:
        return lambda text, _style: text
    system = ColorSystem[{"256": "EIGHT_BIT"}.get(name, name.upper())]
    return lambda text, style: Style.parse(style).render(text, color_system=system) if style else text
