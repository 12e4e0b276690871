"""Sound through PyAV, which is FFmpeg: what it says of a file, and its samples."""

import errno
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from memx.errors import CorruptFile, OverMemory, SourceFailed
from memx.formats.audio.framing import FrameMeter
from memx.formats.base import ReadOptions, fault
from memx.records import Record

if TYPE_CHECKING:
    from fractions import Fraction

    from av import AudioFrame, AudioStream, Packet
    from av.container import InputContainer
    from numpy.typing import NDArray

BLOCK = 1 << 16
"""Samples of a channel that are measured at once."""
_ATTACHED = 0x400  # AV_DISPOSITION_ATTACHED_PIC
_NO_TIMES = (None, -(1 << 63), (1 << 63) - 1)  # AV_NOPTS_VALUE, and what it becomes
_TIME_BASE = 1_000_000  # AV_TIME_BASE, of the times of a container
_PLAY_LISTS = frozenset(("concat", "dash", "hls", "imf", "rtsp", "sap", "sdp", "webm_dash_manifest"))
"""Demuxers that would open other files than the one that is asked for."""
_GUESSING = frozenset(("aac", "ac3", "eac3", "mp3", "dts", "loas", "truehd", "mlp", "amr", "ogg", "rm", "aa", "qcp"))
"""Demuxers that guess the duration, or take it from what is there: their word is no announcement."""
_TAGS = (b"APETAGEX", b"LYRICSBEGIN", b"\0TAG")
"""Marks of tags behind the sound, which FFmpeg takes for a last packet (APEv2, Lyrics3, ID3v1)."""
_SHORT = 0.5
"""Seconds by which a stream may end before its announced end; encoders are not exact to the sample."""


class AvFile:
    """An open container: its `stream` and `chapter` records, and the frames of all its sound streams.

    Raises CorruptFile where FFmpeg cannot open it, or where it holds no sound.
    """

    reader = "pyav"

    def __init__(self, path: str, options: ReadOptions) -> None:
        import av

        self._options = options
        only = {"protocol_whitelist": "file", "format_whitelist": ",".join(av.formats_available - _PLAY_LISTS)}
        try:
            self._container: InputContainer = av.open(
                "file:" + path, container_options=only, metadata_errors="backslashreplace"
            )
        except failures() as exc:
            raise broken("FFmpeg finds no sound that it can read in this file", exc) from exc
        streams = self._container.streams
        self.shows_pictures = any(s.type == "video" and not s.disposition & _ATTACHED for s in streams)
        """Whether there is a moving picture; cover art is none."""
        self.sounds: tuple[AudioStream, ...] = streams.audio
        self.container: str = self._container.format.name

    def close(self) -> None:
        """Closing twice is no error."""
        self._container.close()

    def streams(self) -> list[Record]:
        """A `stream` record for each stream of sound; tags of the file, under those of the stream, are in each."""
        dumped = _dumped(self._container) if any(s.codec_context is None for s in self.sounds) else {}
        pictures = self._pictures()
        records = [self._stream(stream, dumped.get(stream.index, {})) for stream in self.sounds]
        return [record | ({"pictures": pictures} if pictures else {}) for record in records]

    def chapters(self) -> list[Record]:
        """A `chapter` record for each chapter; `start` and `end` are in its `time_base`."""
        records: list[Record] = []
        for chapter in self._container.chapters():
            base, tags = chapter["time_base"], self._tags(chapter["metadata"])
            times: dict[str, Any] = {}
            for name, time in (("start", chapter["start"]), ("end", chapter["end"])):
                times[name] = None if time in _NO_TIMES else time
                times[f"{name}_s"] = seconds(time, base)
            ratio = f"{base.numerator}/{base.denominator}" if base else None
            named = {"type": "chapter", "id": chapter["id"], "title": tags.get("title"), "time_base": ratio}
            records.append({**named, **times, "tags": tags})
        return records

    def frames(self, resumed: FrameMeter | None = None) -> Iterator[Record]:
        """The frames of every stream, as its packets come; `resumed` goes on with the samples that it lacks.

        A packet that cannot be decoded is an `error` record, the first of a stream at once, the others in one
        sum; so is an end before the announced one. Raises CorruptFile where the container breaks.
        """
        tracks = {sound.index: Track(sound, self._options, len(self.sounds) > 1, resumed) for sound in self.sounds}
        decodable = [sound for sound in self.sounds if sound.codec_context is not None]
        for sound in self.sounds:
            if sound not in decodable:
                yield fault("unsupported", f"FFmpeg has no decoder for stream {sound.index}")
        problem: CorruptFile | None = None
        try:
            for packet in self._packets(decodable):
                if packet.stream_index in tracks:  # attached pictures come along in some containers
                    yield from tracks[packet.stream_index].decode(packet)
        except CorruptFile as exc:
            problem = exc
        for sound in decodable:
            yield from tracks[sound.index].finish(announced=problem is None and self.container not in _GUESSING)
        # what stands behind the announced end, tags mostly, may be unreadable
        if problem is not None and not all(tracks[sound.index].reached_its_end for sound in decodable):
            raise problem

    def _packets(self, streams: "list[AudioStream]") -> "Iterator[Packet[Any]]":
        """Raises CorruptFile where FFmpeg cannot find the next packet."""
        if not streams:  # PyAV would take none for all
            return
        try:
            yield from self._container.demux(streams)
        except failures() as exc:
            raise broken("FFmpeg cannot read on in this file", exc) from exc

    def _stream(self, stream: "AudioStream", dumped: dict[str, Any]) -> Record:
        context, container = stream.codec_context, self._container
        record: Record = {"type": "stream", "index": stream.index, **_UNKNOWN, **dumped}
        if context is not None:
            record |= {
                "codec": context.codec.canonical_name,
                "sample_rate": context.sample_rate or None,
                "channels": context.layout.nb_channels or None,
                # without names of channels FFmpeg says how many there are
                "channel_layout": None if context.layout.name.endswith(" channels") else context.layout.name,
                "sample_fmt": context.format.name if context.format else None,
                "bit_rate": context.bit_rate or None,
            }
        duration = seconds(stream.duration, stream.time_base)
        record["duration_s"] = _container_seconds(container.duration) if duration is None else duration
        record["container"] = self.container
        record["tags"] = self._tags({**container.metadata, **stream.metadata})
        return record

    def _pictures(self) -> list[dict[str, Any]]:
        pictures = []
        for stream in self._container.streams:
            if stream.disposition & _ATTACHED:
                context: Any = stream.codec_context
                size = {"width": context.width, "height": context.height} if context else {}
                codec = context.codec.canonical_name if context else None
                tags = self._tags(stream.metadata)
                pictures.append({"index": stream.index, "codec": codec, **size, "tags": tags})
        return pictures

    def _tags(self, metadata: Mapping[str, str]) -> dict[str, Any]:
        return {key: kept(value, self._options.max_value_bytes) for key, value in metadata.items()}


