"""The desk at which the examples of the README, the guide and the help are typed: its files, tools and shell."""

import gzip
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pydicom

from tests.samples import audio, binary, dicom, fits, hdf5, netcdf, video

ROOT = Path(__file__).parents[1]
LASTING = ("--watch", "--alert")
"""Options of commands that go on until somebody interrupts them."""

_MODULES = {
    "mylab.py": "import os\n\n\ndef summary(path):\n    return {'bytes': os.path.getsize(path)}\n",
    "mypackage/__init__.py": "",
    "mypackage/reading.py": "def header(path):\n    with open(path, 'rb') as file:\n"
    "        return {'first': file.read(16).hex()}\n",
}
_SHIMS = {
    # a recommendation takes minutes of measuring; what is shown is the command, and that is run once a setting
    "memx": f'[ "$1" = gc-tune ] && set -- "$@" --runs 1\nexec {sys.executable} -m memx "$@"',
    "python3": f'exec {sys.executable} "$@"',
    "python": f'exec {sys.executable} "$@"',
    # no test asks the network: what would be fetched stands here
    "curl": 'for last; do :; done\nexec cat "$(basename "$last")"',
    "logger": 'echo "$@" >> log',
    # what is within the container, or the scope, runs here; how an image is built is a test of its own
    "docker": '[ "$1" = build ] && exit 0\nwhile [ "$1" != memx ]; do shift; done; shift\nexec "$@"',
    "systemd-run": 'while [ "$1" != memx ]; do shift; done\nexec "$@"',
    "duckdb": f"exec {sys.executable} -c 'import duckdb, sys; print(duckdb.sql(sys.argv[2]))' \"$@\"",
    "man": "exit 0",  # that the pages are good is tested with those who typeset them
}


def lay(folder: Path) -> Path:
    """Puts the files that the examples name into `folder`, and the tools into its `.bin`."""
    assert pydicom.__file__ is not None
    scan = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
    shutil.copy(scan, folder / "CT_small.dcm")
    shutil.copy(scan, folder / "scan.dcm")
    (folder / "last").touch()
    os.utime(folder / "last", (0, 0))
    _move(fits.build(folder), folder / "cube.fits")
    (folder / "cube.fits.gz").write_bytes(gzip.compress((folder / "cube.fits").read_bytes()))
    fits.build_giant(folder)
    _move(hdf5.build(folder), folder / "run.h5")
    _move(netcdf.build(folder), folder / "ocean.nc")
    _move(audio.build(folder), folder / "song.flac")
    _move(video.build_kind(folder, "attachment.mkv"), folder / "film.mkv")
    _move(binary.build(folder), folder / "firmware.bin")
    for name in ("archive", "dataset", "scans", "runs/raw"):
        (folder / name).mkdir(parents=True)
    shutil.copy(scan, folder / "archive" / "CT_small.dcm")
    shutil.copy(scan, folder / "dataset")
    shutil.copy(folder / "cube.fits", folder / "dataset")
    _move(dicom.build(folder), folder / "scans" / "one.dcm")
    shutil.copy(folder / "run.h5", folder / "runs")
    for name, text in _MODULES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    (folder / ".bin").mkdir()
    for name, text in _SHIMS.items():
        shim = folder / ".bin" / name
        shim.write_text(f"#!/bin/sh\n{text}\n")
        shim.chmod(0o755)
    return folder


def _move(made: Path, name: Path) -> None:
    if made != name:
        shutil.move(made, name)


@dataclass(frozen=True)
class Done:
    """What came of a command."""

    command: str
    returncode: int
    out: str
    err: str
    interrupted: bool


def typed(command: str, folder: Path) -> Done:
    """What a shell says to `command`; one that lasts gets Ctrl-C after a while."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("MEMX_", "XDG_"))}
    # a process that is there, whatever its number is
    line = command.replace("4711", str(os.getpid()))
    process = subprocess.Popen(
        # a shell that put the tests in the background has them ignore Ctrl-C
        ["env", "--default-signal=INT", "bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=inherited | {"PATH": f"{folder}/.bin:{os.environ['PATH']}", "HOME": str(folder), "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lasts = any(option in command for option in LASTING)
    try:
        out, err = process.communicate(timeout=2 if lasts else 110)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGINT if lasts else signal.SIGKILL)
        try:
            out, err = process.communicate(timeout=20)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return Done(command, process.returncode, out, err, lasts)
    return Done(command, process.returncode, out, err, False)
