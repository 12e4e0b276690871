"""`memx status`: one object, a table, a live view, alerts; and that it names the limit that binds."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memx.cli.status_view import sparkline
from memx.engine.memory.budget import Budget, Limit
from memx.engine.memory.levels import MemoryLevel
from memx.engine.memory.monitor import MemoryMonitor, ProcessReader, Reading
from memx.engine.memory.processes import largest_processes
from memx.engine.status import Alarm, StatusReader
from memx.errors import SourceNotFound
from memx.records import Record
from tests.cli.command import MEMX, memx, on_terminal, records_of, started
from tests.contract import schema_faults
from tests.engine.memory.test_budget import real_cgroup

MIB = 1 << 20
COLUMNS = (80, 160)


def test_one_object() -> None:
    done = memx("status")
    assert (done.returncode, done.stderr) == (0, b"")
    (status,) = records_of(done.stdout)
    assert schema_faults([status]) == []
    assert status["type"] == "status"
    assert status["level"] in tuple(MemoryLevel)
    assert 0 < status["available"] <= status["limit"]
    assert (status["limits"][0]["name"], status["limits"][0]["path"]) == (status["limit_name"], status["limit_path"])
    assert any(limit["source"] == "host" for limit in status["limits"])
    assert status["collector"]["kind"] in ("generational", "incremental", "free-threaded")
    assert status["uss"] < status["rss"] <= status["peak"]
    sizes = [process["rss"] for process in status["processes"]]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] >= status["rss"] - MIB


def test_json_is_what_a_pipe_gets_anyhow() -> None:
    (status,) = records_of(memx("status", "--json").stdout)
    (other,) = records_of(memx("status").stdout)
    assert status.keys() == other.keys()


def test_the_memory_of_another_process() -> None:
    code = "block = b'x' * (60 << 20); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        (status,) = records_of(memx("status", "--pid", child.pid).stdout)
        child.kill()
    assert status["pid"] == child.pid
    assert 60 * MIB < status["rss"] < 100 * MIB
    assert status["collector"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pid", "999999999"], b"there is no process 999999999"),
        (["--alert-command", "true"], b"--alert"),
        (["--alert", "alarming"], b"alarming"),
        (["--count", "0"], b"0"),
        (["--interval", "0"], b"is no time"),
        (["file"], b"takes no 'file'"),
    ],
    ids=str,
)
def test_wrong_usage(arguments: list[str], said: bytes) -> None:
    done = memx("status", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert said in done.stderr


def test_a_real_cgroup_is_named() -> None:
    folder = real_cgroup()
    if folder is None:
        pytest.skip("no memory cgroup can be made here")
    name = "memory.max" if (folder / "memory.max").exists() else "memory.limit_in_bytes"
    try:
        (folder / name).write_text(str(200 * MIB))
        enter = lambda: (folder / "cgroup.procs").write_text(str(os.getpid()))  # noqa: E731 - for preexec_fn
        (status,) = records_of(memx("status", preexec_fn=enter).stdout)
        shown = memx("status", "--table", preexec_fn=enter).stdout.decode()
    finally:
        folder.rmdir()
    assert (status["limit"], status["limit_name"]) == (200 * MIB, name)
    assert status["limit_path"] == str(folder / name)
    assert status["limit_source"] in ("cgroup-v1", "cgroup-v2")
    assert status["available"] > 100 * MIB
    version = "v1" if "limit" in name else "v2"
    assert f"of 200 MiB limited by cgroup {version}: {name} ({folder / name})" in " ".join(shown.split())


def test_a_resource_limit_is_named() -> None:
    import resource

    limit = lambda: resource.setrlimit(resource.RLIMIT_DATA, (300 * MIB, 300 * MIB))  # noqa: E731
    (status,) = records_of(memx("status", preexec_fn=limit).stdout)
    assert (status["limit_source"], status["limit_name"], status["limit"]) == ("rlimit", "RLIMIT_DATA", 300 * MIB)


# watching


@pytest.mark.slow
def test_watched_in_a_pipe() -> None:
    began = time.monotonic()
    done = memx("status", "--watch", "--interval", 0.2, "--count", 4)
    assert 0.6 <= time.monotonic() - began < 10
    assert (done.returncode, done.stderr) == (0, b"")
    records = records_of(done.stdout)
    assert [record["type"] for record in records] == ["status"] * 4
    assert schema_faults(records) == []
    assert len({record["time"] for record in records}) == 4


def test_lines_come_as_they_are_read_until_interrupted() -> None:
    with started("status", "-w", "--interval", 0.1) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    assert errors == b""
    assert all(json.loads(line)["type"] == "status" for line in [*lines, *rest.splitlines()])


def test_watching_ends_with_the_process_that_is_watched() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        watch = started("status", "-w", "--interval", 0.1, "--pid", child.pid)
        assert watch.stdout is not None
        watch.stdout.readline()
        child.kill()
        child.wait()
        with watch:
            watch.stdout.read()
    assert watch.returncode == 0


def test_reader_goes_away() -> None:
    with started("status", "-w", "--interval", 0.05) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


# on a terminal


@pytest.mark.parametrize("columns", COLUMNS)
def test_a_terminal_gets_a_table(columns: int) -> None:
    status, shown = on_terminal("status", "--no-color", columns=columns)
    lines = shown.splitlines()
    assert status == 0
    assert lines[0].split() == ["memory", lines[0].split()[1]]
    assert {"used", "available", "limited", "collector", "limit"} <= {line.split()[0] for line in lines if line.strip()}
    assert "largest processes" in shown
    assert max(map(len, lines)) <= columns
    assert "\x1b" not in shown


def test_colours_are_kept_off() -> None:
    assert "\x1b[" in on_terminal("status")[1]
    assert "\x1b[" not in on_terminal("status", environment={"NO_COLOR": "1"})[1]


def test_live_view_is_drawn_in_its_place() -> None:
    status, shown = on_terminal("status", "-w", "--no-color", "--interval", 0.1, "--count", 4)
    assert status == 0
    assert shown.count("limited by") >= 4
    assert "\x1b[" in shown
    assert "lately" in shown
    assert any(spark in shown for spark in "▁▂▃▄▅▆▇█")


def test_live_view_is_left_by_interrupt() -> None:
    status, _ = on_terminal("status", "-w", "--interval", 0.1, when=lambda text: "lately" in text)
    assert status == 130


def test_without_a_terminal_for_errors_tables_follow_each_other(tmp_path: Path) -> None:
    with open(tmp_path / "errors", "wb") as errors:
        done = subprocess.run(
            [*MEMX, "status", "--table", "-w", "--count", "2", "--interval", "0.1"],
            stdout=subprocess.PIPE,
            stderr=errors,
            check=True,
            timeout=60,
        )
    assert done.stdout.count(b"limited by") == 2
    assert (tmp_path / "errors").read_bytes() == b""


def test_sparkline() -> None:
    assert sparkline([0, 12.4, 12.5, 50, 99.9, 100]) == "▁▁▂▅██"


# alerts


def test_alerts_in_a_pipe(tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = f'cat >> {told}; echo "$MEMX_LEVEL $MEMX_BEFORE" >> {told}'
    done = memx("status", "--alert", "healthy", "--alert-command", command, "--interval", 0.1, "--count", 2)
    alert, *statuses = records_of(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert schema_faults([alert]) == []
    assert (alert["type"], alert["before"], alert["raised"]) == ("alert", None, True)
    assert [status["type"] for status in statuses] == ["status"] * 2
    sent, words = told.read_text().splitlines()
    assert json.loads(sent) == alert
    assert words.split() == [alert["level"]]


def test_without_watch_only_alerts_are_printed() -> None:
    with started("status", "--alert", "healthy", "--interval", 0.05) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert json.loads(line)["type"] == "alert"
    assert all(json.loads(line)["type"] == "alert" for line in rest.splitlines())


def test_output_of_the_alert_command_is_no_data() -> None:
    arguments = ("--alert", "healthy", "--alert-command", "echo heard", "--count", 1)
    done = memx("status", *arguments)
    assert [record["type"] for record in records_of(done.stdout)] == ["alert", "status"]
    assert done.stderr == b"heard\n"


def level(name: str) -> Record:
    members = ("time", "pid", "available", "used_percent", "rss", "limit", "limit_source", "limit_name", "limit_path")
    return {"type": "status", "level": name} | dict.fromkeys(members)


def test_alarm_tells_what_concerns_its_level() -> None:
    alarm = Alarm(MemoryLevel.HIGH)
    levels = ["healthy", "moderate", "high", "high", "critical", "high", "moderate", "healthy", "critical"]
    told = [alarm.check(level(name)) for name in levels]
    assert [alert and (alert["before"], alert["level"], alert["raised"]) for alert in told] == [
        None,
        None,
        ("moderate", "high", True),
        None,
        ("high", "critical", True),
        ("critical", "high", True),
        ("high", "moderate", False),
        None,
        ("healthy", "critical", True),
    ]


# the record alone


class Fake(ProcessReader):
    def __init__(self, *used: int) -> None:
        self._used = iter(used)

    def read(self) -> Reading:
        used = next(self._used) * MIB
        host = Limit("host", "MemAvailable", "/proc/meminfo", 1000 * MIB, 100 * MIB)
        box = Limit("cgroup-v2", "memory.high", "/box\udce9/memory.high", 100 * MIB, used)
        return Reading(used, used, 0, None, None, Budget((host, box), box))

    def uss(self) -> int | None:
        return None


def status_reader(*used: int) -> StatusReader:
    monitor = MemoryMonitor(reader=Fake(*(mebibytes for mebibytes in used for _ in range(2))))
    return StatusReader(7, monitor=monitor, processes=lambda _count: [], clock=lambda: 0.0)


def test_record_of_a_made_process() -> None:
    reader = status_reader(50, 80)
    record = reader.read()
    assert schema_faults([record]) == []
    assert (record["time"], record["pid"]) == ("1970-01-01T00:00:00.000+00:00", 7)
    assert (record["level"], record["available"], record["used_percent"]) == ("healthy", 50 * MIB, 50.0)
    assert record["limit_path"] == "/box\\xe9/memory.high"
    assert [limit["name"] for limit in record["limits"]] == ["memory.high", "MemAvailable"]
    assert reader.read()["level"] == "high"


def faked_proc(folder: Path, processes: dict[int, tuple[str, int | None, bytes]]) -> Path:
    (folder / "self").mkdir()
    (folder / "self" / "status").touch()
    for pid, (name, resident, command) in processes.items():
        (folder / str(pid)).mkdir()
        rss = "" if resident is None else f"VmRSS:\t{resident} kB\n"
        (folder / str(pid) / "status").write_text(f"Name:\t{name}\n{rss}")
        (folder / str(pid) / "comm").write_text(f"{name}\n")
        (folder / str(pid) / "cmdline").write_bytes(command)
    return folder


def test_largest_processes_of_a_faked_proc(tmp_path: Path) -> None:
    proc = faked_proc(
        tmp_path,
        {
            1: ("init", 10, b"/sbin/init\0"),
            2: ("kthreadd", None, b""),
            30: ("big", 900, b"big\0--with\0" + b"x" * 1000),
            4: ("odd", 500, b""),
        },
    )
    (proc / "99").mkdir()  # ended meanwhile
    found = largest_processes(2, str(proc))
    assert found == [
        {"pid": 30, "rss": 900 * 1024, "name": "big", "command": "big --with " + "x" * 189},
        {"pid": 4, "rss": 500 * 1024, "name": "odd", "command": None},
    ]


def test_largest_processes_where_there_is_no_proc(tmp_path: Path) -> None:
    found = largest_processes(3, str(tmp_path))
    assert len(found) == 3
    assert all(process["rss"] > 0 for process in found)


def test_process_that_is_gone() -> None:
    with pytest.raises(SourceNotFound):
        StatusReader(999_999_999).read()
