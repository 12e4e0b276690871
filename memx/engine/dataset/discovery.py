"""Which files there are: folders walked, lists read, in an order that is always the same.

Nothing is held but the names of a part of each folder on the way down, however many files there are.
Hidden files, links to folders and what is no file are left out, as fd(1) does; a link to a file is read.
"""

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from typing import BinaryIO

from memx.errors import UsageError
from memx.sources.local import reason

AT_ONCE = 1 << 15
"""Names of one folder that are held; a folder with more is read again for the next of them."""
_LINE_MOST = 1 << 16
"""Bytes of a path in a list: the system takes 4096."""

Identity = tuple[int, int]
"""Device and inode of a file."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the files below a folder are wanted, by shell patterns.

    A pattern without a slash is about the name of a file, or of a folder on the way to it; one with a slash about
    the path below the folder that is walked. `*` matches slashes too. A folder that is excluded is not walked.
    """

    include: tuple[str, ...] = ()
    """A file is wanted where one of these matches; all files, for none."""
    exclude: tuple[str, ...] = ()
    """Nothing is wanted that one of these matches."""

    def test(self) -> Callable[[str, bool], bool]:
        """Whether a path below the folder is wanted, given also whether it is a folder itself."""
        included, excluded = _matcher(self.include), _matcher(self.exclude)
        return lambda path, is_folder: not (excluded(path)) and (is_folder or not self.include or included(path))


def _matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    names: list[str] = []
    paths: list[str] = []
    for pattern in patterns:
        where = paths if "/" in pattern.rstrip("/") else names
        where.append(fnmatch.translate(pattern.rstrip("/").removeprefix("./").removeprefix("/")))
    name, path = (re.compile("|".join(found) or "(?!)").match for found in (names, paths))
    return lambda below: bool(name(below.rpartition("/")[2]) or path(below))


EVERYTHING = Wanted()


def discover(paths: Iterable[str], without: Identity | None = None, wanted: Wanted = EVERYTHING) -> Iterator[str]:
    """Each of `paths` that is no folder, as it is; of a folder all `wanted` files below it, by name.

    A folder that cannot be listed is given itself, so that whoever reads it says why. `without` is left out
    below folders: the file that is being written.
    """
    is_wanted = wanted.test()
    for path in paths:
        if path != "-" and os.path.isdir(path):
            yield from _walk(path, without, is_wanted)
        else:
            yield path


def _walk(top: str, without: Identity | None, is_wanted: Callable[[str, bool], bool]) -> Iterator[str]:
    levels = [(top, "", _entries(top))]
    while levels:
        folder, below, entries = levels[-1]
        try:
            name, is_folder = next(entries, (None, False))
        except OSError:
            levels.pop()
            yield folder
            continue
        if name is None:
            levels.pop()
            continue
        path = os.path.join(folder, name)
        if not is_wanted(below + name, is_folder):
            continue
        if is_folder:
            levels.append((path, f"{below}{name}/", _entries(path)))
        elif without is None or identity(path) != without:
            yield path


def _entries(folder: str) -> Iterator[tuple[str, bool]]:
    """The names in `folder` that are wanted, in order, and whether each is a folder. Raises OSError."""
    last = ""
    while True:
        with os.scandir(folder) as found:
            later = ((entry.name, kind) for entry in found if entry.name > last and (kind := _kind(entry)) is not None)
            names = nsmallest(AT_ONCE, later)
        yield from names
        if len(names) < AT_ONCE:
            return
        last = names[-1][0]


def _kind(entry: "os.DirEntry[str]") -> bool | None:
    """Whether an entry is a folder; None where it is not wanted."""
    if entry.name.startswith("."):
        return None
    try:
        if entry.is_dir(follow_symlinks=False):
            return True
        if entry.is_symlink():
            # a link that leads nowhere is given: whoever reads it says that nothing is there
            return None if os.path.exists(entry.path) and not entry.is_file() else False
        return False if entry.is_file(follow_symlinks=False) else None
    except OSError:
        return False


def identity(path: str | int) -> Identity | None:
    """What tells a regular file, or an open descriptor of one, from all others; None for anything else."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def size_of(path: str) -> int | None:
    """Bytes of a regular file; None for anything else."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def listed(file: str, *, null: bool = False) -> Iterator[str]:
    """The paths in the list `file` (`-` is standard input), one a line, or with `null` each ended by a NUL.

    Raises UsageError where it cannot be read, before the first path where it cannot be opened.
    """
    try:
        opened = os.fdopen(os.dup(0), "rb") if file == "-" else open(file, "rb")  # noqa: SIM115 - closed below
    except OSError as exc:
        raise UsageError(f"the list {file} cannot be read: {reason(exc)}") from exc
    return _listed(opened, file, b"\0" if null else b"\n")


def _listed(opened: BinaryIO, file: str, end: bytes) -> Iterator[str]:
    with opened:
        part = b""
        while True:
            try:
                # read1: paths of a slow pipe are taken as they come
                block = opened.read1(1 << 16)  # type: ignore[attr-defined]  # BufferedReader has it, BinaryIO not
            except OSError as exc:
                raise UsageError(f"the list {file} cannot be read: {reason(exc)}") from exc
            *whole, part = (part + block).split(end)
            if not block:
                whole, part = [part], b""
            for raw in whole:
                if raw:
                    # a file may be called `-`: in a list that is no standard input
                    yield os.fsdecode(b"./-" if raw == b"-" else raw)
            if len(part) > _LINE_MOST:
                raise UsageError(f"the list {file} holds a path of more than {_LINE_MOST} bytes: is it a list?")
            if not block:
                return
