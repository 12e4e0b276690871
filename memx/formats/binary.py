"""Bytes of no known format: entropy a chunk and one digest, in one pass through one buffer."""

import hashlib
import math
from collections.abc import Iterator

from memx.formats.base import StreamReader
from memx.records import Record
from memx.sources import Origin, open_source


def entropy(data: memoryview | bytes) -> float:
    """Shannon's entropy of the bytes of `data`, in bits a byte, 0.0 to 8.0 (Shannon 1948, section 6)."""
    if not data:
        return 0.0
    import numpy as np

    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256)
    p = counts[counts > 0] / len(data)
    return float(-(p * np.log2(p)).sum())


class BinaryStreamReader(StreamReader):
    """A `chunk` for every `chunk_length` bytes, then a `digest` of all."""

    format = "binary"

    def records(self) -> Iterator[Record]:
        source, length = self.source, self.options.chunk_length
        buffer = memoryview(bytearray(length))
        digest = hashlib.sha256()
        index = offset = 0
        while got := source.readinto(buffer):
            digest.update(buffer[:got])
            yield {"type": "chunk", "index": index, "offset": offset, "length": got, "entropy": entropy(buffer[:got])}
            index += 1
            offset += got
        yield {"type": "digest", "sha256": digest.hexdigest(), "size": offset}
