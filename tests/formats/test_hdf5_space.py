"""What is read of an HDF5 file to look at many small structures: near each other, and far apart."""

import random
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

from memx.engine.reading.streaming import stream
from memx.formats.hdf5.heaps import GlobalHeap
from memx.formats.hdf5.space import AddressSpace
from memx.sources import Source, open_source

STRUCTURE = 300


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> str:
    """16 MiB that do not repeat in blocks or pages."""
    path = tmp_path_factory.mktemp("space") / "large"
    path.write_bytes((random.Random(0).randbytes(99_991) * 168)[: 16 << 20])
    return str(path)


@pytest.fixture
def source(large: str) -> Iterator[Source]:
    with open_source(large) as source:
        yield source


def test_structures_that_follow_each_other_are_read_in_blocks_once(source: Source) -> None:
    space = AddressSpace(source, 0)
    for at in range(0, 4 << 20, STRUCTURE):
        space.read(at, STRUCTURE)
    assert source.bytes_read < 5 << 20


def test_of_structures_across_the_ends_of_blocks_far_apart_little_more_is_read(source: Source) -> None:
    space = AddressSpace(source, 0)
    ends = range(2 << 16, 16 << 20, 3 << 16)
    for at in ends:
        assert space.read(at - 100, STRUCTURE) == source.read_at(at - 100, STRUCTURE)
    assert source.bytes_read < len(ends) * (2048 + STRUCTURE)


def test_of_structures_far_apart_little_more_is_read_than_they_are(source: Source) -> None:
    space, places = AddressSpace(source, 0), random.Random(1)
    for _ in range(5_000):
        space.read(places.randrange(0, 15 << 20), STRUCTURE)
    assert source.bytes_read < 5_000 * 8 * STRUCTURE


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 2000, 1 << 16, (1 << 16) + 1, 1 << 18])
@pytest.mark.parametrize("begin", [0, 700, 1023, (1 << 16) - 1, (1 << 20) - 5, (16 << 20) - (1 << 18)])
def test_every_read_gives_what_stands_there(source: Source, begin: int, length: int) -> None:
    wanted = source.read_at(begin, length)
    space = AddressSpace(source, 0)
    for before in (None, begin - 600, begin + length + 1):  # alone, after what is in front of it, after what is behind
        if before is not None:
            space.read(max(0, min(before, space.end - 8)), 8)
        assert space.read(begin, length) == wanted


def test_objects_of_a_global_heap_are_found_in_any_order_once_their_collections_were_read(tmp_path: Path) -> None:
    path = tmp_path / "strings.h5"
    with h5py.File(path, "w") as file:
        for number in range(2_000):
            file.attrs[f"name{number}"] = f"value {number} " + "x" * (number % 97)
    values = {record["path"]: record["attributes"] for record in stream(str(path)) if record["type"] == "group"}["/"]
    assert values == {f"name{number}": f"value {number} " + "x" * (number % 97) for number in range(2_000)}


def test_the_places_of_objects_of_a_global_heap_are_kept_up_to_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memx.formats.hdf5.heaps._PLACES_MOST", 100)
    path = tmp_path / "collections"
    entry = b"".join(index.to_bytes(2, "little") + bytes(6) + (8).to_bytes(8, "little") + b"a" * 8 for index in (1, 2))
    collection = b"GCOL\1\0\0\0" + (4096).to_bytes(8, "little") + entry
    path.write_bytes(collection.ljust(4096, b"\0") * 200)
    heap = GlobalHeap(AddressSpace(open_source(str(path)), 0))
    for _ in range(2):
        assert [heap.place(4096 * n, 2) for n in range(200)] == [(4096 * n + 56, 8) for n in range(200)]
    assert heap._kept <= 100
