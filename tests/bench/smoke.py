"""`make bench-smoke`: what each format costs, against the limits in `limits.toml`; 1 where one is passed.

A cost is a multiple of what a small piece of plain Python costs on the same interpreter, so that it means the
same on every machine: in instructions, counted by callgrind, where valgrind is installed, else in seconds of
processor, taken in turns. What starting takes is a work of its own, and no part of the others.
`python -m tests.bench.smoke --write` notes the costs of today.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import audio, dicom, fits, hdf5, netcdf, video
from tests.bench.row import Missing, words_of
from tests.bench.runner import cost, environment

LIMITS = Path(__file__).with_name("limits.toml")
ROUNDS = 5
_COUNTED = re.compile(rb"Collected : (\d+)")
_NOTHING = "python -c pass"
_REFERENCE = """
import json
for n in range(10_000):
    record = {"type": "element", "offset": n, "value": [str(n)]}
    json.loads(json.dumps(record))
"""


def _zeros(folder: Path, length: int) -> Path:
    path = folder / "zeros.bin"
    path.write_bytes(bytes(length))
    return path


START = "start-up"
WORKS: dict[str, tuple[Callable[[Path], Path], str]] = {
    START: (lambda folder: _zeros(folder, 1), "stream {}"),
    "dicom": (lambda folder: dicom.frames(folder, 400), "stream {}"),
    "fits": (lambda folder: fits.write(folder / "cards.fits", 50, rows=1), "stream {}"),
    "hdf5": (lambda folder: hdf5.write(folder / "some.h5", 4, 100, "latest"), "stream {}"),
    "netcdf-4": (lambda folder: netcdf.write(folder / "some.nc", 100, "NETCDF4"), "stream {}"),
    "netcdf-classic": (lambda folder: netcdf.by_hand(folder / "many.nc", 1000), "stream {}"),
    "audio": (lambda folder: audio.write(folder / "sound.wav", 20), "stream {}"),
    "video": (lambda folder: video.write(folder / "film.mp4", 60), "stream {}"),
    "binary": (lambda folder: _zeros(folder, 4 << 20), "stream {}"),
}
"""What is read, and how: small files, each with some thousand records or less."""


def instructions(command: list[str]) -> float:
    """Instructions of `command` and of all processes that it starts, as callgrind counts them."""
    with tempfile.TemporaryDirectory() as folder:
        call = ["valgrind", "--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={folder}/%p"]
        done = subprocess.run([*call, *command], capture_output=True, check=True, env=_steady())
    return float(sum(map(int, _COUNTED.findall(done.stderr))))


def seconds(command: list[str]) -> float:
    """Seconds of processor, the least of some runs."""
    return min(cost(command).cpu for _ in range(ROUNDS))


def _steady() -> dict[str, str]:
    """An environment in which a program does the same twice."""
    return environment() | {"PYTHONHASHSEED": "0"}


def measured(folder: Path, count: Callable[[list[str]], float], at_once: int) -> dict[str, float]:
    """The cost of each work, as a multiple of the reference. A work whose file cannot be made is left out."""
    commands = {"": words_of(_NOTHING, None), "reference": [sys.executable, "-c", _REFERENCE]}
    for name, (build, call) in WORKS.items():
        below = folder / name
        below.mkdir()
        try:
            commands[name] = words_of(f"memx {call}", build(below))
        except Missing as exc:
            print(f"{name} is left out: {exc}")
    for command in commands.values():  # what Python compiles is compiled now
        cost(command)
    with ThreadPoolExecutor(at_once) as pool:
        counts = dict(zip(commands, pool.map(count, commands.values()), strict=True))
    python = counts.pop("")
    reference = counts.pop("reference") - python
    start = counts[START]
    return {name: max(0.0, taken - (python if name == START else start)) / reference for name, taken in counts.items()}


def judged(kind: str, costs: dict[str, float]) -> bool:
    """Shows the costs beside their limits; whether all are kept."""
    told = tomllib.loads(LIMITS.read_text())
    allowed, noted = told["allowed"][kind], told[kind]
    table = Table(title=f"cost in {kind}, reference 1", title_justify="left", box=None, pad_edge=False)
    for heading in ("work", "cost", "noted", "at most", ""):
        table.add_column(heading, justify="left" if heading in ("work", "") else "right")
    kept = True
    for name, found in costs.items():
        most = noted[name] * allowed["times"] + allowed["plus"]
        kept &= found <= most
        said = "" if found <= most else "PASSED"
        table.add_row(name, f"{found:.2f}", f"{noted[name]:.2f}", f"{most:.2f}", said, style="red" if said else "")
    Console(highlight=False).print(table)
    return kept


def write(kinds: dict[str, dict[str, float]]) -> None:
    """Notes the costs of today."""
    head = LIMITS.read_text().partition("\n[instructions]")[0]
    tables = (
        f"[{kind}]\n" + "".join(f"{name} = {c:.2f}\n" for name, c in costs.items()) for kind, costs in kinds.items()
    )
    LIMITS.write_text(head + "\n" + "\n".join(tables))


def main() -> int:
    """Measures and judges, or writes."""
    ways = {"instructions": (instructions, os.cpu_count() or 1), "seconds": (seconds, 1)}
    usual = ["instructions" if shutil.which("valgrind") else "seconds"]
    chosen = list(ways) if "--write" in sys.argv else usual
    found = {}
    for kind in chosen:
        with tempfile.TemporaryDirectory(prefix="memx-bench-") as folder:
            found[kind] = measured(Path(folder), *ways[kind])
    if "--write" in sys.argv:
        write(found)
    kept = [judged(kind, costs) for kind, costs in found.items()]
    return int(not all(kept))


if __name__ == "__main__":
    sys.exit(main())
