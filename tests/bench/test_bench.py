"""The benchmarks measure what they say."""

import sys
from pathlib import Path

import pytest

from tests.bench import growth, report, runner
from tests.bench.__main__ import ROWS, chosen
from tests.bench.growth import Growth
from tests.bench.row import MIB, Missing, Peer, Row, words_of
from tests.bench.runner import Failed, cost

HOLD = """
import subprocess, sys, time
held = bytearray({own}) if {own} else b""
for at in range(0, len(held), 4096):
    held[at] = 1
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]]) if len(sys.argv) > 1 else None
print("x" * 100_000)
time.sleep(0.3)
if child: child.wait()
"""


@pytest.mark.slow
def test_the_peak_is_that_of_all_processes() -> None:
    inner, outer = HOLD.format(own=40 * MIB), HOLD.format(own=30 * MIB)
    alone = cost([sys.executable, "-c", inner], "memory")
    both = cost([sys.executable, "-c", outer, inner], "memory")
    assert 40 * MIB < alone.peak < 70 * MIB
    assert both.peak > alone.peak + 25 * MIB
    assert both.tree > both.largest
    assert both.length == 2 * 100_001
    assert set(both.last) == {"x"}
    assert both.seconds > 0.3


def test_a_command_that_fails_is_named() -> None:
    with pytest.raises(Failed, match=r"python.* ended with 3: so it is"):
        cost([sys.executable, "-c", "import sys; print('so it is', file=sys.stderr); sys.exit(3)"])


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(Missing, match="no-such-tool is not installed: a-package"):
        Peer("no-such-tool {}", found_in="a-package").words(tmp_path)
    with pytest.raises(Missing, match="a-library is not installed"):
        Peer("python {}", found_in="a-library", module="no_such_module").words(tmp_path)


@pytest.mark.slow
def test_rows_are_measured_and_told(tmp_path: Path) -> None:
    def build(folder: Path) -> Path:
        path = folder / "small file"
        path.write_bytes(b"abc")
        return path

    slow = Peer("python -c 'import time; time.sleep(1)' {}", 0.9)
    quick = Peer("python -c pass {}", 0.01)
    row = Row("binary-small", "a small file", build, "--version", (slow, quick, Peer("no-such-tool {}")), peak=1)
    result = runner.measure(row, tmp_path, rounds=2)
    first, second, third = report.lines(result)
    assert 0.01 < first["ratio"] < 0.9 * second["ratio"]
    assert (first["missed"], second["missed"]) == (["peak"], ["time", "peak"])
    assert third["missing"] == "no-such-tool is not installed"
    shown = "\n".join(report.markdown(report.as_json([first, second, third], [])))
    assert "| a small file | `python -c 'import time; time.sleep(1)'` | " in shown
    assert "no-such-tool" not in shown
    runner.forget(row, tmp_path)
    assert not list(tmp_path.iterdir())


def test_words_find_files(tmp_path: Path) -> None:
    for name in ("b.dcm", "a.dcm", "c.txt"):
        (tmp_path / name).touch()
    assert words_of("python {}/*.dcm -x", tmp_path)[1:] == [f"{tmp_path}/a.dcm", f"{tmp_path}/b.dcm", "-x"]


@pytest.mark.parametrize(("power", "missed"), [(1.0, []), (1.05, []), (2.0, ["time"])])
def test_growth_is_a_power(power: float, missed: list[str]) -> None:
    grown = Growth("x", "x", "", tuple(count**power / 1e6 for count in growth.COUNTS), (MIB, MIB, 2 * MIB))
    assert grown.exponent == pytest.approx(power)
    assert grown.missed == missed


def test_rows_are_chosen_by_whole_words() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)
    assert [row.key for row in ROWS if chosen(row.key, "fits,hdf5-giant")] == ["fits-hdus", "hdf5-giant"]
    assert all(chosen(row.key, "") for row in ROWS)
    assert not chosen("netcdf-4", "net")
