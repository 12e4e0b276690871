"""The contract of a reader."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import chain
from types import TracebackType
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

from memx.formats import Format, by_key
from memx.records import Record, encode_all, sentence
from memx.sources import Origin, Source, open_source, spool


def _fresh(size: int) -> AbstractContextManager[memoryview]:
    return memoryview(bytearray(size))


class Companion(Protocol):
    """Another process that has the same reader open, and tells stretches of the source."""

    def ask(self, question: dict[str, Any]) -> bool:
        """Has it tell a stretch: see `StreamReader.stretch`. False where it is not there any more.

        One question at a time: what is asked is answered before more is asked.
        """

    def answer(self) -> tuple[dict[str, Any], list[bytes]] | None:
        """Waits for what it tells; None where it is not there any more."""


class ReadOptions(NamedTuple):
    """What a reader is told. Sizes are in bytes, frames in samples."""

    chunk_size: int = 1 << 20
    """How much to read at once at most, where the reader has a choice; never seen in a record."""
    current_chunk_size: Callable[[], int] | None = None
    """Asked before each read: how much to read at once now, as memory gets tight; None: `chunk_size` always."""
    lend: Callable[[int], AbstractContextManager[memoryview]] = _fresh
    """Gives a buffer of so many bytes for the length of a `with` block; what it holds is not defined."""
    chunk_length: int = 1 << 20
    """The length of a `chunk` record of binary files."""
    max_value_bytes: int = 1 << 16
    """Values longer than this are not read: their records say where they lie."""
    frame_length: int = 2048
    hop_length: int = 2048
    format: str | None = None
    """The format that the user says it is; a reader then never hands the file on."""
    ask_library: Callable[[str, str, dict[str, Any]], list[Record]] | None = None
    """Asks the reader of a row of `FALLBACKS` (its key) for what has a construct (in words) that the reader does not
    know: what its `answer` to the question gives. None: nobody is there to be asked."""
    accompany: Callable[[], Companion | None] | None = None
    """Starts another process that reads along, once at most, for readers that can tell one stretch of a source without
    those before it. None: what there is to do is to be done here."""
    chunks: bool = False
    """Whether each chunk of a chunked data set gets a record."""
    summary: bool = False
    """Only what describes the whole: no `frame`, `packet` or `chunk`, and nothing decoded or demuxed for them."""


class BelongsTo(Exception):
    """Raised by `StreamReader.open`: the file turned out to be of another row of `FORMATS`, whose key it carries.

    A reader whose `options.format` is set was told its format: it names only rows of the same format. Where a library
    has to read the whole file for it, `construct` is what the reader does not know.
    """

    def __init__(self, key: str, construct: str | None = None) -> None:
        super().__init__(key)
        self.key = key
        self.construct = construct


class StreamReader(ABC):
    """Turns a source into records, one at a time, in memory that does not grow with the source.

    A reader is made for one source, opened once, and iterated once::

        with DicomStreamReader(open_source(path)) as reader:
            for record in reader:
                ...

    - `open()` reads what is needed to know that the file is readable at all, and returns the fields that
      the format adds to the `file` line (`variant`, say). It raises BelongsTo where another format has it.
    - `records()` yields each record as soon as it is known. A break in the file raises CorruptFile or
      TruncatedFile (what was yielded stands); a fault from which the reader can go on is yielded as an
      `error` record (see `fault`).
    - Errors of a library are turned into memx's own at this border. No other exception leaves a reader.
    - Every declared length and count is clamped to the bytes that are there before anything is allocated.
    """

    format: ClassVar[str]
    """The name that records carry."""
    reader: str = "direct"
    """`direct`, or the library that reads the file; a reader may set it on itself when it opens the file."""
    access: ClassVar[Literal["forward", "seek", "path"]] = "forward"
    """What the reader asks of its source: forward reads only, seeking, or a path for a library to open."""

    def __init__(self, source: Source | None = None, options: ReadOptions | None = None) -> None:
        self._source = source
        self.options = options or ReadOptions()
        self.owns_source = False
        self._added: dict[str, Any] | None = None

    @property
    def source(self) -> Source:
        """The source; a pipe is first copied to disk where the reader cannot do without seeking."""
        if self._source is None:
            raise ValueError("this reader was made without a source: use its stream method, or give it one")
        return self._source

    def open(self) -> dict[str, Any]:
        """Prepares the reading; returns the fields to add to the `file` line."""
        return {}

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """The records, in file order."""

    def portions(self) -> Iterator[Record | list[Record]]:
        """The same records, some several at a time; an `error` is always alone."""
        return self.records()

    def blocks(self) -> Iterator[Record | bytes]:
        """The same records, some as blocks of whole lines of JSON: for readers that have a faster way to them."""
        return self.records()

    def answer(self, question: dict[str, Any]) -> list[Record]:
        """The records of one thing that another reader of the format does not know; for readers of libraries."""
        raise NotImplementedError

    def stretch(self, question: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        """What is said of a stretch, and the records in it, in blocks of lines: for readers that ask a companion.

        Called in the process that this reader was copied to. Questions, and what is said, are of JSON's types.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Lets go of what `open` took, and of the source where the reader owns it. Closing twice is no error."""
        if self.owns_source and self._source is not None:
            self._source.close()

    def stream(self, origin: Origin) -> Iterator[Record]:
        """The records of `origin`, which is opened, and closed at the end."""
        with type(self)(suited(open_source(origin), self.access), self.options) as reader, reader.source:
            yield from reader

    def begin(self) -> dict[str, Any]:
        """`open()`, once: what it returned the first time is returned again."""
        if self._added is None:
            self._added = self.open()
        return self._added

    def __iter__(self) -> Iterator[Record]:
        self.begin()
        return self.records()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BatchedReader(StreamReader):
    """A reader whose records come several at a time: they are encoded so, too, which costs a part of one by one."""

    def records(self) -> Iterator[Record]:
        return chain.from_iterable(self.batches())

    def portions(self) -> Iterator[Record | list[Record]]:
        for batch in self.batches():
            if batch[0]["type"] == "error":
                yield from batch
            else:
                yield batch

    def blocks(self) -> Iterator[Record | bytes]:
        return (encode_all(part) if isinstance(part, list) else part for part in self.portions())

    @abstractmethod
    def batches(self) -> Iterator[list[Record]]:
        """The records, in file order; no list is empty, and an `error` comes first in its own."""


