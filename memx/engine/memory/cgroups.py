"""Where the memory cgroups of a process lie, and what they tell.

Sources: cgroups(7), proc_pid_mountinfo(5), cgroup_namespaces(7), admin-guide/cgroup-v2.rst,
admin-guide/cgroup-v1/memory.rst of the kernel.
"""

import os
import re
from typing import NamedTuple

UNLIMITED = 1 << 62
"""A limit of so many bytes or more is none: version 1 writes the largest multiple of a page."""

_BLOCK = 1 << 16
_ESCAPE = re.compile(rb"\\([0-7]{3})")
_V2 = "cgroup-v2"
_LIMIT_FILES = {"cgroup-v1": ("memory.limit_in_bytes",), _V2: ("memory.max", "memory.high")}
_KILLS_FILE = {"cgroup-v1": "memory.oom_control", _V2: "memory.events"}
_USAGE_FILE = {"cgroup-v1": "memory.usage_in_bytes", _V2: "memory.current"}


class Cgroup(NamedTuple):
    """One folder of a cgroup hierarchy that has the memory controller; `source` is its version."""

    source: str
    folder: str

    def limits(self) -> list[tuple[str, int]]:
        """The limits by the names of their files, in bytes; `UNLIMITED` and above is none."""
        told = []
        for name in _LIMIT_FILES[self.source]:
            text = read_file(f"{self.folder}/{name}").strip()
            if text.isdigit():  # `max`, or no such file in the root of version 2
                told.append((name, int(text)))
        return told

    def used(self) -> tuple[int, int]:
        """Bytes in use without the inactive page cache, and the active page cache among them."""
        current = number(read_file(f"{self.folder}/{_USAGE_FILE[self.source]}"))
        inactive, active = self._stat(b"inactive_file ", b"active_file ")
        return max(0, current - inactive), active

    def page_cache(self) -> int:
        """Bytes of page cache charged here and below."""
        return self._stat(b"file " if self.source == _V2 else b"cache ")[0]

    def oom_kills(self) -> int:
        """How many processes the kernel killed here for want of memory; in version 2 and below too."""
        return number(field(read_file(f"{self.folder}/{_KILLS_FILE[self.source]}"), b"oom_kill "))

    def _stat(self, *names: bytes) -> list[int]:
        text = read_file(f"{self.folder}/memory.stat")
        # the sums over the children, where version 1 has them beside
        return [number(field(text, b"total_" + name) or field(text, name)) for name in names]


def locate(membership: bytes, mountinfo: bytes, root: str = "") -> tuple[Cgroup, ...]:
    """The memory cgroups that hold a process, innermost first, both versions.

    `membership` is its /proc/PID/cgroup, `mountinfo` the /proc/self/mountinfo of the reader; `root` stands
    before each mount point. Of a cgroup that no mount shows (another namespace) the nearest ancestor that
    one shows is taken: its limits hold too.
    """
    found: list[Cgroup] = []
    for line in membership.splitlines():
        parts = line.split(b":", 2)
        if len(parts) != 3:
            continue
        unified = parts[0] == b"0" and not parts[1]
        if unified or b"memory" in parts[1].split(b","):
            source = _V2 if unified else "cgroup-v1"
            mounts = _mounts(mountinfo, unified)
            found.extend(Cgroup(source, folder) for folder in _ancestors(os.fsdecode(parts[2]), mounts, root))
    return tuple(cgroup for cgroup in found if os.path.exists(f"{cgroup.folder}/{_USAGE_FILE[cgroup.source]}"))


def oom_kills() -> int:
    """How many processes were killed for want of memory in the cgroups of this one; 0 where none tells."""
    here = locate(read_file("/proc/self/cgroup"), read_file("/proc/self/mountinfo"))
    return sum(cgroup.oom_kills() for cgroup in here)


def pressure_file(membership: bytes, mountinfo: bytes, root: str = "") -> str | None:
    """The `memory.pressure` nearest to a process in version 2, which is there in a hybrid tree too."""
    for line in membership.splitlines():
        if line.startswith(b"0::"):
            for folder in _ancestors(os.fsdecode(line[3:]), _mounts(mountinfo, unified=True), root):
                if os.path.exists(path := f"{folder}/memory.pressure"):
                    return path
    return None


def _mounts(mountinfo: bytes, unified: bool) -> list[tuple[str, str]]:
    """The mounts of a hierarchy: what of it is shown (its root), and where."""
    found = []
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(b" - ")
        fields, types = before.split(), after.split()
        if not separator or len(fields) < 5 or len(types) < 3:
            continue
        if types[0] == (b"cgroup2" if unified else b"cgroup") and (unified or b"memory" in types[2].split(b",")):
            found.append((_unescape(fields[3]), _unescape(fields[4])))
    return found


def _ancestors(path: str, mounts: list[tuple[str, str]], root: str) -> list[str]:
    """The folder of the cgroup `path` and of each ancestor that is mounted, innermost first."""
    shown: list[tuple[str, str]] = []
    hidden: list[tuple[str, str]] = []
    for top, point in mounts:
        below = _below(path, top)
        (hidden if below is None else shown).append((f"{root}{point}", below or ""))
    for point, below in shown + hidden:
        folders = [point]
        for name in below.split("/"):
            if name:
                folders.append(f"{folders[-1]}/{name}")
        folders = [folder for folder in folders if os.path.isdir(folder)]
        if folders:
            return folders[::-1]
    return []


def _below(path: str, top: str) -> str | None:
    """`path` from `top` on; None where it does not lie below it.

    A path with `..` lies outside the reader's cgroup namespace (cgroup_namespaces(7)), and is not shown.
    """
    if ".." in path.split("/") or ".." in top.split("/"):
        return None
    top = top.rstrip("/")
    return path[len(top) :] if path == top or path.startswith(f"{top}/") else None


def _unescape(path: bytes) -> str:
    return os.fsdecode(_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), path))


def read_file(path: str) -> bytes:
    """What a small file of the kernel says; nothing where it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        text = os.read(descriptor, _BLOCK)
        while text and (more := os.read(descriptor, _BLOCK)):
            text += more
        return text
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def field(text: bytes, name: bytes) -> bytes:
    """The first word behind `name` at the beginning of a line; none where there is no such line."""
    at = 0 if text.startswith(name) else text.find(b"\n" + name) + 1
    if at == 0 and not text.startswith(name):
        return b""
    words = text[at + len(name) : at + len(name) + 64].split(None, 1)
    return words[0] if words else b""


def number(text: bytes) -> int:
    """The number that `text` writes, 0 where it writes none."""
    text = text.strip()
    return int(text) if text.isdigit() else 0


def kilobytes(text: bytes, name: bytes) -> int:
    """A field of /proc/meminfo or /proc/PID/status in bytes; 0 where there is none."""
    return number(field(text, name)) * 1024
