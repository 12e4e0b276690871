"""Starting and ending."""

from tests.bench.row import MIB, Peer, Row

ROWS = (
    Row(
        "startup",
        "memx --version",
        None,
        "--version",
        (Peer("exiftool -ver", 1.0, "libimage-exiftool-perl"),),
        peak=20 * MIB,
    ),
)
