"""What readers have in common that find each packet where it lies in the file, as those of AVI and Matroska do."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from memx.errors import CorruptFile
from memx.formats.base import BelongsTo, StreamReader
from memx.formats.extent import cut_off
from memx.formats.video.clock import NO_TIME
from memx.formats.video.packets import NotKnown
from memx.formats.video.probe import Presentation
from memx.records import Record, decode_all

_SECOND = 1_000_000


class DemuxedReader(StreamReader):
    """Describes the streams, tells the packets as lines, which are written where they are read, and ends."""

    format = "video"
    access: ClassVar[Literal["forward", "seek", "path"]] = "seek"
    extent: ClassVar[str]
    """FFmpeg's name of the container, as `cut_off` takes it."""

    def open(self) -> dict[str, Any]:
        """Reads the headers; the `file` line gets `container`, `start_time_s`, `duration_s`, `bit_rate`, `tags`.

        Raises BelongsTo("audio") where there is no moving picture, BelongsTo("video") where FFmpeg has to be asked,
        CorruptFile or TruncatedFile.
        """
        try:
            return self._open()
        except NotKnown as exc:
            raise BelongsTo("video", str(exc)) from exc
        except CorruptFile as exc:
            raise cut_off(self.source, self.extent) or exc from exc

    def records(self) -> Iterator[Record]:
        yield from self._descriptions()
        for block in self._blocks():
            yield from decode_all(block)
        yield from self._ending()

    def blocks(self) -> Iterator[Record | bytes]:
        yield from self._descriptions()
        yield from self._blocks()
        yield from self._ending()

    @abstractmethod
    def _open(self) -> dict[str, Any]:
        """As `open`; raises NotKnown where FFmpeg has to be asked."""

    @abstractmethod
    def _descriptions(self) -> Iterator[Record]:
        """The `stream` records, and what else stands before the packets."""

    @abstractmethod
    def _blocks(self) -> Iterator[bytes]:
        """The `packet` records as lines of JSON, many at a time."""

    @abstractmethod
    def _ending(self) -> Iterator[Record]:
        """What stands behind the packets. Raises TruncatedFile where the file ends before what it announces."""


def presented(container: str, shown: Presentation, tags: dict[str, Any]) -> dict[str, Any]:
    """What the `file` line gets."""
    return {
        "container": container,
        "start_time_s": None if shown.start == NO_TIME else shown.start / _SECOND,
        "duration_s": None if shown.duration == NO_TIME else shown.duration / _SECOND,
        "bit_rate": shown.bit_rate or None,
        "tags": tags,
    }
