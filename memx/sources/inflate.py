"""Compressed bytes, read forward and inflated on the way: what comes out is bounded by what is asked for."""

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from memx.errors import CorruptFile, OverMemory
from memx.sources.base import Source

_BLOCK = 1 << 16
_XZ_MEMORY = 128 << 20
"""As much as xz's highest preset needs, and half of that again."""
_BROKEN = (zlib.error, lzma.LZMAError, OSError, EOFError)


class Decompressor(Protocol):
    """What bz2's and lzma's decompressors have in common; see `bz2.BZ2Decompressor`."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Zlib:
    """zlib's decompressor in the manner of bz2's and lzma's, which keep what they have not yet used."""

    def __init__(self, wbits: int) -> None:
        self._engine = zlib.decompressobj(wbits)

    @property
    def eof(self) -> bool:
        return self._engine.eof

    @property
    def needs_input(self) -> bool:
        return not self._engine.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._engine.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._engine.decompress(self._engine.unconsumed_tail + data, max(0, max_length))


_MAGIC = {"gzip": b"\x1f\x8b\x08", "bzip2": b"BZh", "xz": b"\xfd7zXZ\x00"}
_ENGINES: dict[str, Callable[[], Decompressor]] = {
    "gzip": lambda: _Zlib(31),
    "deflate": lambda: _Zlib(-15),
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY),
}


def compression(head: bytes) -> str | None:
    """The compression that `head` begins: `gzip`, `bzip2`, `xz`; None for any other bytes."""
    return next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), None)


def inflate_head(head: bytes, kind: str, length: int) -> bytes:
    """At most the first `length` bytes that `head` inflates to; none where it is broken."""
    try:
        return _ENGINES[kind]().decompress(head, length)
    except _BROKEN:
        return b""


class InflatedSource(Source):
    """A forward view of the inflated bytes of `inner`, read on from where that stands.

    `kind` is `gzip`, `bzip2` or `xz` (several members one after the other are one stream), or `deflate`
    (raw, RFC 1951). Memory does not depend on what a compressed byte expands to. `ended_early` tells at
    the end whether the compressed data broke off. Reading broken data raises CorruptFile, once, after what
    was inflated before was given.
    """

    def __init__(self, inner: Source, kind: str) -> None:
        self.path = inner.path
        self.ended_early = False
        self._inner = inner
        self._make = _ENGINES[kind]
        self._several = kind != "deflate"
        self._engine = self._make()
        self._pending = b""
        self._ahead = b""
        self._position = 0
        self._done = False
        self._broken: CorruptFile | OverMemory | None = None

    @property
    def bytes_read(self) -> int:  # type: ignore[override]
        return self._inner.bytes_read

    def read(self, length: int) -> bytes:
        return self.read_on(length, length)

    def read_on(self, least: int, most: int) -> bytes:
        parts = [self._ahead[:most]]
        self._ahead = self._ahead[most:]
        got = len(parts[0])
        while got < least and (part := self._inflate(min(most - got, _BLOCK))):
            parts.append(part)
            got += len(part)
        data = b"".join(parts)
        self._position += got
        if self._broken is not None and not data and most > 0:
            broken, self._broken = self._broken, None
            raise broken
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self._position

    def peek(self, length: int) -> bytes:
        while len(self._ahead) < length and (part := self._inflate(length - len(self._ahead))):
            self._ahead += part
        return self._ahead[:length]

    def close(self) -> None:
        self._inner.close()

    def _inflate(self, length: int) -> bytes:
        """Some inflated bytes, at most `length`; none only at the end."""
        while not self._done:
            data, hungry = b"", self._engine.needs_input
            if hungry:
                data, self._pending = self._pending or self._inner.read_on(1, _BLOCK), b""
            try:
                out = self._engine.decompress(data, length)
            except _BROKEN as exc:
                self._done = self.ended_early = True
                self._broken = _fault(exc, self._inner.tell())
                break
            if self._engine.eof:
                self._next_member()
            elif hungry and not data and not out:
                self._done = self.ended_early = True
            if out:
                return out
        return b""

    def _next_member(self) -> None:
        """Goes on to the member that follows, over zeros between the two; there may be none."""
        rest = self._engine.unused_data or self._inner.read_on(1, _BLOCK)
        while self._several and rest and not (rest := rest.lstrip(b"\0")):
            rest = self._inner.read_on(1, _BLOCK)
        if self._several and rest:
            self._engine, self._pending = self._make(), rest
        else:
            self._done = True


def _fault(error: Exception, offset: int) -> CorruptFile | OverMemory:
    if isinstance(error, lzma.LZMAError) and "limit" in str(error):
        return OverMemory(f"inflating takes more than {_XZ_MEMORY >> 20} MiB of memory", offset=offset)
    return CorruptFile(f"the compressed data is broken: {error}", offset=offset)
