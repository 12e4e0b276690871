"""Files of every format whose texts try to take the terminal over: what is shown stays text, in every view."""

import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pydicom
import pytest
import soundfile

from memx.formats import format_names
from memx.records import decode
from tests.cli.command import memx, on_terminal
from tests.samples import fits, video
from tests.samples.binary import build as build_binary

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b31m\x08\r"
HOSTILE = f"{ESCAPES}\u202eevil\u2066\u200f[bold red]loud[/] <b>"
MARKUP = "[bold red]loud[/] <b>"
"""The part that is harmless, and has to be shown as it is."""
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
"""What memx itself may say to a terminal."""


def dicom(folder: Path) -> Path:
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.SpecificCharacterSet = "ISO_IR 192"
    data.add_new(0x00081030, "LO", "[bold red]loud[/] <b>")
    data.add_new(0x00104000, "UT", HOSTILE)
    path = folder / "hostile.dcm"
    pydicom.dcmwrite(path, data, enforce_file_format=False, implicit_vr=False, little_endian=True)
    return path


def fits_file(folder: Path) -> Path:
    path = folder / "hostile.fits"
    whole = fits.primary()
    card = (b"OBSERVER= '" + (ESCAPES + MARKUP).encode("latin-1") + b"'").ljust(80)
    path.write_bytes(whole.replace(b"END".ljust(80), card + b"END".ljust(80), 1)[: len(whole)])
    return path


def hdf5(folder: Path) -> Path:
    path = folder / "hostile.h5"
    with h5py.File(path, "w") as file:
        made = file.create_dataset(HOSTILE.replace("/", ""), data=np.zeros(3))
        made.attrs[HOSTILE] = HOSTILE
        file["link"] = h5py.SoftLink(HOSTILE)
    return path


def netcdf(folder: Path) -> Path:
    path = folder / "hostile.nc"
    with netCDF4.Dataset(path, "w", format="NETCDF3_CLASSIC") as file:
        file.title = HOSTILE
        file.createVariable("one", "f4", ()).long_name = HOSTILE
    return path


def audio(folder: Path) -> Path:
    path = folder / "hostile.flac"
    with soundfile.SoundFile(path, "w", 8000, 1) as file:
        file.title = HOSTILE
        file.write(np.zeros(800))
    return path


def video_file(folder: Path) -> Path:
    path = video.build_kind(folder, "attachment.mkv")
    # of the same length, so that no size in the file has to change
    title = "Cafe\u0301 <b>[red]".encode()
    hostile = b"\x1b[2J\xe2\x80\xae<b>[red]"
    whole = path.read_bytes()
    assert len(hostile) <= len(title)
    assert title in whole
    path.write_bytes(whole.replace(title, hostile.ljust(len(title))))
    return path


def binary(folder: Path) -> Path:
    path = folder / f"{HOSTILE.replace('/', '')}.bin"
    path.write_bytes(b"\x1b[2J" * 100)
    return path


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "dicom": dicom,
    "fits": fits_file,
    "hdf5": hdf5,
    "netcdf": netcdf,
    "audio": audio,
    "video": video_file,
    "binary": binary,
}


def test_every_format_is_here() -> None:
    assert set(BUILDERS) == set(format_names())


def unmoved(shown: str) -> bool:
    """Whether a terminal got nothing but what memx itself has to say to it: no screen cleared, no title set."""
    return "\x1b[2J" not in shown and "\x1b]" not in shown and harmful(CONTROLS.sub("", shown)) == []


def harmful(text: str) -> list[str]:
    """The characters of `text` that would do something."""
    return [one for one in text if one != "\n" and unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")]


@pytest.mark.parametrize("name", BUILDERS)
def test_the_texts_arrive_whole(name: str, tmp_path: Path) -> None:
    """Else the other tests would prove nothing."""
    done = memx("stream", BUILDERS[name](tmp_path))
    records = [decode(line) for line in done.stdout.splitlines()]
    assert records[0]["format"] == name
    assert "\x1b[2J" in _texts(records)


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(_texts(part) for pair in value.items() for part in pair)
    return "".join(map(_texts, value)) if isinstance(value, list) else str(value)


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("command", ["stream", "extract", "profile"])
def test_tables(name: str, command: str, tmp_path: Path) -> None:
    path = BUILDERS[name](tmp_path)
    done = memx(command, "--table", path, env=os.environ | {"COLUMNS": "160"})
    shown = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert path.suffix in shown
    assert harmful(shown) == []


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("command", [("stream",), ("stream", "--json"), ("extract", "--json"), ("extract",)])
def test_terminals(name: str, command: tuple[str, ...], tmp_path: Path) -> None:
    path = BUILDERS[name](tmp_path)
    status, shown = on_terminal(*command, path)
    assert status == 0
    assert unmoved(shown)


@pytest.mark.parametrize("name", BUILDERS)
def test_errors(name: str, tmp_path: Path) -> None:
    path = BUILDERS[name](tmp_path)
    other = "fits" if name != "fits" else "dicom"
    for command in ("stream", "extract"):
        done = memx(command, "--table", "-f", other, path)
        assert done.returncode in (0, 1)
        assert harmful(done.stdout.decode() + done.stderr.decode()) == []


@pytest.mark.parametrize("name", [name for name in BUILDERS if name != "binary"])
def test_files_that_break_off(name: str, tmp_path: Path) -> None:
    path = BUILDERS[name](tmp_path)
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    done = memx("stream", "--table", path)
    assert done.returncode in (0, 1)
    assert harmful(done.stdout.decode() + done.stderr.decode()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        (HOSTILE,),
        ("stream", f"--{HOSTILE}", "x"),
        ("stream", "--strategy", HOSTILE, "x"),
        ("stream", "--limit", HOSTILE, "x"),
        ("stream", "--max-memory", HOSTILE, "x"),
        ("extract", "--files-from", HOSTILE),
        ("extract", "--extractor", f"{HOSTILE}:x", "x"),
        ("extract", "-o", f"no/{HOSTILE}", "x"),
        ("profile", "--baseline", HOSTILE, "x"),
        ("gc-tune", HOSTILE),
        ("status", "--pid", HOSTILE),
    ],
)
def test_messages(arguments: tuple[str, ...]) -> None:
    done = memx(*arguments)
    assert done.returncode in (1, 2)
    assert harmful(done.stderr.decode()) == []
    assert len(done.stderr.splitlines()) <= 1
    assert b"Traceback" not in done.stderr


def test_markup_is_shown_as_it_is(tmp_path: Path) -> None:
    done = memx(
        "stream", "--table", "--select", "StudyDescription", dicom(tmp_path), env=os.environ | {"COLUMNS": "160"}
    )
    assert MARKUP in done.stdout.decode()


def test_a_hostile_name_in_the_live_views(tmp_path: Path) -> None:
    """Folders, names and a worker's progress."""
    folder = tmp_path / HOSTILE.replace("/", "")
    folder.mkdir()
    build_binary(folder)
    for arguments in (("extract", "-j", "1"), ("profile",)):
        _, shown = on_terminal(*arguments, folder)
        assert unmoved(shown)
