"""`memx gc-tune`, the command: what it says, writes and answers."""

import os
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from memx.cli import main
from memx.engine.collector.setting import OWN_CHOICE, CollectorSetting
from memx.engine.tuning.advice import Advice
from memx.engine.tuning.experiment import Experiment, Measurement
from memx.records import decode
from tests.cli.command import memx, on_terminal
from tests.samples import workloads

MIB = 1 << 20


def advice(name: str, *, gain: bool) -> Advice:
    """Of an experiment in which a disabled collector takes a third less time, or nothing helps."""

    def run(setting: CollectorSetting, _files: object) -> Measurement:
        seconds = 1.0 if gain and setting.disabled else 1.5
        return Measurement(seconds, seconds, 60 * MIB if setting.freeze else 50 * MIB, 12, 0.25)

    tuning = Experiment(run, ["x"]).result()
    return Advice(name, 1200, 3 * MIB, 2, 1 if gain else 0, tuning, tuning.reason)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the engine was asked; it advises for DICOM, and against for FITS."""
    calls: list[dict[str, Any]] = []

    def advise(paths: Iterable[str], **how: Any) -> Iterator[Advice]:
        how.pop("progress")
        calls.append({"paths": list(paths), **how})
        yield advice("dicom", gain=True)
        yield advice("fits", gain=False)

    monkeypatch.setattr("memx.engine.tuning.advice.advise", advise)
    return calls


def test_the_command_makes_one_call(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text("[collector.dicom]\nthreshold0 = 9\n")
    monkeypatch.setenv("MEMX_CONFIG", str(tmp_path / "config.toml"))
    assert main(["gc-tune", "--json", "--runs", "7", "--extractor", "a.b:c", "one", "two"]) == 1
    settings = {"dicom": CollectorSetting(threshold0=9)}
    assert asked == [{"paths": ["one", "two"], "extractor": "a.b:c", "runs": 7, "settings": settings}]
    out, err = capfd.readouterr()
    assert err == ""
    assert out.count("\n") == 1


def test_json_is_one_object(asked: list[dict[str, Any]], capfd: pytest.CaptureFixture[str]) -> None:
    main(["gc-tune", "one"])
    out, err = capfd.readouterr()
    record = decode(out.encode())
    assert (record["type"], record["runs"], err) == ("gc-tune", 10, "")
    assert record["collector"]["kind"] in ("generational", "incremental", "free-threaded")
    dicom, fits = record["results"]
    assert (dicom["name"], dicom["files"], dicom["bytes"], dicom["rounds"]) == ("dicom", 1200, 3 * MIB, 2)
    assert dicom["recommendation"] == {"disabled": True}
    assert fits["recommendation"] is None
    assert fits["reason"].startswith("leave it alone")
    assert dicom["baseline"]["setting"] == OWN_CHOICE.as_table()
    best = next(one for one in dicom["candidates"] if one["verdict"] == "recommended")
    assert best["ratios"]["cpu"] == {
        "estimate": pytest.approx(2 / 3),
        "low": pytest.approx(2 / 3),
        "high": pytest.approx(2 / 3),
    }
    frozen = next(one for one in dicom["candidates"] if one["setting"] == {"freeze": True})
    assert (frozen["verdict"], frozen["reason"]) == ("refused", "it raises the peak by 20 %")


TABLE = """
dicom · 1,200 files, 2 times a run · 3 MiB · 1 left out, since they fail
setting               cpu time               peak           pauses  verdict
memx's own choice       1.50 s             50 MiB           250 ms  in force
aggressive              1.50 s    +0 %     50 MiB    +0 %   250 ms  no gain
balanced                1.50 s    +0 %     50 MiB    +0 %   250 ms  no gain
conservative            1.50 s    +0 %     50 MiB    +0 %   250 ms  no gain
threshold0 1,250        1.50 s    +0 %     50 MiB    +0 %   250 ms  no gain
threshold0 20,000       1.50 s    +0 %     50 MiB    +0 %   250 ms  no gain
threshold0 80,000       1.50 s    +0 %     50 MiB    +0 %   250 ms  no gain
frozen imports          1.50 s    +0 %     60 MiB   +20 %   250 ms  refused
by growth of memory     1.00 s   -33 %     50 MiB    +0 %   250 ms  recommended
frozen imports: refused, it raises the peak by 20 %
by growth of memory: 33 % less processor time (33 % to 33 %), as much memory
"""


def test_the_table(asked: list[dict[str, Any]], capfd: pytest.CaptureFixture[str]) -> None:
    main(["gc-tune", "--table", "one"])
    out = capfd.readouterr().out
    assert TABLE in out
    assert "collector of Python" in out.splitlines()[0]
    assert max(map(len, out.splitlines())) <= 80


def test_apply_writes_what_is_recommended_and_nothing_else(
    asked: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "new" / "config.toml"
    monkeypatch.setenv("MEMX_CONFIG", str(file))
    main(["gc-tune", "--apply", "one"])
    assert tomllib.loads(file.read_text()) == {"collector": {"dicom": {"disabled": True}}}
    dicom, fits = decode(capfd.readouterr().out.encode())["results"]
    assert (dicom["applied"], fits["applied"]) == (str(file), None)
    main(["gc-tune", "--apply", "--table", "one"])
    out = capfd.readouterr().out.replace("\n", "")
    assert f"written to {file}, [collector.dicom]" in out
    assert asked[1]["settings"] == {"dicom": CollectorSetting(disabled=True)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gc-tune"], "SOURCE"),
        (["gc-tune", "-"], "standard input"),
        (["gc-tune", "--runs", "0", "x"], "--runs"),
        (["gc-tune", "--apply", "x"], "MEMX_CONFIG"),  # the tests have none
        (["gc-tune", "--extractor", "no.such:thing", __file__], "there is no module no.such"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err


def test_what_cannot_be_read_is_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["gc-tune", "--table", str(tmp_path / "missing")]) == 1
    out, err = capfd.readouterr()
    assert "unreadable: one file cannot be opened" in out
    assert err == ""
    assert main(["gc-tune", str(tmp_path)]) == 1
    assert decode(capfd.readouterr().out.encode())["results"][0]["reason"] == "there are no files"


@pytest.mark.slow
def test_the_command_finds_and_applies(tmp_path: Path) -> None:
    source, file = tmp_path / "data.bin", tmp_path / "config.toml"
    source.write_bytes(b"abc")
    environment = os.environ | {"MEMX_CONFIG": str(file)}
    name = f"{workloads.__name__}:cyclic"
    done = memx("gc-tune", "--apply", "--runs", 1, "--extractor", name, source, env=environment, timeout=110)
    assert (done.returncode, done.stderr) == (0, b"")
    (result,) = decode(done.stdout)["results"]
    setting = tomllib.loads(file.read_text())["collector"][name]
    assert setting == result["recommendation"]
    assert CollectorSetting.from_table(setting)
    done = memx("status", env=environment)
    assert decode(done.stdout)["configuration"]["collector"] == {name: setting}


def test_a_terminal_sees_how_far_it_is_and_may_interrupt(tmp_path: Path) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(b"abc")
    arguments = ("gc-tune", "--extractor", f"{workloads.__name__}:quick", source)
    status, shown = on_terminal(*arguments, when=lambda text: "runs" in text)
    assert status == 130
    assert "quick" in shown
    assert "Traceback" not in shown
