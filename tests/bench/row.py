"""What is measured: a piece of work, memx's command for it, the other tools', and the goals."""

import glob
import importlib.util
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
SCRIPTS = os.path.dirname(sys.executable)
"""Where memx stands, and the commands of the other packages."""


class Missing(Exception):
    """A tool or a package that is not installed; the message names it."""


@dataclass(frozen=True)
class Peer:
    """Another tool at the same work. In the words of `command`, `{}` is the input, and `*` finds files."""

    command: str
    at_most: float | None = None
    """The goal: memx's wall time over this tool's."""
    found_in: str = ""
    """The Debian package, or the package of the index, that has it."""
    title: str = ""
    """What it is called where the command itself is too long."""
    module: str = ""
    """What has to be importable for it."""
    more: int | None = None
    """The goal: bytes by which memx's peak may be over this one's."""

    @property
    def name(self) -> str:
        """As tables show it."""
        return self.title or self.command.replace(" {}", "").partition("/*")[0]

    def words(self, made: Path | None) -> list[str]:
        """The command, ready to run. Raises Missing."""
        if self.module and importlib.util.find_spec(self.module) is None:
            raise Missing(f"{self.found_in or self.module} is not installed")
        try:
            return words_of(self.command, made)
        except Missing as exc:
            raise Missing(f"{exc}: {self.found_in}" if self.found_in else str(exc)) from None


@dataclass(frozen=True)
class Row:
    """One row of the table of goals."""

    key: str
    """`dicom-pixels`: what ONLY chooses by, whole or its first word."""
    work: str
    build: Callable[[Path], Path] | None
    """Makes the input in an empty folder, and returns its path."""
    memx: str
    """What memx is called with."""
    peers: tuple[Peer, ...] = ()
    peak: int | None = None
    """The goal: bytes of memx's peak."""
    reads: float | None = None
    """The goal: bytes that memx reads, as a part of the file's size."""

    def words(self, made: Path | None) -> list[str]:
        """memx's command, ready to run."""
        return words_of(f"memx {self.memx}", made)


def words_of(command: str, made: Path | None) -> list[str]:
    """`command` as a list, its program by its full path. Raises Missing where there is none."""
    program, *words = shlex.split(command)
    found = sys.executable if program == "python" else shutil.which(program, path=f"{SCRIPTS}:{os.environ['PATH']}")
    if found is None:
        raise Missing(f"{program} is not installed")
    expanded = [found]
    for word in words:
        named = word.replace("{}", str(made)) if "{}" in word else word
        expanded += sorted(glob.glob(named)) if "{}" in word and "*" in word else [named]
    return expanded
