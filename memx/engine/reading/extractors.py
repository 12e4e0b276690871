"""The user's own extractors: `module:function`, or an entry point of the group `memx.extractors`.

An extractor is called with a path, and what it returns becomes the `metadata` of the file's record. It runs in
workers only: what it does to its process costs its own file.
"""

import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any

from memx.engine.memory.budget import recently_available
from memx.engine.memory.strategy import plan_for
from memx.engine.options import StreamOptions
from memx.engine.reading.documents import RETURNED
from memx.engine.reading.session import (
    Meter,
    collecting,
    end_record,
    error_record,
    file_record,
    is_want_of_memory,
    setting_of,
)
from memx.errors import MemxError, OverLimit, ReaderCrashed, UnsupportedSource, UsageError
from memx.formats import Format
from memx.formats.documents import DEPTH_MOST, ROOM
from memx.records import Record, encode_value, plain, sentence
from memx.sources import Source

GROUP = "memx.extractors"
Extractor = Callable[[str], Any]


def load(name: str) -> Extractor:
    """The extractor that `name` says, imported. Raises UsageError, with what is wrong with it."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    module, _, attribute = name.partition(":")
    found: Any = _imported(module) if attribute else _entry_point(name)
    for part in attribute.split(".") if attribute else ():
        try:
            found = getattr(found, part)
        except AttributeError as exc:
            raise UsageError(f"the module {module} has no {attribute}{_near(part, found)}") from exc
    if not callable(found):
        raise UsageError(f"{name} is a {type(found).__name__}, and cannot be called with a path")
    extractor: Extractor = found
    return extractor


def unusable(error: UsageError) -> Extractor:
    """What stands for an extractor that could not be loaded."""

    def extractor(_path: str) -> Any:
        raise error

    return extractor


def _near(part: str, holder: object) -> str:
    from difflib import get_close_matches

    near = get_close_matches(part, [name for name in dir(holder) if not name.startswith("__")], 1)
    return f": did you mean {near[0]}?" if near else ""


def _imported(module: str) -> object:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if exc.name and (module == exc.name or module.startswith(f"{exc.name}.")):
            raise UsageError(f"there is no module {module} on PYTHONPATH or in the current folder") from exc
        raise UsageError(f"the module {module} needs {exc.name}, which is not installed") from exc
    except BaseException as exc:  # whatever the user's module does when it is imported
        raise UsageError(f"the module {module} cannot be imported: {_said(exc)}") from exc


def _entry_point(name: str) -> object:
    from importlib.metadata import entry_points

    points = entry_points(group=GROUP)
    if name not in points.names:
        known = f"; installed are {', '.join(sorted(points.names))}" if points.names else ""
        raise UsageError(f"there is no extractor {name!r}: write MODULE:FUNCTION{known}")
    try:
        loaded: object = points[name].load()
    except BaseException as exc:  # as above
        raise UsageError(f"the extractor {name} cannot be loaded: {_said(exc)}") from exc
    return loaded


class Call:
    """One call of an extractor, told as a `Session` tells a reading: iterate once."""

    position: int | None = None

    def __init__(self, extractor: Extractor, source: Source, row: Format, options: StreamOptions) -> None:
        self._extractor = extractor
        self._source = source
        self._row = row
        self._name = options.extractor or ""
        self.plan = plan_for(source.size, recently_available(), options.strategy, options.chunk_size)
        self._setting = setting_of(options, row)
        self.collector = str(self._setting) if self._setting else None
        self.bytes_read = 0

    def __iter__(self) -> Generator[Record]:
        path, meter = self._source.path, Meter()
        error: MemxError | None = None
        yield file_record(path, self._row.name, self._source.size, self._name, self.plan)
        try:
            with collecting(self._setting, self.plan.strategy):
                yield self._returned()
        except MemxError as exc:
            error = exc
        reason = None
        if error is not None:
            record = error_record(error)
            reason = record["message"]
            yield record
        status = "complete" if error is None else "failed"
        yield end_record(path, status, reason, 0, meter.metrics())

    def _returned(self) -> Record:
        here, file = os.getpid(), self._source.local_path() or self._source.path
        try:
            result = self._extractor(file)
            if os.getpid() != here:
                os._exit(0)  # a child that the extractor forked, and that came back out of it
            metadata, cut = fitted(carried(result, self._name), ROOM)
        except (MemxError, MemoryError):
            raise
        except SystemExit as exc:
            raise ReaderCrashed(f"{self._name} called sys.exit({exc.code!r})") from exc
        except BaseException as exc:  # the user's code: nothing that it raises shall end the run
            if os.getpid() != here:
                os._exit(1)
            if isinstance(exc, Exception) and is_want_of_memory(exc):
                raise MemoryError from exc
            raise MemxError(f"{self._name} raised {_said(exc)}") from exc
        return {"type": RETURNED, "metadata": metadata, "truncated": cut}


def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # even that is the user's code
        text = ""
    return sentence(f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__)


def carried(value: Any, name: str, depth: int = 0) -> Any:
    """`value` in JSON's own types. Raises UnsupportedSource for what they cannot tell, OverLimit where it nests on."""
    if depth > DEPTH_MOST:
        raise OverLimit(f"{name} returned what nests more than {DEPTH_MOST} deep, or holds itself")
    if isinstance(value, Mapping):
        return {str(key): carried(item, name, depth + 1) for key, item in value.items()}
    if value is None or isinstance(value, str | int | float | bytes | bytearray | memoryview | complex):
        return plain(value)
    if hasattr(value, "isoformat"):  # dates and times
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy's
        return plain(value)
    if isinstance(value, Iterable):
        return [carried(item, name, depth + 1) for item in value]
    raise UnsupportedSource(f"{name} returned a {type(value).__name__}, which JSON cannot carry")


def fitted(value: Any, room: int) -> tuple[Any, bool]:
    """`value`, cut to at most `room` bytes of JSON, and whether it was cut: what comes last is left out."""
    if len(encode_value(value)) <= room:
        return value, False
    if isinstance(value, str):
        return value[: max(0, room // 6 - 1)], True  # a character takes six bytes at most
    kept: Any = {} if isinstance(value, dict) else []
    left = room - 2
    for key, item in value.items() if isinstance(value, dict) else ((None, item) for item in value):
        left -= len(encode_value(key)) + 2 if key is not None else 1
        part, cut = fitted(item, left) if left > 0 else (None, True)
        if part is not None or not cut:
            if key is None:
                kept.append(part)
            else:
                kept[key] = part
        if cut:
            break
        left -= len(encode_value(part))
    return kept, True
