"""How the cost of a file grows with the number of its records: linear time, flat memory."""

import math
import shutil
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from tests.bench import audio, dicom, fits, hdf5, netcdf, video
from tests.bench.row import MIB, Missing, words_of
from tests.bench.runner import Failed, cost

COUNTS = (1_000, 10_000, 100_000)
FEW = 100
"""What a file of so few records takes is start-up, and no part of the growth."""
TIMES = 3
MOST = 1.1
"""The goal: the exponent of time."""
FLAT = 2 * MIB
"""The goal: by how much the peak of the largest may be over that of the smallest."""


@dataclass(frozen=True)
class Work:
    """Files of one format with as many records as asked for."""

    key: str
    title: str
    write: Callable[[Path, int], Path]
    memx: str = "stream {}"


@dataclass(frozen=True)
class Growth:
    """What files of `COUNTS` records took: seconds of processor without start-up, bytes."""

    key: str
    title: str
    missing: str = ""
    seconds: tuple[float, ...] = ()
    peaks: tuple[int, ...] = ()

    @property
    def exponent(self) -> float:
        """Of time as a power of the number of records: the slope of a line through the logarithms."""
        logs = [math.log(seconds) for seconds in self.seconds]
        return statistics.linear_regression([math.log(count) for count in COUNTS], logs).slope

    @property
    def grows(self) -> int:
        """Bytes between the peaks of the largest and the smallest."""
        return self.peaks[-1] - self.peaks[0]

    @property
    def missed(self) -> list[str]:
        """The goals that it falls short of."""
        if self.missing:
            return []
        return [*(["time"] if self.exponent > MOST else []), *(["memory"] if self.grows > FLAT else [])]

    def as_json(self) -> dict[str, Any]:
        """For the JSON file."""
        told = {"key": self.key, "title": self.title, "missing": self.missing or None, "counts": list(COUNTS)}
        if self.missing:
            return told
        measured = {"seconds": list(self.seconds), "peaks": list(self.peaks), "exponent": self.exponent}
        return told | measured | {"missed": self.missed}


def measure(work: Work, folder: Path) -> Growth:
    """Files of each count, one after the other; each is removed when it was read."""
    try:
        (start, _), *rest = (_cost(work, folder, count) for count in (FEW, *COUNTS))
    except (Missing, Failed) as exc:
        return Growth(work.key, work.title, str(exc))
    seconds = tuple(max(cpu - start, 1e-3) for cpu, _ in rest)
    return Growth(work.key, work.title, "", seconds, tuple(peak for _, peak in rest))


def _cost(work: Work, folder: Path, count: int) -> tuple[float, int]:
    """Seconds of processor, the least of some runs, and bytes of the peak."""
    below = folder / f"growth-{work.key}-{count}"
    below.mkdir(parents=True, exist_ok=True)
    try:
        command = words_of(f"memx {work.memx}", work.write(below, count))
        peak = cost(command, "memory").peak
        return min(cost(command).cpu for _ in range(TIMES)), peak
    finally:
        shutil.rmtree(below)


def _elements(folder: Path, count: int) -> Path:
    return dicom.frames(folder, count // 13)


def _cards(folder: Path, count: int) -> Path:
    return fits.write(folder / "cards.fits", count // 100, rows=1)


def _hdf5(libver: Literal["earliest", "latest"]) -> Callable[[Path, int], Path]:
    return lambda folder, count: hdf5.write(folder / "many.h5", 1, count, libver)


def _netcdf4(folder: Path, count: int) -> Path:
    """As netCDF writes it, but for the list of variables that each dimension has: that takes quadratic time."""
    with h5py.File(folder / "many.nc", "w", libver="latest", track_order=True) as file:
        file.attrs["_NCProperties"] = "version=2,netcdf=4.9.2,hdf5=1.14.3"
        file["x"] = np.arange(10)
        file["x"].make_scale("x")
        file["x"].attrs["_Netcdf4Dimid"] = np.int32(0)
        for number in range(count):
            variable = file.create_dataset(f"variable{number:06}", (10,), "f4")
            variable.attrs["units"] = "K"
            variable.attrs["_Netcdf4Coordinates"] = np.zeros(1, "i4")
    return folder / "many.nc"


def _classic(folder: Path, count: int) -> Path:
    return netcdf.by_hand(folder / "many.nc", count)


def _sound(kind: str) -> Callable[[Path, int], Path]:
    return lambda folder, count: audio.write(folder / f"sound.{kind}", count // 100, channels=1)


def _film(kind: str, **codecs: str) -> Callable[[Path, int], Path]:
    return lambda folder, count: video.write(folder / f"film.{kind}", count // _PACKETS_A_SECOND, **codecs)


_PACKETS_A_SECOND = 68


def _chunks(folder: Path, count: int) -> Path:
    path = folder / "chunks.bin"
    with path.open("wb") as file:
        file.truncate(count * 2048)
    return path


_FRAMES = "stream --frame-length 441 {}"

WORKS = (
    Work("dicom", "DICOM, elements in items", _elements),
    Work("fits", "FITS, cards in HDUs of 100", _cards),
    Work("hdf5-latest", "HDF5, data sets of one group, latest", _hdf5("latest")),
    Work("hdf5-earliest", "HDF5, data sets of one group, earliest", _hdf5("earliest")),
    Work("netcdf-4", "NetCDF-4, variables", _netcdf4),
    Work("netcdf-classic", "NetCDF classic, variables", _classic),
    Work("audio-wav", "audio, frames of wav", _sound("wav"), _FRAMES),
    Work("audio-flac", "audio, frames of flac", _sound("flac"), _FRAMES),
    Work("video-mp4", "video, packets of mp4", _film("mp4")),
    Work("video-mkv", "video, packets of mkv", _film("mkv")),
    Work("video-avi", "video, packets of avi", _film("avi", codec="mpeg4", sound="libmp3lame -b:a 64k")),
    Work("binary", "binary, chunks of 2 KiB", _chunks, "stream --chunk-size 2K {}"),
)
