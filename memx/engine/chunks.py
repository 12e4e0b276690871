"""How much to read at once, by the memory that there is."""

KIB = 1 << 10
MIB = 1 << 20


def chunk_size_for(available: int) -> int:
    """A power of two between 256 KiB and 8 MiB: about a 256th of what is available."""
    size = max(256 * KIB, min(10 * MIB, available // 256))
    return int(size)
