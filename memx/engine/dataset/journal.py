"""The output of a run as its own journal: what is there is not read again.

The file holds one `metadata` record a line. A run that was killed leaves whole lines and perhaps a part of one.
Which paths have their line is kept in a table of SQLite on disk, so that a million of them take no memory.
"""

import base64
import fcntl
import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Self

from memx.engine.reading.documents import TYPE
from memx.errors import UsageError
from memx.records import MAX_LINE, Record, decode
from memx.sources.local import reason

_TABLE = """
CREATE TABLE line (path BLOB PRIMARY KEY, begins INTEGER, size INTEGER, mtime TEXT, extractor TEXT) WITHOUT ROWID
"""
_CACHE = 4 << 10
"""KiB of the table that are held in memory."""


class Journal:
    """The lines that stand in `file` already; `extractor` is what reads the files now.

    Nobody else may write there meanwhile. Raises UsageError where that is so, where the file cannot be opened, or
    where it holds anything but `metadata` records.
    """

    def __init__(self, file: str, extractor: str | None = None) -> None:
        self._name = file
        self._extractor = extractor
        try:
            self._file: BinaryIO = open(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")  # noqa: SIM115
        except OSError as exc:
            raise UsageError(f"cannot open {file} to go on with it: {reason(exc)}") from exc
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._file.close()
            raise UsageError(f"another run writes to {file}") from exc
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._table.execute(f"PRAGMA cache_size = -{_CACHE}")
        self._table.execute("PRAGMA synchronous = OFF")
        self._table.execute(_TABLE)
        self._stale = 0
        self._known_to = 0
        try:
            self._repair()
            self._learn()
        except BaseException:
            self.close()
            raise

    def has(self, path: str, size: int | None, mtime: str | None) -> bool:
        """Whether the line of `path` is there, of a file of this size that was modified then."""
        if mtime is None:
            return False
        row = self._table.execute("SELECT size, mtime, extractor FROM line WHERE path = ?", (_key(os.fsencode(path)),))
        return bool(row.fetchone() == (size, mtime, self._extractor))

    def settle(self) -> None:
        """Leaves the newest line of each path alone, when the run has written its own."""
        self._learn()
        if not self._stale:
            return
        folder, name = os.path.split(os.path.abspath(self._name))
        descriptor, copy = tempfile.mkstemp(prefix=f".{name}.", dir=folder)
        try:
            with os.fdopen(descriptor, "wb") as kept:
                for begins, line in self._lines(0):
                    if self._newest(decode(line)) == begins:
                        kept.write(line)
                kept.flush()
                os.fsync(kept.fileno())
            os.chmod(copy, os.fstat(self._file.fileno()).st_mode & 0o7777)
            os.replace(copy, self._name)
        except BaseException:
            os.unlink(copy)
            raise
        self._stale = 0

    def close(self) -> None:
        """Lets go of the file."""
        self._table.close()
        self._file.close()

    def _repair(self) -> None:
        """Cuts off the part of a line that stands at the end."""
        end = self._file.seek(0, os.SEEK_END)
        begin = max(0, end - MAX_LINE)
        self._file.seek(begin)
        tail = self._file.read(end - begin)
        if tail.endswith(b"\n") or not tail:
            return
        newline = tail.rfind(b"\n")
        if newline < 0 and (begin or not b'{"type":"metadata",'.startswith(tail[:19])):
            raise UsageError(f"{self._name} is no output of memx extract: name another file with --output")
        self._file.truncate(begin + newline + 1)

    def _learn(self) -> None:
        """Puts the lines that are not known yet into the table."""
        execute = self._table.execute
        execute("BEGIN")
        for begins, line in self._lines(self._known_to):
            record = self._checked(line, begins)
            stale = self._newest(record) is not None
            self._stale += stale
            execute(
                "INSERT OR REPLACE INTO line VALUES (?, ?, ?, ?, ?)",
                (_key(_path(record)), begins, record["size"], record.get("mtime"), record.get("extractor")),
            )
            self._known_to = begins + len(line)
        execute("COMMIT")

    def _newest(self, record: Record) -> int | None:
        """Where the newest line of the same path begins."""
        row = self._table.execute("SELECT begins FROM line WHERE path = ?", (_key(_path(record)),)).fetchone()
        return None if row is None else int(row[0])

    def _lines(self, begin: int) -> Iterator[tuple[int, bytes]]:
        """Where each line begins, and the line, from `begin` on."""
        with open(self._name, "rb") as file:
            file.seek(begin)
            while line := file.readline(MAX_LINE + 1):
                yield begin, line
                begin += len(line)

    def _checked(self, line: bytes, begins: int) -> Record:
        try:
            record = decode(line)
            if record["type"] == TYPE and isinstance(record["path"], str) and "size" in record:
                return record
        except (ValueError, KeyError, TypeError):
            pass
        raise UsageError(f"{self._name} holds a line that is no output of memx extract, at byte {begins}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _path(record: Record) -> bytes:
    raw = record.get("path_bytes")
    return base64.b64decode(raw["inline_binary"]) if raw else record["path"].encode("utf-8", "replace")


def _key(path: bytes) -> bytes:
    return hashlib.blake2b(path, digest_size=16).digest()
