"""What fuzzing begins with: the files of the sample builders, and the words that the readers know."""

import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType

from memx.formats import Format
from tests.contract.sources import builder

LARGEST = 1 << 16
"""Bytes of the largest input: many small ones find more than few large ones."""
_WORD = range(2, 33)
_IN_PIECES = 0x10000
"""Numbers from here on are names or marks, hardly counts."""


def write_seeds(row: Format, goal: Path, making: Path, more: Path | None) -> int:
    """Writes the small files that the samples of `row` make, and those in the folder `more`; returns how many."""
    for number, data in enumerate(_samples(row, making)):
        (goal / f"sample{number}").write_bytes(data)
    if more is not None:
        for number, path in enumerate(sorted(path for path in more.rglob("*") if path.is_file())):
            if path.stat().st_size <= LARGEST and row.matches(path.read_bytes()[:4096], path.suffix.lower()):
                (goal / f"more{number}").write_bytes(path.read_bytes())
    return len(list(goal.iterdir()))


def _samples(row: Format, folder: Path) -> Iterator[bytes]:
    builders = [builder(row)]
    for name in dict.fromkeys((row.key, row.name)):
        try:
            module = importlib.import_module(f"tests.samples.{name}")
        except ModuleNotFoundError:
            continue
        for constructs in (getattr(module, "CONSTRUCTS", {}), getattr(module, "DAMAGED", {})):
            yield from (data for data in constructs.values() if len(data) <= LARGEST)
        if hasattr(module, "constructs"):
            yield from (path.read_bytes() for path in module.constructs(folder))
        builders += _plain_builders(module)
    for number, build in enumerate(builders):
        path = build(folder)
        if not path.is_file() or (number and path.stat().st_size > LARGEST):
            continue  # the first one is the row's own: where it is too large its beginning has to do
        with path.open("rb") as file:
            data = file.read(LARGEST)
        if row.matches(data[:4096], path.suffix):
            yield data


def _plain_builders(module: ModuleType) -> list:
    """The builders of a module that want a folder and nothing more."""
    found = [call for name, call in inspect.getmembers(module, inspect.isfunction) if name.startswith("build")]
    return [call for call in found if list(inspect.signature(call).parameters) == ["folder"]]


def write_words(modules: list[ModuleType], path: Path) -> None:
    """Writes what stands as a constant in the code of `modules` as a dictionary of libFuzzer."""
    words = {word for module in modules for word in _words(module)}
    path.write_text("".join(f'"{_escaped(word)}"\n' for word in sorted(words)))


def _words(module: ModuleType) -> Iterator[bytes]:
    codes = [compile(inspect.getsource(module), module.__name__, "exec")]
    while codes:
        for constant in _flat(codes.pop().co_consts):
            if isinstance(constant, CodeType):
                codes.append(constant)
            elif isinstance(constant, bytes) and len(constant) in _WORD:
                yield constant
            elif type(constant) is int and _IN_PIECES <= constant < 1 << 32:
                size = (constant.bit_length() + 7) // 8
                yield constant.to_bytes(size, "big")
                yield constant.to_bytes(size, "little")


def _flat(constants: tuple) -> Iterator[object]:
    for constant in constants:
        if isinstance(constant, tuple | frozenset):
            yield from _flat(tuple(constant))
        else:
            yield constant


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)
