"""HDF5: many objects; and a file that no memory holds."""

from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from tests.bench.row import MIB, Peer, Row
from tests.samples import hdf5

GROUPS, DATA_SETS = 200, 250


def write(path: Path, groups: int, data_sets: int, libver: Literal["earliest", "latest"]) -> Path:
    """`groups` of `data_sets` data sets, each with two attributes."""
    values = np.arange(10, dtype="f4")
    with h5py.File(path, "w", libver=libver) as file:
        for number in range(groups):
            group = file.create_group(f"run{number:04}")
            for index in range(data_sets):
                data_set = group.create_dataset(f"channel{index:04}", data=values)
                data_set.attrs["units"] = "K"
                data_set.attrs["scale"] = 0.5
    return path


def latest(folder: Path) -> Path:
    """50,000 data sets, version 2 object headers, dense groups."""
    return write(folder / "latest.h5", GROUPS, DATA_SETS, "latest")


def earliest(folder: Path) -> Path:
    """50,000 data sets, version 1 object headers, symbol tables."""
    return write(folder / "earliest.h5", GROUPS, DATA_SETS, "earliest")


def giant(folder: Path) -> Path:
    """One of 100 GiB, all holes, beside a small one of the same structure."""
    hdf5.build_small(folder).rename(folder / "small")
    hdf5.build_giant(folder).rename(folder / "giant")
    return folder


_PEERS = (Peer("h5ls -r -v {}", 0.5, "hdf5-tools"), Peer("h5dump -A {}", 0.25, "hdf5-tools"))

ROWS = (
    Row("hdf5-latest", "HDF5, 50,000 data sets with 2 attributes, latest", latest, "stream {}", _PEERS, peak=36 * MIB),
    Row("hdf5-earliest", "the same, earliest", earliest, "stream {}", _PEERS, peak=36 * MIB),
    Row(
        "hdf5-giant",
        "HDF5, 100 GiB, sparse",
        giant,
        "stream {}/giant",
        (Peer("memx stream {}/small", 1.2, title="memx, a small one", more=2 * MIB),),
    ),
)
