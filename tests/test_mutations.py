"""Real files, broken at random: every mutant ends as memx ends, in bounded time and memory.

The files come out of the wheels of pydicom, astropy and SciPy, and from the sample builders. The mutants are the
same on every run.
"""

import importlib.util
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memx.formats import FORMATS
from memx.records import Record
from tests.contract import contract_faults
from tests.contract.sources import builder, read

LARGEST = 1 << 18
"""Bytes of the largest file that is taken: many small mutants find more than few large ones."""
SECONDS = 20.0
MEMORY = 96 << 20
"""What a mutant may make the reading process grow by. It holds a library's buffers, never a declared length."""

_WHEELS = {
    "pydicom": ("data/test_files", ("*.dcm", "DICOMDIR*", "*.dcm.gz")),
    "astropy": ("io/fits/tests/data", ("*.fits", "*.fits.gz", "*.fits.bz2")),
    "scipy": ("io", ("tests/data/*.wav", "tests/data/*.nc", "matlab/tests/data/testhdf5*.mat")),
}

Mutation = Callable[[bytearray, random.Random], None]


def place(data: bytearray, chance: random.Random, align: int = 1) -> int:
    """A place in `data`, half of the time among the first 2 KiB, where most of the structure is."""
    reach = min(len(data), 2048) if chance.random() < 0.5 else len(data)
    return chance.randrange(reach) // align * align


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 2, 8, 64))):
        data[place(data, chance)] ^= 1 << chance.randrange(8)


def scramble(data: bytearray, chance: random.Random) -> None:
    at = place(data, chance)
    data[at : at + 16] = chance.randbytes(len(data[at : at + 16]))


def cut(data: bytearray, chance: random.Random) -> None:
    del data[place(data, chance) :]


def inflate(data: bytearray, chance: random.Random) -> None:
    """A length, a count or an offset that promises far more than there is."""
    width, align = chance.choice((2, 4, 8)), chance.choice((1, 2, 4))
    value = chance.choice((b"\xff" * 8, b"\xff" * 7 + b"\x7f", b"\x7f" + b"\xff" * 7, b"\xfe" + b"\xff" * 7))[:width]
    for _ in range(chance.choice((1, 1, 3))):
        at = place(data, chance, align)
        data[at : at + width] = value[: len(data) - at]


def nullify(data: bytearray, chance: random.Random) -> None:
    at, width = place(data, chance, 4), chance.choice((4, 8, 512))
    data[at : at + width] = bytes(len(data[at : at + width]))


def repeat(data: bytearray, chance: random.Random) -> None:
    at, length = place(data, chance), chance.choice((1, 8, 80, 512, 2880))
    data[at:at] = data[at : at + length] * chance.choice((1, 2, 50))


def insert(data: bytearray, chance: random.Random) -> None:
    at = place(data, chance)
    data[at:at] = chance.randbytes(chance.choice((1, 4, 100)))


def move(data: bytearray, chance: random.Random) -> None:
    start, goal, length = place(data, chance), place(data, chance), chance.choice((4, 16, 256))
    block = data[start : start + length]
    data[goal : goal + len(block)] = block


MUTATIONS: list[Mutation] = [flip, scramble, cut, inflate, inflate, nullify, repeat, insert, move]


def mutants(original: bytes, count: int, seed: str) -> Iterator[tuple[str, bytes]]:
    """`count` mutants of `original`, each with what was done to it; the same for the same `seed`."""
    chance = random.Random(seed)
    for number in range(count):
        data, names = bytearray(original), []
        for mutation in chance.sample(MUTATIONS, chance.choice((1, 1, 1, 2, 3))):
            if data:
                mutation(data, chance)
                names.append(mutation.__name__)
        yield f"{number} {'+'.join(names)}", bytes(data)


def wheel_files() -> list[Path]:
    found: list[Path] = []
    for package, (folder, patterns) in _WHEELS.items():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            root = Path(spec.origin).parent / folder
            found += sorted(path for pattern in patterns for path in root.glob(pattern))
    return [path for path in found if 0 < path.stat().st_size <= LARGEST]


def faults_of(data: bytes, name: str, folder: Path) -> list[str]:
    """What is wrong with how the mutant `data` was read."""
    path = folder / name
    path.write_bytes(data)
    began = time.monotonic()
    records: list[Record] = read(path)
    took = time.monotonic() - began
    faults = contract_faults(records, path)
    growth = records[-1]["metrics"]["peak_rss_delta"]
    if took > SECONDS:
        faults.append(f"it took {took:.1f} s")
    if growth > MEMORY:
        faults.append(f"it took {growth >> 20} MiB for a file of {len(data) >> 10} KiB")
    # a crash of a library costs its worker and is said; of memx's own readers nothing can crash
    crashed = [record for record in records if record["type"] == "error" and record["code"] in ("crashed", "timeout")]
    if crashed and records[0]["reader"] == "direct":
        faults.append(f"memx's own reader: {crashed[0]['message']}")
    return faults


def check(original: Path, count: int, folder: Path) -> None:
    failures = []
    for what, data in mutants(original.read_bytes(), count, original.name):
        faults = faults_of(data, f"mutant{original.suffix}", folder)
        failures += [f"{original.name}, {what}: {fault}" for fault in faults]
    assert not failures, "\n".join(failures[:20])


FILES = wheel_files()


def test_the_wheels_bring_files_of_every_kind() -> None:
    assert {".dcm", ".fits", ".wav", ".nc", ".mat"} <= {path.suffix for path in FILES}
    assert len(FILES) > 100


@pytest.mark.slow
@pytest.mark.parametrize("key", [row.key for row in FORMATS])
def test_a_few_mutants_of_a_sample(key: str, tmp_path: Path) -> None:
    row = next(row for row in FORMATS if row.key == key)
    check(builder(row)(tmp_path), 10, tmp_path)


@pytest.mark.parametrize("path", FILES[::20], ids=lambda path: path.name)
def test_a_few_mutants_of_real_files(path: Path, tmp_path: Path) -> None:
    check(path, 5, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("key", [row.key for row in FORMATS])
def test_many_mutants_of_a_sample(key: str, tmp_path: Path) -> None:
    row = next(row for row in FORMATS if row.key == key)
    check(builder(row)(tmp_path), 60 if row.library else 300, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_many_mutants_of_real_files(path: Path, tmp_path: Path) -> None:
    in_process = path.suffix in (".dcm", ".fits") or "DICOMDIR" in path.name
    check(path, 40 if in_process else 10, tmp_path)
