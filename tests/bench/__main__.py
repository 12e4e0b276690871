"""`make bench [FILES="..."]`: time and peak memory of memx and of the tools that read the same metadata.

Each command is run three times, the best counts; its output goes to /dev/null. A peak is that of the
largest process (wait4(2)); those below 9 MiB are not told apart.
"""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from memx.formats import detect, format_names
from memx.sources import open_source
from memx.units import format_size

RIVALS: dict[str, tuple[tuple[str, ...], ...]] = {
    "dicom": (("dcmdump",), ("dcm2json",), ("gdcmdump",), ("exiftool",)),
    "fits": (("fitsheader",), ("exiftool",)),
    "hdf5": (("h5dump", "-A"), ("h5ls", "-r", "-v")),
    "netcdf": (("ncdump", "-h"),),
    "audio": (("sox", "{}", "-n", "stat"), ("ffprobe", "-v", "error", "-show_frames")),
    "video": (("ffprobe", "-v", "error", "-show_streams", "-show_chapters", "-show_packets"),),
    "binary": (("sha256sum",),),
}
"""Other tools by format; the file takes the place of `{}`, or comes last."""


@dataclass(frozen=True)
class Cost:
    """What one command took."""

    seconds: float
    peak: int
    status: int


def measure(command: Sequence[str], times: int = 3) -> Cost:
    """The best of `times` runs of `command`."""
    return min((_run(command) for _ in range(times)), key=lambda cost: cost.seconds)


_METER = """
import os, sys, time
nowhere = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in (0, 1, 2)]
began = time.perf_counter()
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
_, status, usage = os.wait4(pid, 0)
print(time.perf_counter() - began, usage.ru_maxrss * 1024, os.waitstatus_to_exitcode(status))
"""


def _run(command: Sequence[str]) -> Cost:
    # through a small process: a child's peak begins at what its parent had
    done = subprocess.run([sys.executable, "-I", "-S", "-c", _METER, *command], stdout=subprocess.PIPE, check=True)
    seconds, peak, status = done.stdout.split()
    return Cost(float(seconds), int(peak), int(status))


def commands(path: Path, name: str) -> Iterator[list[str]]:
    """memx, then every rival that is installed; each by its full path."""
    beside = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")
    for words in (("memx", "stream"), *RIVALS[name]):
        tool = shutil.which(words[0], path=beside)
        if tool is not None:
            arguments = [str(path) if word == "{}" else word for word in words[1:]]
            yield [tool, *arguments, *([] if "{}" in words else [str(path)])]


def samples(folder: Path) -> Iterator[Path]:
    """A small file of each format."""
    for name in format_names():
        yield importlib.import_module(f"tests.samples.{name}").build(folder)


def main(arguments: Sequence[str]) -> int:
    """Measures with the files named, or with one of each format."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("format", "file", "size", "command", "time", "peak", ""):
        table.add_column(heading, justify="right" if heading in ("size", "time", "peak") else "left", no_wrap=True)
    with tempfile.TemporaryDirectory(prefix="memx-bench-") as folder:
        for path in map(Path, arguments) if arguments else samples(Path(folder)):
            with open_source(path) as source:
                name = detect(source).name
            for command in commands(path, name):
                cost = measure(command)
                shown = " ".join([os.path.basename(command[0]), *command[1:-1]])
                failed = "" if cost.status == 0 else f"ended with {cost.status}"
                size = format_size(path.stat().st_size)
                table.add_row(name, path.name, size, shown, f"{cost.seconds:.3f} s", format_size(cost.peak), failed)
    Console(highlight=False, markup=False).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
