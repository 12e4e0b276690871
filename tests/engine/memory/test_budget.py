"""The budget against faked /proc and cgroup trees, and against the real ones of this machine."""

import os
import resource
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from memx.engine.memory.budget import BudgetProbe, available_memory, describe
from memx.engine.memory.cgroups import locate

GIB = 1 << 30
MIB = 1 << 20
V2_MOUNT = "30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"


class Machine:
    """A machine made of files: `probe` reads it as if it were this one."""

    def __init__(self, folder: Path, membership: str, *mounts: str) -> None:
        self.folder = folder
        self.write("proc/meminfo", "MemTotal: 16777216 kB\nMemFree: 1 kB\nMemAvailable: 8388608 kB\n")
        self.write("proc/self/status", "Name:\tpython\nVmSize:\t 409600 kB\nVmRSS:\t 102400 kB\nVmData:\t 204800 kB\n")
        self.write("proc/self/cgroup", membership)
        self.write("proc/self/mountinfo", "22 27 0:21 / /proc rw - proc proc rw\n" + "".join(f"{m}\n" for m in mounts))

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def v2(self, group: str, *, most: str = "max", high: str = "max", current: int = 0, inactive: int = 0) -> None:
        folder = f"sys/fs/cgroup{group}"
        self.write(f"{folder}/memory.max", f"{most}\n")
        self.write(f"{folder}/memory.high", f"{high}\n")
        self.write(f"{folder}/memory.current", f"{current}\n")
        self.write(f"{folder}/memory.stat", f"anon 1\nfile 77\ninactive_file {inactive}\nactive_file 9\n")

    def v1(self, group: str, *, limit: int = 9223372036854771712, usage: int = 0, inactive: int = 0) -> None:
        folder = f"sys/fs/cgroup/memory{group}"
        self.write(f"{folder}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{folder}/memory.usage_in_bytes", f"{usage}\n")
        self.write(
            f"{folder}/memory.stat", f"cache 1\ninactive_file 5\ntotal_cache 88\ntotal_inactive_file {inactive}\n"
        )

    def probe(self, **options: object) -> BudgetProbe:
        return BudgetProbe(proc=f"{self.folder}/proc", root=str(self.folder), **options)  # type: ignore[arg-type]

    def where(self, path: str) -> str:
        return f"{self.folder}/{path}"


def test_host_alone_gives_what_the_kernel_says_is_available(tmp_path: Path) -> None:
    budget = Machine(tmp_path, "0::/\n").probe().read()
    assert (budget.binding.source, budget.binding.name) == ("host", "MemAvailable")
    assert budget.available == 8 * GIB
    assert budget.used_percent == 50.0
    assert describe(budget.binding) == "the memory of the host"


def test_old_kernel_without_mem_available(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "")
    machine.write("proc/meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 20 kB\nCached: 30 kB\n")
    assert machine.probe().read().available == 150 * 1024