def kept(value: str, limit: int) -> str | dict[str, Any]:
    """A tag's value, or how long it is where that is more than `limit` bytes."""
    length = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return value if length <= limit else {"bulk": True, "length": length}


def seconds(time: int | None, base: "Fraction | None") -> float | None:
    """`time`, which counts `base`, in seconds; None where there is none."""
    if time in _NO_TIMES or time is None or not base:
        return None
    return time * base.numerator / base.denominator


def _container_seconds(time: int | None) -> float | None:
    """The duration of a container in seconds."""
    return None if time in _NO_TIMES or time is None else time / _TIME_BASE


def failures() -> tuple[type[Exception], ...]:
    """What PyAV raises."""
    import av

    return (av.FFmpegError, OSError, ValueError, RuntimeError, MemoryError, LookupError)


def broken(what: str, error: object) -> CorruptFile:
    """memx's error for what PyAV or soundfile raised or said.

    Raises OverMemory or SourceFailed instead where it is not the file that is to blame.
    """
    if isinstance(error, MemoryError):
        raise OverMemory("the memory that may be used does not hold what this file needs")
    said = str(getattr(error, "strerror", None) or error).strip().rstrip(".")
    if getattr(error, "errno", None) in (errno.EIO, errno.EACCES):
        raise SourceFailed(f"the file cannot be read: {said.lower()}")
    return CorruptFile(f"{what}: {said[:1].lower()}{said[1:200]}")


