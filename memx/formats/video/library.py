"""Video through PyAV, which is FFmpeg: demuxed only, no picture decoded by memx.

What the records say is what `ffprobe -show_streams -show_chapters -show_packets` says, for FFmpeg's release
inside PyAV. To tell a stream's parameters FFmpeg itself may look into its first packets, as ffprobe does.
"""

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from memx.errors import CorruptFile, MemxError, OverMemory, SourceFailed, TruncatedFile, UnsupportedSource
from memx.formats.base import BelongsTo, StreamReader
from memx.formats.extent import boxes, cut_off, without_movie
from memx.formats.signatures import is_named_as_sound, video_container
from memx.formats.video.describe import chapter_record, seconds, stream_records, tags
from memx.records import Record

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

_DEMUXERS = (
    "mov,matroska,avi,mpeg,mpegts,mpegvideo,flv,live_flv,asf,asf_o,ogg,ivf,mxf,rm,gxf,nut,yuv4mpegpipe,wtv,dv,swf"
    ",mjpeg,jpeg_pipe,mjpeg_2000,h261,h263,h264,hevc,vvc,evc,m4v,av1,obu,vc1,vc1test,dirac,cavsvideo,avs2,avs3,dnxhd"
    ",rawvideo,bink,smk,nsv,kux,r3d,mlv,flic,roq,film_cpk,thp,4xm,iv8,ipmovie,nuv,pmp,psxstr,viv,vivo,xmv,amv,usm"
)
"""What FFmpeg may open: containers that stand alone. Play lists (hls, concat, dash) would open other files."""
_OPTIONS = {
    "fflags": "-genpts",  # PyAV turns it on; ffprobe has it off
    "protocol_whitelist": "file",
    "format_whitelist": _DEMUXERS,
}
_PATTERNS = frozenset(("mpeg", "mpegvideo", "mpegts", "dv", "swf", "mjpeg"))
"""Told by a pattern that other bytes may have by chance: what FFmpeg cannot open is then just bytes."""


