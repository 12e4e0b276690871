"""What `memx.formats.binary` says, counted again in the slowest and plainest way."""

import hashlib
import math
from collections import Counter
from pathlib import Path

from memx.records import Record


def disagreements(path: str | Path, records: list[Record], chunk_length: int = 1 << 20) -> list[str]:
    """Where `records` differ from the bytes of `path`, read as a whole."""
    data = Path(path).read_bytes()
    expected = [
        _chunk(index, at, data[at : at + chunk_length]) for index, at in enumerate(range(0, len(data), chunk_length))
    ]
    got = [record for record in records if record["type"] == "chunk"]
    faults = [f"{len(got)} chunks, not {len(expected)}"] if len(got) != len(expected) else []
    for mine, theirs in zip(got, expected, strict=False):
        if not math.isclose(mine["entropy"], theirs["entropy"], abs_tol=1e-9):
            faults.append(f"the entropy of chunk {mine['index']} is {mine['entropy']}, not {theirs['entropy']}")
        if mine | {"entropy": 0} != theirs | {"entropy": 0}:
            faults.append(f"{mine} is not {theirs}")
    digest = {"type": "digest", "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    if [record for record in records if record["type"] == "digest"] != [digest]:
        faults.append(f"the digest is not {digest}")
    return faults


def _chunk(index: int, offset: int, data: bytes) -> Record:
    shares = [count / len(data) for count in Counter(data).values()]
    bits = -sum(share * math.log2(share) for share in shares)
    return {"type": "chunk", "index": index, "offset": offset, "length": len(data), "entropy": bits}
