"""Extractors that do to their process what users' code does; workers import them by name."""

import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KEPT: list[bytearray] = []


def size(path: str) -> dict[str, int]:
    """Well-behaved."""
    return {"size": Path(path).stat().st_size}


def slow(path: str) -> dict[str, int]:
    time.sleep(0.02)
    return size(path)


def reads_aloud(path: str) -> dict[str, int]:
    print("hello")
    os.write(1, b'{"type":"metadata"}\n' * 1000)
    os.write(2, b"noise\n")
    return size(path)


def crashes(_path: str) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def ends(_path: str) -> None:
    os._exit(7)


def exits(_path: str) -> None:
    sys.exit(3)


def interrupts(_path: str) -> None:
    raise KeyboardInterrupt


def raises(_path: str) -> None:
    raise ValueError("bad \x1b[31mthing")


def hangs(_path: str) -> None:
    time.sleep(600)


def spins(_path: str) -> None:
    while True:
        pass


def will_not_listen(_path: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def swallows(_path: str) -> None:
    while True:
        try:
            time.sleep(600)
        except Exception:
            pass


def forks(path: str) -> dict[str, Any]:
    """Both processes come back out of it; only one may say anything."""
    child = os.fork()
    return size(path) | {"parent": child != 0}


def leaves_a_child(path: str) -> dict[str, int]:
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    return size(path)


def leaks(path: str) -> dict[str, int]:
    KEPT.append(bytearray(b"x" * (20 << 20)))
    return size(path)


def takes_eight_gigabytes(_path: str) -> None:
    KEPT.append(bytearray(b"x" * (8 << 30)))


def takes_bit_by_bit(_path: str) -> None:
    while True:
        KEPT.append(bytearray(b"x" * (4 << 20)))


def maps_shared_memory(_path: str) -> None:
    """What RLIMIT_DATA does not count."""
    mapped = mmap.mmap(-1, 1 << 30)
    for at in range(0, 1 << 30, 1 << 20):
        mapped[at : at + (1 << 20)] = b"x" * (1 << 20)
        time.sleep(0.002)
    time.sleep(600)


def has_a_fat_child(_path: str) -> int:
    code = (
        "import time; x = [b'x' * (1 << 20) * 1 for _ in range(300)]; y = bytearray(b'x' * (600 << 20)); time.sleep(60)"
    )
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


def needs_more_than_a_part(path: str) -> dict[str, int]:
    """More than one of several workers may take, and less than one alone may."""
    held = bytearray(b"x" * (100 << 20))
    return size(path) | {"held": len(held)}


def deletes(path: str) -> dict[str, int]:
    found = size(path)
    os.unlink(path)
    return found


def returns_an_object(_path: str) -> object:
    return object()


def returns_itself(_path: str) -> list[Any]:
    ring: list[Any] = []
    ring.append(ring)
    return ring


def returns_much(_path: str) -> dict[str, str]:
    return {f"member {number}": "x" * 1000 for number in range(5000)}


def returns_odd_values(_path: str) -> dict[Any, Any]:
    import datetime

    import numpy as np

    return {
        1: float("nan"),
        "bytes": b"\xff",
        "array": np.arange(3),
        "when": datetime.date(2026, 11, 22),
        "path": Path("a"),
        "set": {5},
        "surrogate": "\udcff",
        "long": 1 << 80,
    }


def bad_on_some(path: str) -> dict[str, int]:
    """What a number in the name says: most are well-behaved."""
    number = int("".join(filter(str.isdigit, Path(path).stem)) or 0)
    misdeed = {3: crashes, 5: ends, 7: raises, 11: exits}.get(number % 13)
    if misdeed is not None:
        misdeed(path)
    return slow(path)
