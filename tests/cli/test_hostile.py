"""Files of every format whose texts try to take the terminal over: what is shown stays text, in every view."""

import html
import os
import re
import struct
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
from tests.samples import fits, matroska
from tests.samples.binary import build as build_binary

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m\x9b31m\x9d0;owned\x9c\x85\x08\r"
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"
HOSTILE = f"{ESCAPES}{BIDI}evil\u2028\u200b\ufeff\ue000[bold red]loud[/] <b><script>alert(1)<\u2044script>\n"
"""Controls of C0 and C1, the bidirectional ones, what is hidden, markup, and a line that ends."""
MARKUP = "[bold red]loud[/] <b>"
"""The part that is harmless, and has to be shown as it is."""
NAME = f"{HOSTILE.replace('/', '')[:60]}\n\udcff{'long' * 20}"
"""Of a file: what a file system takes, and bytes that are no UTF-8 among it."""
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
"""What memx itself may say to a terminal."""


def dicom(folder: Path) -> Path:
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.SpecificCharacterSet = "ISO_IR 192"
    data.add_new(0x00081030, "LO", MARKUP)
    data.add_new(0x00104000, "UT", HOSTILE)
    path = folder / f"{NAME}.dcm"
    pydicom.dcmwrite(path, data, enforce_file_format=False, implicit_vr=False, little_endian=True)
    with path.open("ab") as file:  # pydicom would not write such values
        file.writelines(_elements())
    return path


def _elements() -> list[bytes]:
    """A private element of each VR that has text; the last ones in a sequence."""
    value = HOSTILE.encode()
    value += b" " * (len(value) % 2)
    short = [
        struct.pack("<HH2sH", 0x11, 0x1000 + at, vr.encode(), len(value)) + value
        for at, vr in enumerate(["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI"])
    ]
    long = [
        struct.pack("<HH2sHI", 0x11, 0x1020 + at, vr.encode(), 0, len(value)) + value
        for at, vr in enumerate(["UC", "UR", "UT", "UN"])
    ]
    item = b"".join([struct.pack("<HHI", 0xFFFE, 0xE000, sum(map(len, short))), *short])
    creator = struct.pack("<HH2sH", 0x11, 0x10, b"LO", len(value)) + value
    return [creator, *short, *long, struct.pack("<HH2sHI", 0x11, 0x1030, b"SQ", 0, len(item)), item]


def fits_file(folder: Path) -> Path:
    evil = (ESCAPES + MARKUP).encode("latin-1").decode("latin-1")
    cards = (
        f"OBSERVER= '{evil}'",
        f"EXTNAME = '{evil}'",
        f"OBJECT  = 1 / {evil}",
        f"HISTORY {evil}",
        f"COMMENT {evil}",
        f"        {evil}",
        f"HIERARCH ESO {evil} = 1",
        f"{evil[:8]}= '{evil}'",
        f"{evil}",
    )
    table = ("XTENSION= 'BINTABLE'", "BITPIX  =                    8", "NAXIS   =                    2")
    sizes = ("NAXIS1  =                    1", "NAXIS2  =                    1", "PCOUNT  =                    0")
    column = (
        "GCOUNT  =                    1",
        "TFIELDS =                    1",
        "TFORM1  = '1B'",
        f"TTYPE1  = '{evil}'",
    )
    path = folder / f"{NAME}.fits"
    whole = fits.primary(*(card[:80] for card in cards)) + fits.header(*table, *sizes, *(card[:80] for card in column))
    path.write_bytes(whole + bytes(fits.BLOCK))
    return path


def hdf5(folder: Path) -> Path:
    path = folder / f"{NAME}.h5"
    name = HOSTILE.replace("/", "")
    with h5py.File(str(folder / "made.h5"), "w") as file:
        made = file.create_dataset(name, data=np.zeros(3))
        made.attrs[HOSTILE] = HOSTILE
        made.attrs["several"] = [HOSTILE, HOSTILE]
        file["link"] = h5py.SoftLink(HOSTILE)
        file["outside"] = h5py.ExternalLink(HOSTILE, HOSTILE)
        file[f"type{name}"] = np.dtype([(name, "f4"), ("tag", h5py.enum_dtype({name: 1}))])
        file.create_group(f"group{name}").attrs["compound"] = np.zeros(1, [(name, "S3")])
        file.create_dataset("typed", (1,), np.dtype([(name, "f4")]))
        file["typed"].attrs["opaque"] = np.void(ESCAPES.encode())
    (folder / "made.h5").rename(path)
    return path


def netcdf(folder: Path) -> Path:
    path = folder / f"{NAME}.nc"
    places = {name: f"{name}_{'x' * 40}" for name in ("dimension", "variable", "attribute")}
    with netCDF4.Dataset(folder / "made.nc", "w", format="NETCDF3_CLASSIC") as file:
        file.createDimension(places["dimension"], 2)
        file.setncattr(places["attribute"], HOSTILE)
        file.createVariable(places["variable"], "f4", (places["dimension"],)).long_name = HOSTILE
    whole = (folder / "made.nc").read_bytes()
    for place in places.values():  # the library would not write such names
        whole = whole.replace(place.encode(), f"\x1b[2J\x9b31m\u202e{MARKUP}".encode().ljust(len(place), b"."))
    path.write_bytes(whole)
    return path


def audio(folder: Path) -> Path:
    path = folder / f"{NAME}.flac"
    with soundfile.SoundFile(str(folder / "made.flac"), "w", 8000, 1) as file:
        for tag in ("title", "artist", "album", "comment", "copyright", "date", "genre", "tracknumber"):
            setattr(file, tag, HOSTILE)
        file.write(np.zeros(800))
    (folder / "made.flac").rename(path)
    return path


