"""How much memory may be used."""


def available_memory() -> int:
    """Bytes that this process may still take, by the least of all limits."""
    with open("/proc/meminfo", "rb") as file:
        for line in file:
            if line.startswith(b"MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 1 << 30
