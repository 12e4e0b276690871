"""ISO base media files and QuickTime, read directly: see `reader`."""

from memx.formats.video.isobmff.reader import IsoStreamReader

__all__ = ["IsoStreamReader"]
