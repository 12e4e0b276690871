"""Sizes as people write them: powers of 1024, `64K`, `2G`, `1.5MiB`."""

import re

from memx.errors import UsageError

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:([KMGTP])(?:I?B)?|B)?", re.ASCII | re.IGNORECASE)


def parse_size(text: str) -> int:
    """The bytes that `text` names: `65536`, `64K`, `64KiB`, `2G`.

    Raises UsageError where it names none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no size: write bytes or a power of 1024, like 65536, 64K, 64M or 2GiB")
    number, power = match[1], _POWERS[(match[2] or "").upper()]
    return int(number) << 10 * power if number.isdigit() else round(float(number) * (1 << 10 * power))


def format_size(size: float) -> str:
    """`size` bytes in at most four digits and a binary unit: `1.5 MiB`."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if abs(size) < 1023.95 or unit == "PiB" or (unit == "B" and abs(size) < 1024):
            return f"{size:.0f} {unit}" if unit == "B" or size == int(size) else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("the last unit takes every size")
