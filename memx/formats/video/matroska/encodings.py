"""Content encodings: RFC 9559, 5.1.4.1.31. What was taken off each frame, or packed, is made good."""

import bz2
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memx.formats.video.packets import NotKnown

_BLOCKS, _PRIVATE = 1, 2  # ContentEncodingScope
_ZLIB, _BZIP2, _STRIPPED = 0, 1, 3  # ContentCompAlgo
_MOST = 10_000_000
"""Bytes of a packed frame, and of what it unpacks to; FFmpeg takes no larger ones."""
_STEP = 1 << 16


@dataclass(slots=True)
class Encoding:
    """How the frames of a track are encoded."""

    lead: bytes = b""
    """What was taken off the beginning of every frame."""
    unpacker: Callable[[], Any] | None = None
    """Makes an object that unpacks a frame."""
    private: bool = False
    """Whether the codec's private data are encoded, too."""

    @classmethod
    def of(cls, entry: dict[str, Any]) -> "Encoding":
        """Of a TrackEntry. NotKnown where there are several, or frames are encrypted, or packed otherwise."""
        found = entry.get("encodings", {}).get("encoding", [])
        if not found:
            return cls()
        if len(found) > 1 or found[0].get("type"):
            raise NotKnown("frames that are encrypted, or encoded more than once")
        scope, compression = found[0].get("scope"), found[0].get("compression", {})
        scope, algorithm = _BLOCKS if scope is None else scope, compression.get("algorithm") or _ZLIB
        private = bool(scope & _PRIVATE)
        if algorithm == _STRIPPED:
            lead = compression.get("settings") or b""
            if not isinstance(lead, bytes):
                raise NotKnown("frames without a very long beginning")
            return cls(lead if scope & _BLOCKS else b"", private=private and bool(lead))
        unpackers: dict[int, Callable[[], Any]] = {_ZLIB: zlib.decompressobj, _BZIP2: bz2.BZ2Decompressor}
        unpacker = unpackers.get(algorithm)
        if unpacker is None:
            raise NotKnown("frames that are packed in a rare way")
        if not scope & _BLOCKS:
            raise NotKnown("private data that are packed alone")
        return cls(unpacker=unpacker, private=private)

    def unpacked(self, data: bytes, keep: int) -> tuple[bytes, int] | None:
        """The first `keep` bytes of a packed frame and its size; None where it cannot be unpacked."""
        assert self.unpacker is not None  # what the caller has seen to
        if not data or len(data) >= _MOST:
            return None
        worker, head, size = self.unpacker(), b"", 0
        try:
            while not worker.eof:
                part = worker.decompress(data, _STEP)
                data = getattr(worker, "unconsumed_tail", b"")
                if not part:
                    return None
                size += len(part)
                if len(head) < keep:
                    head += part[: keep - len(head)]
                if size >= _MOST:
                    return None
        except (zlib.error, OSError, ValueError):
            return None
        return head, size
