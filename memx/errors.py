"""What can go wrong, and the word that a record says for it.

::

    MemxError                     internal
    ├── UsageError                (no record: the call itself was wrong)
    ├── SourceError
    │   ├── SourceNotFound        not-found
    │   ├── SourceDenied          permission
    │   └── SourceFailed          internal
    ├── UnsupportedSource         unsupported
    ├── FormatError
    │   ├── CorruptFile           corrupt
    │   └── TruncatedFile         truncated
    ├── LimitError
    │   ├── OverMemory            over-memory
    │   ├── OverLimit             over-limit
    │   └── TimedOut              timeout
    └── ReaderCrashed             crashed

`code` is the `code` of RECORDS.md's `error` line; a message is one plain sentence that names the thing
and, where there is one, the way out. Exit statuses are no business of this module: see `memx.cli`.
"""

from typing import ClassVar


class MemxError(Exception):
    """Any error that memx raises on purpose.

    `offset` is where in the file it showed, in bytes from its start, or None.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, offset: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class UsageError(MemxError, ValueError):
    """The call was wrong: an unknown format, a size that cannot be read. A ValueError too, as Python's own."""


class SourceError(MemxError):
    """The bytes could not be had."""


class SourceNotFound(SourceError):
    """There is no such file."""

    code = "not-found"


class SourceDenied(SourceError):
    """The file may not be read."""

    code = "permission"


class SourceFailed(SourceError):
    """The operating system failed while reading."""


class UnsupportedSource(MemxError):
    """A thing that memx does not read: a folder, a socket, a construct of a format."""

    code = "unsupported"


class FormatError(MemxError):
    """The bytes are not what their format promises."""


class CorruptFile(FormatError):
    """The bytes contradict the format."""

    code = "corrupt"


class TruncatedFile(FormatError):
    """The file ends before what it announces."""

    code = "truncated"


class LimitError(MemxError):
    """A bound was reached."""


class OverMemory(LimitError):
    """The memory budget does not hold what would be needed."""

    code = "over-memory"


class OverLimit(LimitError):
    """A limit other than memory: depth, count, disk space for a temporary copy."""

    code = "over-limit"


class TimedOut(LimitError):
    """The time given was used up."""

    code = "timeout"


class ReaderCrashed(MemxError):
    """The process that read the file died."""

    code = "crashed"
