"""What every test stands on: a frozen terminal, oracles that are named when they are missing, and a world
that a test leaves as it found it.
"""

import gc
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

REQUIRE_ORACLES = "MEMX_REQUIRE_ORACLES"
"""Where this variable is 1, a test whose oracle is missing fails instead of being skipped."""

_TERMINAL = {
    "COLUMNS": "80",
    "LINES": "24",
    "NO_COLOR": "1",
    "TERM": "dumb",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "MEMX_CONFIG": "",
}
_UNWANTED = ("FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "MEMX_DEBUG")

os.environ.update(_TERMINAL)
for _name in _UNWANTED:
    os.environ.pop(_name, None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # as a shell leaves it to what runs in the background: the commands under test would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    from hypothesis import settings

    settings.register_profile("memx", deadline=None, max_examples=50, derandomize=True, database=None)
    settings.load_profile("memx")


def pytest_runtest_setup(item: pytest.Item) -> None:
    tools = [tool for mark in item.iter_markers("oracle") for tool in mark.args]
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if not missing:
        return
    message = f"oracle missing: {', '.join(missing)}"
    if os.environ.get(REQUIRE_ORACLES) == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


@pytest.fixture(autouse=True)
def unchanged_world() -> Iterator[None]:
    """A test, and so every call into memx, leaves the process as it found it."""
    before = _world()
    yield
    after = _world()
    changed = [line for name in before for line in _differences(name, before[name], after[name])]
    assert not changed, "the test changed the process it ran in:\n" + "\n".join(changed)


def _world() -> dict[str, Any]:
    return {
        "gc.get_threshold": gc.get_threshold(),
        "gc.isenabled": gc.isenabled(),
        "gc.get_debug": gc.get_debug(),
        "gc.get_freeze_count": gc.get_freeze_count(),
        # Hypothesis counts the collector's time, once it has run
        "gc.callbacks": [repr(call) for call in gc.callbacks if not _module(call).startswith("hypothesis")],
        "os.environ": {name: text for name, text in os.environ.items() if name not in _NOT_OURS},
        "os.getcwd": os.getcwd(),
        "signals": {name: signal.getsignal(getattr(signal, name)) for name in _SIGNALS},
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "children": _children(),
        "descriptors": _descriptors(),
    }


def _differences(name: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, dict):
        for key in sorted(before.keys() | after.keys(), key=str):
            if before.get(key) != after.get(key):
                yield f"{name}[{key!r}]: {before.get(key)!r}, then {after.get(key)!r}"
    elif before != after:
        yield f"{name}: {before!r}, then {after!r}"


_NOT_OURS = {"PYTEST_CURRENT_TEST", "HDF5_PLUGIN_PATH"}
"""Variables of pytest, and of netCDF4, which sets its own where it is imported."""
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE", "SIGCHLD", "SIGUSR1", "SIGUSR2")


def _module(call: object) -> str:
    return getattr(call, "__module__", None) or type(call).__module__


def _children() -> list[str]:
    """The processes that this one started and that are still there, running or not yet waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []  # the quick answer, and the usual one
    import psutil

    return sorted(f"{child.pid} {child.name()}" for child in psutil.Process().children())


def _descriptors() -> dict[int, str]:
    """Every open descriptor of this process and where it leads; none where the system does not tell."""
    found: dict[int, str] = {}
    try:
        names = os.listdir("/proc/self/fd")
    except FileNotFoundError:
        return found
    for name in names:
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # the one that listed the folder
    return found
