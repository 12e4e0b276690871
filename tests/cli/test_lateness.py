"""Nothing is imported before it is needed: memory and time of the memx itself, before any reader."""

import subprocess
import sys
from pathlib import Path

import pytest

from memx.formats import FORMATS
from tests.cli.command import random_bytes

HEAVY = ("rich", "psutil", "numpy", "pydicom", "astropy", "h5py", "netCDF4", "soundfile", "av", "asyncio")


def imported_by(*arguments: object) -> set[str]:
    """The modules that a run of `memx` imports."""
    code = (
        "import sys, memx.cli\n"
        f"status = memx.cli.main({[str(argument) for argument in arguments]!r})\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_the_version_costs_no_imports() -> None:
    modules = imported_by("--version")
    assert {module for module in modules if module.split(".")[0] in ("typer", "typing", "re", *HEAVY)} == set()
    assert {module for module in modules if module.startswith("memx.")} == {"memx.cli"}


@pytest.mark.parametrize("arguments", [("--help",), ("stream", "--help"), ("stream", "missing")])
def test_what_reads_nothing_imports_no_library(arguments: tuple[str, ...]) -> None:
    modules = imported_by(*arguments)
    assert modules & set(HEAVY) == set()
    assert modules & {row.module for row in FORMATS} == set()


def test_lines_need_no_rich(tmp_path: Path) -> None:
    modules = imported_by("stream", "--json", random_bytes(tmp_path, 100))
    assert modules & set(HEAVY) <= {"numpy"}


def test_a_plain_table_needs_no_rich(tmp_path: Path) -> None:
    assert "rich" not in imported_by("stream", "--table", random_bytes(tmp_path, 100))


def test_the_command_itself_is_small() -> None:
    code = "import memx.cli, memx.cli.app, memx.cli.output, sys; print(open('/proc/self/status').read())"
    if not Path("/proc/self/status").exists():
        pytest.skip("no /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    peak = next(int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("VmHWM:"))
    assert peak < 24 * 1024
