"""Extractors of which it is known what setting of the collector suits them, and some that harm their process."""

import hashlib
import os
import time


class _Node:
    """Keeps itself, and a payload, until the collector comes."""

    __slots__ = ("me", "payload")

    def __init__(self, payload: bytearray) -> None:
        self.me, self.payload = self, payload


def acyclic(path: str) -> dict[str, int]:
    """Many small objects that all live to the end: each collection looks at them and finds nothing."""
    kept: list[list[int]] = []
    size = os.path.getsize(path)
    for _ in range(300_000):
        kept.append([size])  # noqa: PERF401 - one by one, as a parser makes them
    return {"size": size, "kept": len(kept)}


def cyclic(path: str) -> dict[str, int]:
    """Garbage in cycles that holds much: what the collector does not find in time makes the peak."""
    for _ in range(400):
        _Node(bytearray(b"x" * (1 << 17)))
    return {"size": os.path.getsize(path)}


def indifferent(path: str) -> dict[str, str]:
    """All of it is arithmetic: nothing is made that the collector counts."""
    data = os.fsencode(path)
    for _ in range(40):
        data = hashlib.sha256(data * 200).digest() * 100
    return {"digest": data[:32].hex()}


def quick(path: str) -> dict[str, int]:
    """Takes no time worth mentioning."""
    return {"size": os.path.getsize(path)}


KEPT: list[bytearray] = []


def leaking(path: str) -> dict[str, int]:
    """Keeps something of every call."""
    KEPT.append(bytearray(b"x" * (200 << 10)))
    return {"size": os.path.getsize(path)}


def quadratic(path: str) -> dict[str, int]:
    """Compares every block of the file with every other."""
    blocks = os.path.getsize(path) >> 10
    alike = 0
    for one in range(blocks):
        for other in range(blocks):
            alike += one == other
    return {"alike": alike}


def hungry(path: str) -> dict[str, int]:
    """Holds the file, and copies of it."""
    with open(path, "rb") as file:
        data = file.read()
    copies = [bytearray(data) for _ in range(8)]
    return {"size": len(copies[-1])}


def linear(path: str) -> dict[str, int]:
    """Reads the file block by block: healthy."""
    total = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 16):
            total += sum(block[::4])
    return {"total": total}


def big(path: str) -> dict[str, int]:
    """Touches as many MiB as the file says."""
    with open(path, encoding="ascii") as file:
        data = bytearray(b"x") * (int(file.read()) << 20)
    return {"size": len(data)}


def hostile(path: str) -> dict[str, int]:
    """Does to its process what the file says."""
    with open(path, encoding="utf-8") as file:
        word = file.read()
    if word == "crash":
        os._exit(3)
    if word == "hang":
        time.sleep(600)
    if word == "exit":
        raise SystemExit
    if word == "raise":
        raise RuntimeError(word)
    return {"size": len(word)}
