"""RIFF AVI, read by its structure."""

from memx.formats.video.avi.reader import AviStreamReader

__all__ = ["AviStreamReader"]
