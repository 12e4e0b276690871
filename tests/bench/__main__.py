"""`make bench`: memx and the tools that read the same metadata, as whole processes, in turns.

Environment: ONLY chooses rows (`ONLY=dicom,fits-hdus,growth`), BENCH_DIR keeps the inputs for the next time,
BENCH_JSON=FILE takes the figures.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from tests.bench import audio, binary, dataset, dicom, engine, fits, growth, hdf5, netcdf, report, startup, video
from tests.bench.growth import Growth
from tests.bench.row import Row
from tests.bench.runner import forget, measure

ROWS: tuple[Row, ...] = (
    *startup.ROWS,
    *dicom.ROWS,
    *dataset.ROWS,
    *fits.ROWS,
    *hdf5.ROWS,
    *netcdf.ROWS,
    *audio.ROWS,
    *video.ROWS,
    *binary.ROWS,
)


def chosen(key: str, only: str) -> bool:
    """Whether one of the words of `only` is `key` or what it begins with; every one is, for none."""
    words = only.split(",")
    return not only or any(key == word or key.startswith(f"{word}-") for word in words)


def rows(only: str, folder: Path, keep: bool) -> Iterator[report.Line]:
    """The lines of every row that was chosen, as soon as it was measured."""
    for row in ROWS:
        if chosen(row.key, only):
            yield from report.lines(measure(row, folder))
            if not keep:
                forget(row, folder)


def growths(only: str, folder: Path) -> Iterator[Growth]:
    """How each format grows."""
    for work in growth.WORKS:
        if chosen(f"growth-{work.key}", only):
            yield growth.measure(work, folder)


def main() -> int:
    """Measures, tells; 1 where memx itself failed at something."""
    only, kept, target = (os.environ.get(name, "") for name in ("ONLY", "BENCH_DIR", "BENCH_JSON"))
    progress, console = Console(stderr=True, highlight=False, markup=False), Console(highlight=False, markup=False)
    console.width = max(console.width, 180)
    lines, grown = [], []
    with tempfile.TemporaryDirectory(prefix="memx-bench-") as temporary:
        folder = Path(kept or temporary)
        for line in rows(only, folder, bool(kept)):
            lines.append(line)
            progress.print(" | ".join(filter(None, report.cells(line))), style="dim")
        for one in growths(only, folder):
            grown.append(one)
            progress.print(f"{one.title}: {one.missing or f'exponent {one.exponent:.2f}'}", style="dim")
    if lines:
        console.print(report.table(lines))
    if grown:
        console.print(report.growth_table(grown))
    if chosen("engine", only):
        engine.main()
    if target:
        Path(target).write_text(json.dumps(report.as_json(lines, grown), indent=1) + "\n")
    return int(any("ratio" not in line and line["missing"] and not line["against"] for line in lines))


if __name__ == "__main__":
    sys.exit(main())
