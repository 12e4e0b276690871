"""Filter pipelines (IV.A.2.l), and how what went through one is had back: for heaps, no data are ever read."""

import zlib
from typing import Any

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.space import unknown_version
from memx.records import text

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3
_FILTER_NAMES = {1: "deflate", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset"}


def parse_filters(body: bytes) -> list[dict[str, Any]]:
    """IV.A.2.l: the pipeline in the order in which it is applied when writing."""
    version, count = body[0], body[1]
    if version not in (1, 2):
        raise unknown_version("a filter pipeline", version)
    at = 8 if version == 1 else 2
    filters = []
    for _ in range(count):
        code = body[at] | body[at + 1] << 8
        named = version == 1 or code >= 256
        length = body[at + 2] | body[at + 3] << 8 if named else 0
        at += 4 if named else 2
        flags, values = body[at] | body[at + 1] << 8, body[at + 2] | body[at + 3] << 8
        at += 4
        name = body[at : at + length].split(b"\0", 1)[0]
        at += length + 7 & ~7 if version == 1 else length
        if at + 4 * values > len(body):
            raise CorruptFile("a filter pipeline message ends in its midst")
        parameters = [int.from_bytes(body[n : n + 4], "little") for n in range(at, at + 4 * values, 4)]
        at += 4 * (values + (values & 1 if version == 1 else 0))
        told = {"id": code, "name": _FILTER_NAMES.get(code) or text(name), "parameters": parameters}
        filters.append(told | {"optional": True} if flags & 1 else told)
    return filters


def unfiltered(data: bytes, pipeline: list[dict[str, Any]], mask: int, size: int) -> bytes:
    """The `size` bytes that `pipeline` made `data` of; bit N of `mask` says that its filter N was skipped.

    Raises CorruptFile, or UnsupportedSource for a filter that is neither deflate, shuffle nor fletcher32.
    """
    for number in reversed(range(len(pipeline))):
        if mask >> number & 1:
            continue
        code, parameters = pipeline[number]["id"], pipeline[number]["parameters"]
        if code == _DEFLATE:
            try:
                data = zlib.decompressobj().decompress(data, size + 4 * len(pipeline))  # checksums may be below
            except zlib.error as exc:
                raise CorruptFile(f"what is deflated in a heap cannot be inflated: {exc}") from exc
        elif code == _SHUFFLE:
            data = _unshuffled(data, parameters[0] if parameters else 1)
        elif code == _FLETCHER32:
            data = data[:-4]
        else:
            raise UnsupportedSource(f"the filter {pipeline[number]['name']} of a heap is not known")
    if len(data) != size:
        raise CorruptFile(f"what is filtered in a heap comes to {len(data)} bytes, not {size}")
    return data


def _unshuffled(data: bytes, width: int) -> bytes:
    """Elements of `width` bytes whose first bytes stand together, then their second ones, and so on."""
    count = len(data) // width if width else 0
    if width < 2 or count < 2:
        return data
    whole = bytearray(data)
    for byte in range(width):
        whole[byte : count * width : width] = data[byte * count : (byte + 1) * count]
    return bytes(whole)