class VideoStreamReader(StreamReader):
    """`stream` records, then `chapter` records, then a `packet` for every packet of every stream.

    - Packets are as FFmpeg demuxes them: within a stream in ffprobe's order, with ffprobe's values, null where
      ffprobe has N/A. `corrupt` and `discard` stand only where ffprobe's flags have them.
    - Attached pictures (cover art) are `stream` records, and give no packets.
    - In a summary there are no packets, and none are demuxed.
    - A file that ends before what its container announces raises TruncatedFile behind its last packet.
    """

    format = "video"
    reader = "pyav"
    access = "path"
    _container: "InputContainer | None" = None

    def open(self) -> dict[str, Any]:
        """Opens the container; the `file` line gets `container`, `start_time_s`, `duration_s`, `bit_rate`, `tags`.

        Raises BelongsTo where there is sound and no moving picture, CorruptFile, TruncatedFile or UnsupportedSource.
        """
        import av

        head = self.source.read_at(0, 4096)
        suffix = os.path.splitext(self.source.path)[1].lower()
        self._kind = video_container(head, suffix)
        path = self.source.local_path()
        assert path is not None  # what `access` asks for
        try:
            container = av.open("file:" + path, container_options=_OPTIONS, metadata_errors="backslashreplace")
        except (av.error.FFmpegError, ValueError, RuntimeError, MemoryError) as exc:
            raise self._unopened(exc, head, suffix) from exc
        self._container = container
        kinds = {stream.type for stream in container.streams if not _is_attached(stream)}
        if not container.streams and self._kind not in (*_PATTERNS, "mov"):  # a movie may be without a track
            raise cut_off(self.source, self._kind or "") or CorruptFile(f"this {self._kind} container holds no stream")
        if (
            self.options.format is None
            and "video" not in kinds
            and ("audio" in kinds or is_named_as_sound(head, suffix))
        ):
            raise BelongsTo("audio")
        return {
            "container": container.format.name,
            "start_time_s": seconds(container.start_time, _MICROSECOND),
            "duration_s": seconds(container.duration, _MICROSECOND),
            "bit_rate": container.bit_rate or None,
            "tags": tags(container.metadata, self.options.max_value_bytes),
        }

    def records(self) -> Iterator[Record]:
        import av

        container = self._container
        if container is None:
            return
        limit = self.options.max_value_bytes
        yield from stream_records(container, limit)
        for chapter in container.chapters():
            yield chapter_record(chapter, limit)
        last: Record = {}
        try:
            for last in () if self.options.summary else _packets(container):
                yield last
        except (av.error.FFmpegError, ValueError, RuntimeError, MemoryError) as exc:
            raise self._cut_off(last) or self._broken(exc) from exc
        except IndexError as exc:  # PyAV knows no stream that FFmpeg met on the way
            message = f"a stream of this {self._kind} container is announced only behind its head; it is left out"
            raise self._cut_off(last) or CorruptFile(message) from exc
        if (cut := self._cut_off(last)) is not None:
            raise cut

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None
        super().close()

    def _unopened(self, error: Exception, head: bytes, suffix: str) -> Exception:
        """What to raise for a file that FFmpeg does not open."""
        if self.options.format is None:
            if is_named_as_sound(head, suffix):
                return BelongsTo("audio")
            if self._kind in _PATTERNS:
                return BelongsTo("binary")
        if isinstance(error, MemoryError):
            return self._broken(error)
        cut = cut_off(self.source, self._kind or "")
        if cut is not None:
            return cut
        if self._kind == "mov":
            return self._without_moov(error)
        if self._kind is None:
            return UnsupportedSource("FFmpeg finds no video container in these bytes")
        return self._broken(error)

    def _without_moov(self, error: Exception) -> MemxError:
        """Why a file of ISO/IEC 14496-12 that is all there does not open."""
        if any(kind == b"moov" for kind, _, _ in boxes(self.source, self.source.size or 0)):
            return self._broken(error)
        return without_movie(self.source)

    def _broken(self, error: Exception) -> MemxError:
        if isinstance(error, MemoryError):
            return OverMemory("FFmpeg was refused the memory that this file asks for")
        said = getattr(error, "strerror", None) or str(error)
        if isinstance(error, OSError) and error.errno in _SYSTEM_ERRORS:
            return SourceFailed(f"{self.source.path} cannot be read: {said.lower()}")
        return CorruptFile(f"FFmpeg cannot read on in this {self._kind or 'video'} container: {said.lower()}")

    def _cut_off(self, last: Record) -> MemxError | None:
        """The error of a file that ends early, `last` being its last packet (or empty)."""
        size, container = self.source.size or 0, self._container
        if last.get("corrupt") and self._kind != "mpegts":  # there it tells of lost packets, not of the end
            return TruncatedFile(f"the file ends at byte {size}, inside the last packet", offset=size)
        if last and self._kind == "ivf" and last["pos"] + _IVF_HEADER + last["size"] != size:
            return TruncatedFile(f"the file ends at byte {size}, inside a frame", offset=size)
        cut = cut_off(self.source, self._kind or "")
        if cut is None and container is not None and self._kind == "mov":
            for stream in container.streams:
                entries = stream.index_entries
                if entries and (end := entries[-1].pos + entries[-1].size) > size:
                    message = f"the file ends at byte {size}; the samples of stream {stream.index} reach to {end}"
                    return TruncatedFile(message, offset=size)
        return cut


_MICROSECOND = Fraction(1, 1_000_000)  # AV_TIME_BASE, of the times of a container
_IVF_HEADER = 12  # before each frame; a frame's `pos` is that of its header
_SYSTEM_ERRORS = frozenset((2, 13))  # ENOENT, EACCES; EIO is what FFmpeg says of broken data too


def _is_attached(stream: "Stream") -> bool:
    return bool(stream.disposition & 0x400)  # AV_DISPOSITION_ATTACHED_PIC


def _packets(container: "InputContainer") -> Iterator[Record]:
    """A record for every packet but those of attached pictures: the hot loop."""
    streams = [stream for stream in container.streams if not _is_attached(stream)]
    if not streams:  # PyAV would take none for all
        return
    for packet in container.demux(streams):
        pts, dts, size, pos = packet.pts, packet.dts, packet.size, packet.pos
        if not size and pos is None and dts is None and pts is None:
            continue  # PyAV ends each stream with an empty packet of its own
        record = {
            "type": "packet",
            "stream_index": packet.stream_index,
            "pts": pts,
            "dts": dts,
            "duration": packet.duration or None,
            "size": size,
            "pos": pos,
            "keyframe": packet.is_keyframe,
        }
        if packet.is_corrupt:
            record["corrupt"] = True
        if packet.is_discard:
            record["discard"] = True
        yield record
