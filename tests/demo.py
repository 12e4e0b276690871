"""`make demo`: one real file of each format through the real command, some that fit no memory, and the usual tools.

On a terminal, what lasts longer than a second shows its memory while it runs: that is memx's own live view.

Run as `python -m tests.demo [FOLDER]`; without a folder the files go to a temporary one.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memx.formats import format_names
from memx.units import format_size
from tests.bench.__main__ import ROWS
from tests.bench.runner import Failed, forget, measure

SHOWN = 2
"""Records of each file that are shown."""
GIANTS = (
    ("dicom", "build_giant"),
    ("fits", "build_giant"),
    ("hdf5", "build_giant"),
    ("netcdf", "build_giant"),
    ("video", "build_giant_matroska"),
    ("audio", "build_giant_pcm"),
)
"""Who builds a file of 100 GiB, which is read in a moment: what makes it large is never touched. Sound is read."""
READ_WHOLE = 1 << 29
"""Bytes of a file of no format that is known: every one of them is read."""
USUAL = ("dicom-pixels", "dicom-frames", "fits-hdus", "netcdf-4", "video-mp4")
"""The benchmarks that a moment is enough for; `make bench` has all, measured more than once."""


@dataclass(frozen=True)
class Run:
    """What `memx stream` made of one file."""

    path: Path
    lines: list[str]
    """The first ones."""
    end: dict[str, Any]
    format: str

    @property
    def row(self) -> tuple[str, ...]:
        """Its row of the last table."""
        metrics = self.end["metrics"]
        return (
            self.format,
            self.path.name,
            format_size(self.path.stat().st_size),
            f"{self.end['records']:,}",
            self.end["status"],
            f"{metrics['elapsed_s']:.3f} s",
            format_size(metrics["bytes_read"]),
            format_size(metrics["peak_rss"]),
        )


def real_file(name: str, folder: Path) -> Path:
    """A file of the format `name`: a scan that pydicom brings along, else one that the format's own library writes."""
    found = importlib.util.find_spec("pydicom") if name == "dicom" else None
    if found is not None and found.origin is not None:
        scan = Path(found.origin).parent / "data" / "test_files" / "CT_small.dcm"
        if scan.is_file():
            return scan
    build: Callable[[Path], Path] = importlib.import_module(f"tests.samples.{name}").build
    return build(folder)


def stream(path: Path) -> Run:
    """Runs `memx stream` on `path`."""
    command = [str(Path(sys.executable).with_name("memx")), "stream", path.name]
    first: list[str] = []
    line = ""
    with subprocess.Popen(command, cwd=path.parent, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if len(first) < SHOWN + 1:
                first.append(line.rstrip("\n"))
    end = json.loads(line)
    return Run(path, first, end, json.loads(first[0])["format"])


def command_of(path: Path) -> Text:
    """The command as it would be typed."""
    return Text.assemble(("$ ", "dim"), ("memx stream ", "bold"), (path.name, "bold cyan"))


def show(console: Console, run: Run) -> None:
    """The command as it would be typed, and its first lines."""
    console.print(command_of(run.path))
    for line in run.lines:
        text = Text(line if line.isprintable() else ascii(line)[1:-1], no_wrap=True)
        text.truncate(console.width, overflow="ellipsis")
        console.print(text, style="dim" if line.startswith('{"type":"file"') else "")
    left = run.end["records"] + 1 - len(run.lines)
    if left > 0:
        console.print(f"... {left:,} more", style="dim")
    console.print()


def table_of(title: str, runs: Sequence[Run]) -> Table:
    """What each run took."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("format", "file", "size", "records", "status", "time", "read", "peak"):
        right = heading in ("size", "records", "time", "read", "peak")
        table.add_column(heading, justify="right" if right else "left", header_style="cyan", no_wrap=True)
    for run in runs:
        table.add_row(*run.row)
    return table


def show_beside(console: Console, folder: Path) -> None:
    """What memx takes, and what the usual tools take for the same file: those that are installed here."""

    def line(name: str, seconds: str, peak: str) -> Text:
        return Text(f"  {name:<40}{seconds:>10}{peak:>12}")

    console.print(line("", "time", "peak"), style="cyan")
    for row in (row for row in ROWS if row.key in USUAL):
        console.print(Text(row.work))
        try:
            result = measure(row, folder, 1)
        except Failed:  # a tool that ended badly the second time
            continue
        finally:
            forget(row, folder)
        if result.missing:
            continue
        console.print(line("memx", f"{result.seconds[0]:.2f} s", format_size(result.peak)), style="bold")
        for against in (against for against in result.against if not against.missing):
            console.print(line(against.peer.name, f"{against.seconds[0]:.2f} s", format_size(against.peak)))


def said(console: Console, text: str) -> None:
    """What comes now."""
    console.print(Text(text, style="bold"))
    console.print()


def main(arguments: Sequence[str]) -> int:
    """Shows all; 1 where a file did not come to its complete end."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
    with tempfile.TemporaryDirectory(prefix="memx-demo-") as temporary:
        folder = Path(arguments[0] if arguments else temporary)
        folder.mkdir(parents=True, exist_ok=True)
        said(console, "One file of each format: JSON lines, each as soon as it is read.")
        runs = []
        for name in sorted(format_names(), key=lambda name: (name == "binary", name)):
            run = stream(real_file(name, folder))
            show(console, run)
            runs.append(run)
        console.print(table_of("One file of each format, through the real command", runs))
        console.print()
        said(console, "Now files that no memory holds, and two of which every byte has to be read.")
        giants = []
        for path in made_giants(folder):
            console.print(command_of(path))
            giants.append(stream(path))
        console.print()
        console.print(table_of("The memory is the same", giants))
        console.print()
        said(console, "Beside the usual tools, on files that are made for it:")
        show_beside(console, folder / "beside")
    return 0 if all(run.end["status"] == "complete" for run in (*runs, *giants)) else 1


def made_giants(folder: Path) -> list[Path]:
    """Sparse files: they take no disk, where the file system knows holes."""
    giants = []
    for name, build in GIANTS:
        try:
            giants.append(getattr(importlib.import_module(f"tests.samples.{name}"), build)(folder))
        except OSError:  # a file system that has no holes, or bounds the size of a file
            continue
    whole = folder / "large.bin"
    with whole.open("wb") as file:
        file.truncate(READ_WHOLE)
    return [*giants, whole]


if __name__ == "__main__":
    os.environ.pop("MEMX_DEBUG", None)
    sys.exit(main(sys.argv[1:]))
