"""Video containers: streams, chapters and packets, demuxed only."""

from memx.formats.video.library import VideoStreamReader

__all__ = ["VideoStreamReader"]