def test_v2_limit_counts_use_without_inactive_page_cache(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/jobs/a\n", V2_MOUNT)
    machine.v2("/jobs", current=GIB)
    machine.v2("/jobs/a", most=str(2 * GIB), current=GIB, inactive=GIB // 4)
    budget = machine.probe().read()
    assert budget.binding.path == machine.where("sys/fs/cgroup/jobs/a/memory.max")
    assert budget.available == 2 * GIB - (GIB - GIB // 4)
    assert budget.binding.reclaimable == 9
    assert describe(budget.binding) == f"memory.max of {machine.where('sys/fs/cgroup/jobs/a')}"


def test_v2_high_binds_below_max(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/a\n", V2_MOUNT)
    machine.v2("/a", most=str(2 * GIB), high=str(GIB), current=100 * MIB)
    budget = machine.probe().read()
    assert (budget.binding.name, budget.available) == ("memory.high", GIB - 100 * MIB)


def test_ancestor_binds_where_its_other_children_have_used_it_up(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/slice/service/task\n", V2_MOUNT)
    machine.v2("/slice", most=str(4 * GIB), current=4 * GIB - 50 * MIB)
    machine.v2("/slice/service")
    machine.v2("/slice/service/task", most=str(GIB), current=100 * MIB)
    budget = machine.probe().read()
    assert budget.binding.path == machine.where("sys/fs/cgroup/slice/memory.max")
    assert budget.available == 50 * MIB
    assert [limit.source for limit in budget.limits] == ["host", "cgroup-v2", "cgroup-v2"]


def test_v1_takes_the_totals_of_the_hierarchy(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "9:name=systemd:/\n4:memory:/box\n1:cpu:/\n", V1_MOUNT)
    machine.v1("")
    machine.v1("/box", limit=GIB, usage=GIB // 2, inactive=GIB // 4)
    budget = machine.probe().read()
    assert (budget.binding.source, budget.binding.name) == ("cgroup-v1", "memory.limit_in_bytes")
    assert budget.available == GIB - GIB // 4


@pytest.mark.parametrize("limit", [1 << 62, 9223372036854771712, (1 << 63) - 1])
def test_v1_limit_of_2_to_62_or_more_is_none(tmp_path: Path, limit: int) -> None:
    machine = Machine(tmp_path, "4:memory:/box\n", V1_MOUNT)
    machine.v1("/box", limit=limit)
    assert [limit.source for limit in machine.probe().read().limits] == ["host"]


def test_hybrid_tree_heeds_the_version_that_has_the_controller(tmp_path: Path) -> None:
    unified = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
    machine = Machine(tmp_path, "4:cpu,memory:/box\n0::/box\n", V1_MOUNT.replace("rw,memory", "rw,cpu,memory"), unified)
    machine.v1("/box", limit=GIB)
    machine.write("sys/fs/cgroup/unified/box/cgroup.procs", "1\n")
    probe = machine.probe()
    assert probe.read().binding.source == "cgroup-v1"
    assert {cgroup.source for cgroup in probe.cgroups} == {"cgroup-v1"}


def test_limit_changed_while_running_is_seen_at_the_next_poll(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/a\n", V2_MOUNT)
    machine.v2("/a", most=str(2 * GIB))
    probe = machine.probe()
    assert probe.read().available == 2 * GIB
    machine.v2("/a", most=str(GIB))
    assert probe.read().available == GIB
    machine.v2("/a")
    assert probe.read().binding.source == "host"


def test_process_moved_to_another_cgroup_is_followed(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/a\n", V2_MOUNT)
    machine.v2("/a", most=str(2 * GIB))
    machine.v2("/b", most=str(GIB))
    probe = machine.probe()
    assert probe.read().available == 2 * GIB
    machine.write("proc/self/cgroup", "0::/b\n")
    assert probe.read().available == GIB


def test_container_whose_mount_shows_its_own_cgroup_as_the_root(tmp_path: Path) -> None:
    mount = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory"
    machine = Machine(tmp_path, "4:memory:/docker/abc\n", mount)
    machine.v1("", limit=GIB)
    assert machine.probe().read().available == GIB


@pytest.mark.parametrize(
    ("membership", "top"),
    [
        ("0::/../../other\n", "/"),  # the process was moved out of the reader's cgroup namespace
        ("0::/\n", "/.."),  # the mount is of a namespace above
        ("0::/elsewhere\n", "/docker/abc"),  # the mount shows another part of the tree
    ],
)
def test_cgroup_that_no_mount_shows_falls_back_on_what_is_mounted(tmp_path: Path, membership: str, top: str) -> None:
    machine = Machine(tmp_path, membership, V2_MOUNT.replace(" / /sys", f" {top} /sys"))
    machine.v2("", most=str(GIB))
    machine.v2("/other", most=str(MIB))
    assert machine.probe().read().available == GIB


def test_mount_point_with_a_space_and_one_that_is_gone(tmp_path: Path) -> None:
    gone = V2_MOUNT.replace("/sys/fs/cgroup", "/gone")
    machine = Machine(tmp_path, "0::/a\n", gone, V2_MOUNT.replace("/sys/fs/cgroup", r"/my\040groups"))
    machine.write("my groups/a/memory.max", f"{GIB}\n")
    machine.write("my groups/a/memory.current", "0\n")
    assert machine.probe().read().available == GIB


def test_files_that_are_missing_or_senseless_are_no_limits(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "nonsense\n0::/a\n", "broken line", V2_MOUNT)
    machine.v2("/a", most="lots", high="", current=5)
    os.unlink(machine.where("sys/fs/cgroup/a/memory.stat"))
    assert [limit.source for limit in machine.probe().read().limits] == ["host"]
    os.unlink(machine.where("proc/self/mountinfo"))
    assert machine.probe().read().binding.source == "host"
    assert locate(b"0::/a\n", b"") == ()


def test_rlimits_count_data_and_address_space(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "")
    machine.write(
        "proc/self/limits",
        "Limit                     Soft Limit           Hard Limit           Units\n"
        f"Max data size             {300 * MIB}            unlimited            bytes\n"
        f"Max address space         unlimited            unlimited            bytes\n",
    )
    budget = machine.probe().read()
    assert (budget.binding.source, budget.binding.name) == ("rlimit", "RLIMIT_DATA")
    assert budget.available == 100 * MIB
    assert len(budget.limits) == 2


def test_max_memory_bounds_what_is_resident(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "")
    assert machine.probe(max_memory=300 * MIB).read().available == 200 * MIB
    budget = machine.probe(max_memory=300 * MIB, resident=lambda: 400 * MIB).read()
    assert (budget.available, budget.used_percent, budget.binding.name) == (0, 100.0, "--max-memory")


def test_limit_of_nothing_is_used_up(tmp_path: Path) -> None:
    budget = Machine(tmp_path, "").probe(max_memory=0).read()
    assert (budget.available, budget.used_percent) == (0, 100.0)


def test_this_machine_agrees_with_psutil() -> None:
    import psutil

    host = BudgetProbe().read().limits[0]
    memory = psutil.virtual_memory()
    assert host.limit == memory.total
    assert abs(host.available - memory.available) < 256 * MIB
    assert 0 < available_memory() <= host.available + 256 * MIB


def test_real_rlimit_of_another_process_is_found() -> None:
    code = f"import resource; resource.setrlimit(resource.RLIMIT_DATA, ({GIB}, {GIB})); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        limits = {limit.name: limit for limit in BudgetProbe(pid=child.pid).read().limits}
        child.communicate(b"\n")
    assert limits["RLIMIT_DATA"].limit == GIB
    assert 0 < limits["RLIMIT_DATA"].used < GIB


def test_real_rlimit_of_this_process() -> None:
    code = (
        "import resource; from memx.engine.memory.budget import BudgetProbe\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({GIB}, resource.RLIM_INFINITY))\n"
        "budget = BudgetProbe().read(); print(budget.binding.name, budget.binding.limit, 0 < budget.available)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["RLIMIT_AS", str(GIB), "True"]
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != GIB


def real_cgroup() -> Path | None:
    """A new memory cgroup of this machine, version 1 or 2; None where it allows none."""
    for parent in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup"):
        folder = Path(parent) / f"memx-test-{uuid.uuid4().hex[:8]}"
        try:
            folder.mkdir()
        except OSError:
            continue
        if (folder / "memory.limit_in_bytes").exists() or (folder / "memory.max").exists():
            return folder
        folder.rmdir()
    return None


def test_real_cgroup_of_this_machine() -> None:
    folder = real_cgroup()
    if folder is None:
        pytest.skip("no memory cgroup can be made here")
    name = "memory.max" if (folder / "memory.max").exists() else "memory.limit_in_bytes"
    try:
        (folder / name).write_text(str(512 * MIB))
        code = (
            "from memx.engine.memory.budget import BudgetProbe; import sys; probe = BudgetProbe(); input()\n"
            "for _ in range(2):\n"
            "    binding = probe.read().binding; print(binding.path, binding.limit, binding.used, flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            (folder / "cgroup.procs").write_text(str(child.pid))
            child.stdin.write("\n")
            child.stdin.flush()
            path, limit, used = child.stdout.readline().split()
            (folder / name).write_text(str(256 * MIB))  # while it runs
            child.stdin.write("\n")
            child.stdin.flush()
            later = child.stdout.readline().split()
            child.communicate("\n")
        assert (path, int(limit)) == (str(folder / name), 512 * MIB)
        assert 0 <= int(used) < 512 * MIB
        assert int(later[1]) == 256 * MIB
    finally:
        folder.rmdir()
