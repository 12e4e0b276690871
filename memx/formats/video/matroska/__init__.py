"""Matroska and WebM, read by their structure."""

from memx.formats.video.matroska.reader import MatroskaStreamReader

__all__ = ["MatroskaStreamReader"]
