"""Video containers: streams, chapters and packets, demuxed only.

A container that memx reads by its structure has a package of its own; `library` reads all others through FFmpeg.
"""

from typing import Any

__all__ = ["VideoStreamReader"]


def __getattr__(name: str) -> Any:
    """FFmpeg's reader, when it is asked for: the direct readers do without it (PEP 562)."""
    if name == "VideoStreamReader":
        from memx.formats.video.library import VideoStreamReader

        return VideoStreamReader
    raise AttributeError(name)