def video_file(folder: Path) -> Path:
    path = folder / f"{NAME}.mkv"
    named = matroska.element(0x536E, HOSTILE), matroska.element(0x22B59C, HOSTILE), matroska.element(0x258688, HOSTILE)
    shown = matroska.element(0x80, matroska.element(0x85, HOSTILE), matroska.element(0x437C, HOSTILE))
    atom = matroska.element(0xB6, matroska.element(0x73C4, 1), matroska.element(0x91, 0), shown)
    attached = matroska.element(
        0x61A7,
        *(matroska.element(one, HOSTILE) for one in (0x467E, 0x466E, 0x4660)),
        matroska.element(0x465C, b"1"),
        matroska.element(0x46AE, 7),
    )
    before = (
        matroska.info(*(matroska.element(one, HOSTILE) for one in (0x7BA9, 0x4D80, 0x5741))),
        matroska.element(matroska.CHAPTERS, matroska.element(0x45B9, atom)),
        matroska.element(matroska.ATTACHMENTS, attached),
        matroska.element(matroska.TAGS, matroska.tag(b"", matroska.simple_tag(HOSTILE, HOSTILE))),
    )
    tracks = matroska.video_track(1, *named), matroska.video_track(2, *named, codec=HOSTILE)
    cluster = matroska.cluster(0, *matroska.pictures(0, 3))
    path.write_bytes(matroska.segment(*before, matroska.element(matroska.TRACKS, *tracks), cluster))
    return path


def binary(folder: Path) -> Path:
    path = folder / f"{NAME}.bin"
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("command", ["stream", "extract", "profile"])
def test_tables(name: str, command: str, tmp_path: Path) -> None:
    path = BUILDERS[name](tmp_path)
    done = memx(command, "--table", path, env=os.environ | {"COLUMNS": "160"})
    shown = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert path.suffix in shown
    assert harmful(shown) == []
    if command == "stream":
        assert f"\\n\\xfflong{'long' * 19}{path.suffix}" in shown


@pytest.mark.slow
@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize(
    "command",
    [("stream",), ("stream", "--json"), ("stream", "--with-path"), ("extract", "--json"), ("extract",), ("profile",)],
    ids=" ".join,
)
def test_terminals(name: str, command: tuple[str, ...], tmp_path: Path) -> None:
    path = BUILDERS[name](tmp_path)
    status, shown = on_terminal(*command, path)
    assert status == 0
    assert unmoved(shown)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("command", ["stream", "extract", "profile"])
def test_the_live_views(command: str, tmp_path: Path) -> None:
    """Long enough for the view to be drawn, with the name of what is read."""
    path = tmp_path / f"{NAME[:40]}.fifo"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)  # whoever reads waits for more
    try:
        _, shown = on_terminal(command, path, when=lambda text: "limited by" in text, columns=200)
    finally:
        os.close(writer)
    assert "budget" in shown
    assert ".fifo" in shown
    assert unmoved(shown)


@pytest.mark.slow
def test_the_page_of_a_profile(tmp_path: Path) -> None:
    pytest.importorskip("bokeh", reason="bokeh is missing: it is one of memx's [report]")
    (tmp_path / "files").mkdir()
    for build in BUILDERS.values():
        build(tmp_path / "files")
    page = tmp_path / "page.html"
    done = memx("profile", "--html", page, "--json", tmp_path / "files")
    assert (done.returncode, done.stderr) == (0, b"")
    body = page.read_text("utf-8").partition("<body>")[2]
    assert "<script>alert" not in body
    assert body.count(html.escape("\\x1b]0;owned")) >= len(BUILDERS)
    assert harmful(body.replace("\r", "")) == []


@pytest.mark.slow
def test_tuning(tmp_path: Path) -> None:
    """Of files, gc-tune says what is wrong with them."""
    for name in ("dicom", "fits"):
        path = BUILDERS[name](tmp_path)
        path.write_bytes(path.read_bytes()[:400])
    status, shown = on_terminal("gc-tune", "--runs", 1, tmp_path)
    assert status in (0, 1)
    assert unmoved(shown)


def test_settings_in_a_folder_with_a_hostile_name(tmp_path: Path) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    for text in ("max_memory = '1G'", "nothing = 1", f"[collector.{NAME[-3:]}]", "max_memory = '\\u001b[2J'"):
        (folder / "config.toml").write_text(text)
        done = memx("status", "--table", env=os.environ | {"MEMX_CONFIG": str(folder / "config.toml")})
        assert done.returncode in (0, 2)
        assert harmful(done.stdout.decode() + done.stderr.decode()) == []
        assert len(done.stderr.splitlines()) <= 1


def test_a_list_of_hostile_names(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(os.fsencode(f"{NAME}.missing\0{tmp_path}"))
    done = memx("extract", "-0", "--files-from", tmp_path / "list", "--table", "--progress")
    assert done.returncode == 1
    assert ".missing" in done.stdout.decode()
    assert harmful(done.stdout.decode() + done.stderr.decode()) == []


def test_a_hostile_name_in_a_folder_with_one(tmp_path: Path) -> None:
    folder = tmp_path / NAME
    folder.mkdir()
    build_binary(folder)
    for arguments in (("extract", "-j", "1"), ("profile",)):
        _, shown = on_terminal(*arguments, folder)
        assert unmoved(shown)
