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