def suited(source: Source, access: Literal["forward", "seek", "path"]) -> Source:
    """`source`, or a copy of it on disk where it cannot give the `access` that a reader asks for."""
    if access == "forward" or (access == "seek" and source.seekable) or source.local_path() is not None:
        return source
    return spool(source)


def open_reader(
    source: Source,
    row: Format,
    options: ReadOptions,
    *,
    libraries: bool = True,
    handed_on: Callable[[Format, str | None], None] = lambda _row, _construct: None,
) -> tuple[StreamReader, dict[str, Any]]:
    """The opened reader of `source`, which is of `row`, and what it adds to the `file` line.

    A file that turns out to be for another row of `FORMATS` is handed on: to another format once, to other
    readers of that format a few times. The reader's `source` is a copy on disk where the reader cannot do
    with what `source` can: the caller closes both. Raises BelongsTo where the row that it belongs to needs
    a library and `libraries` may not be loaded here. `handed_on` is told each row that it is handed on to, and for
    which construct.
    """
    for _ in range(_HANDED_ON_MOST):
        reader = row.load()(suited(source, row.load().access), options)
        try:
            return reader, reader.begin()
        except BelongsTo as direction:
            reader.close()
            source, before, row = reader.source, row, by_key(direction.key)
            if row.name != before.name:
                options = options._replace(format=row.name)
            if row.library is not None and not libraries:
                raise
            handed_on(row, direction.construct)
        except BaseException:
            reader.close()
            raise
    raise AssertionError("the readers hand a file around")


_HANDED_ON_MOST = 4


def fault(code: str, message: str, offset: int | None = None) -> Record:
    """The `error` record of a fault from which the reader goes on."""
    record: Record = {"type": "error", "code": code, "message": sentence(message)}
    if offset is not None:
        record["offset"] = offset
    return record