class Track:
    """One stream of sound while it is decoded and measured."""

    def __init__(self, stream: "AudioStream", options: ReadOptions, named: bool, meter: FrameMeter | None) -> None:
        self._stream = stream
        self._options = options
        self._fields = {"stream_index": stream.index} if named else {}
        self._meter = meter
        self._skip = meter.samples if meter else 0
        self._blocks: list[NDArray[Any]] = []
        self._waiting = 0
        """Samples in `_blocks`."""
        self._end: float | None = None
        """Where the last decoded frame ends, in seconds of the container's time."""
        self._bad = 0

    def decode(self, packet: "Packet[Any]") -> Iterator[Record]:
        """The records that `packet` completes."""
        try:
            frames = packet.decode()
        except EOFError:  # the decoder was told of the end before
            return
        except failures() as exc:
            data = bytes(packet)
            if not any(mark in data for mark in _TAGS):
                yield from self._spoilt(str(broken("a packet cannot be decoded", exc)), packet.pos)
            return
        for frame in frames:
            yield from self._measure(frame)  # type: ignore[arg-type]  # audio streams decode to AudioFrame
        if packet.is_corrupt:
            yield from self._spoilt("a packet is damaged or cut off", packet.pos)

    def finish(self, *, announced: bool) -> Iterator[Record]:
        """The last frames, and what was wrong; `announced` says whether the container knows the duration."""
        if self._meter is not None:
            yield from self._flush()
            yield from self._meter.finish()
        if self._bad > 1:
            yield fault("corrupt", f"{self._bad - 1} more packets of stream {self._stream.index} are damaged")
        if announced and self._missing > _SHORT and not self._bad:
            duration = seconds(self._stream.duration, self._stream.time_base) or 0.0
            ends = f"the sound ends after {duration - self._missing:.3f} s of the {duration:.3f} s announced"
            yield fault("truncated", ends)

    @property
    def reached_its_end(self) -> bool:
        """Whether all that the container announces was decoded, as far as that is known."""
        return self._stream.duration is not None and self._missing <= _SHORT

    @property
    def _missing(self) -> float:
        """Seconds of the announced duration that did not come; pauses between packets count as come."""
        duration = seconds(self._stream.duration, self._stream.time_base)
        if duration is None:
            return 0.0
        begin = seconds(self._stream.start_time, self._stream.time_base) or 0.0
        measured = self._meter.samples / self._meter.sample_rate if self._meter else 0.0
        return duration - max(measured, (self._end or 0.0) - begin)

    def _measure(self, frame: "AudioFrame") -> list[Record]:
        channels = frame.layout.nb_channels
        if self._meter is None:
            self._meter = FrameMeter(
                channels,
                self._stream.codec_context.sample_rate or frame.sample_rate,
                self._options.frame_length,
                self._options.hop_length,
                fields=self._fields,
            )
        if channels != self._meter.channels:
            return list(self._spoilt(f"a packet has {channels} channels instead of {self._meter.channels}", None))
        if frame.time is not None:
            self._end = frame.time + frame.samples / frame.sample_rate
        block = samples(frame)[:, self._skip :]
        self._skip = max(0, self._skip - frame.samples)
        self._blocks.append(block)
        self._waiting += block.shape[1]
        return self._flush() if self._waiting >= BLOCK // channels else []

    def _flush(self) -> list[Record]:
        import numpy as np

        if self._meter is None or not self._waiting:
            return []
        block = np.concatenate(self._blocks, axis=1)
        if self._meter.full_scale != 1.0:
            block = block * self._meter.full_scale
        self._blocks, self._waiting = [], 0
        return self._meter.add(block)

    def _spoilt(self, message: str, offset: int | None) -> Iterator[Record]:
        self._bad += 1
        if self._bad == 1:
            yield fault("corrupt", message, offset)


def samples(frame: "AudioFrame") -> "NDArray[Any]":
    """The samples of `frame`, of shape (channels, samples), full scale 1.0 (libavutil/samplefmt.h)."""
    import numpy as np

    kind, full_scale, middle = _SAMPLE_FORMATS[frame.format.packed.name]
    count, channels = frame.samples, frame.layout.nb_channels
    if frame.format.is_planar:
        data = np.stack([np.frombuffer(memoryview(plane), kind, count) for plane in frame.planes])
    else:
        data = np.frombuffer(memoryview(frame.planes[0]), kind, count * channels).reshape(count, channels).T
    if full_scale == 1.0:
        return data
    return (data.astype(np.float64) - middle) / full_scale


_SAMPLE_FORMATS = {
    "u8": ("u1", 2.0**7, 128.0),
    "s16": ("i2", 2.0**15, 0.0),
    "s32": ("i4", 2.0**31, 0.0),
    "s64": ("i8", 2.0**63, 0.0),
    "flt": ("f4", 1.0, 0.0),
    "dbl": ("f8", 1.0, 0.0),
}
"""By the packed sample format: NumPy's type in the order of this machine, full scale and silence."""


_UNKNOWN: dict[str, Any] = {"codec": None, "sample_rate": None, "channels": None}
_DUMPED = re.compile(
    r"  Stream #0:(?P<index>\d+)[^ ]*: Audio: (?P<codec>\w+)"
    r"(?:.*?, (?P<rate>\d+) Hz)?(?:, (?:(?P<mono>mono)|(?P<stereo>stereo)|(?P<channels>\d+) channels))?"
)


def _dumped(container: Any) -> dict[int, dict[str, Any]]:
    """What PyAV does not give of streams without a decoder, from what FFmpeg prints, by the stream's index."""
    import av.logging

    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # FFmpeg gives its description to its log alone
    try:
        lines = container.dumps_format().splitlines()
    finally:
        av.logging.set_level(level)
    found: dict[int, dict[str, Any]] = {}
    for match in filter(None, map(_DUMPED.match, lines)):
        channels = 1 if match["mono"] else 2 if match["stereo"] else int(match["channels"] or 0)
        found[int(match["index"])] = {
            "codec": None if match["codec"] == "none" else match["codec"],
            "sample_rate": int(match["rate"] or 0) or None,
            "channels": channels or None,
        }
    return found
