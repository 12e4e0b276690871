"""Sound: what its streams are, and the level of each frame. No samples leave memx.

Two libraries share the work. libsndfile reads what it reads properly; FFmpeg reads the rest, and also knows
the tags of nearly everything. For WAVE and FLAC, the commonest of the large, tags are read without FFmpeg:
loading it takes 22 MB.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from memx.errors import CorruptFile, FormatError, TruncatedFile
from memx.formats.audio.chunks import cut_off
from memx.formats.audio.framing import lines_of
from memx.formats.audio.libav import AvFile
from memx.formats.audio.mpeg import behind_tags, says_its_length
from memx.formats.audio.sndfile import SndFile
from memx.formats.audio.tags import read_tags
from memx.formats.audio.tails import cut_frame
from memx.formats.base import BelongsTo, StreamReader
from memx.formats.signatures import has_sound_signature, video_container
from memx.records import Record
from memx.sources import Source

_HEAD = 4096
_SNDFILE = (
    *(b"RIFF", b"RIFX", b"RF64", b"fLaC", b"FORM", b"riff", b"caff", b".snd", b"dns.", b"NIST", b"PVF1"),
    *(b" paf", b"fap ", b"2BIT", b"Crea", b"ALaw", b"Exte"),
)
"""How files begin that libsndfile reads properly; and those of Vorbis and Opus, and MP3 that say their length."""
_LEAST = 8
"""Bytes: the header of a frame in ADTS has seven, and one of AC-3 or MPEG with its first samples more."""
_LAST_FRAMES = 2 * 1152
"""Samples by which an MP3 may be shorter than it says: decoders drop a last frame that nothing follows."""
_MOST_PADDING = 2 * 4095
"""Samples that an encoder may add, in front and behind (LAME's tag has 12 bits for each)."""


class AudioStreamReader(StreamReader):
    """A `stream` record for each stream of sound, `chapter` records, then the `frame` records.

    - `stream`: FFmpeg's names for codecs, tags and containers, whichever library reads. Attached pictures are
      named under `pictures`, and not read.
    - `frame`: all streams of sound are measured; where there are several, frames carry `stream_index`.
    - What of a file can be decoded is measured, whatever is wrong with the rest, which `error` records tell.
    """

    format = "audio"
    reader = "soundfile"
    access = "path"
    _sound: SndFile | None = None
    _other: AvFile | None = None
    _described: Sequence[Record] = ()
    """The `stream` and `chapter` records."""
    _path = ""

    def open(self) -> dict[str, Any]:
        """Decides who reads the file, and opens it.

        Raises BelongsTo where there is a moving picture, or nothing that any bytes or library call sound;
        CorruptFile or TruncatedFile where nobody can read what should be sound.
        """
        path = self.source.local_path()
        assert path is not None  # what `access` asks for
        self._path = path
        head = self.source.read_at(0, _HEAD)
        try:
            self._choose(head)
        except CorruptFile as exc:
            self.close()
            if self.options.format is None and not has_sound_signature(head) and video_container(head) is None:
                raise BelongsTo("binary") from exc
            raise _without_sound(self.source, head) or exc from exc
        if self._sound is None:
            self.reader = AvFile.reader
        return {}

    def records(self) -> Iterator[Record]:
        for part in self._parts():
            if isinstance(part, list):
                yield from part
            else:
                yield part

    def blocks(self) -> Iterator[Record | bytes]:
        for part in self._parts():
            if not isinstance(part, list):
                yield part
            elif part:
                yield lines_of(part)

    def _parts(self) -> Iterator[Record | list[Record]]:
        """The records; `frame` records as many at a time as a block completes, where libsndfile decodes."""
        yield from self._described
        if self.options.summary:
            pass  # what the head announces is all
        elif self._sound is not None:
            yield from self._measured(self._sound)
        elif self._other is not None:
            yield from self._other.frames()
        container = str(self._described[0]["container"]) if self._described else ""
        if (cut := cut_off(self.source) or cut_frame(self.source, container)) is not None:
            raise cut

    def close(self) -> None:
        for file in (self._sound, self._other):
            if file is not None:
                file.close()
        super().close()

    def _choose(self, head: bytes) -> None:
        """Opens the file with libsndfile, FFmpeg or both, and sets who reads it and what describes it."""
        tags = read_tags(self.source, self.options.max_value_bytes)
        sound = self._sound = self._try_sndfile(head)
        if sound is not None and tags is not None:
            pictures = {"pictures": tags.pictures} if tags.pictures else {}
            self._described = [{**sound.stream(), "tags": tags.tags, **pictures}]
            return
        try:
            other = self._other = AvFile(self._path, self.options)
        except CorruptFile as unknown:
            try:
                sound = self._sound = sound or SndFile(self._path, self.options)
            except CorruptFile as unread:
                raise (unread if tags is not None else unknown) from None
            self._described = [{**sound.stream(), "tags": {} if tags is None else tags.tags}]
            return
        if other.shows_pictures and self.options.format is None:
            self.close()
            raise BelongsTo("video")
        streams = other.streams()
        if not streams:
            raise CorruptFile("there is no stream of sound in this file")
        by_name = all(stream["container"] == "mp3" for stream in streams) or len(head) < _LEAST
        guessed = by_name and not has_sound_signature(head)
        if guessed and not any(stream["sample_rate"] for stream in streams):
            raise CorruptFile("FFmpeg went by the name, and found no frame of sound that holds together")
        if sound is not None and sound.announced is not None and len(streams) == 1:
            stream = sound.stream()
            if _agree(stream, streams[0]):
                known = {key: value for key, value in streams[0].items() if key not in _MEASURED and value is not None}
                self._described = [{**stream, **known}, *other.chapters()]
                return
            if not _is_mpeg(head):
                self._described = [{**stream, "tags": {}}]
                return
        if sound is not None:
            sound.close()
            self._sound = None
        self._described = [*streams, *other.chapters()]

    def _try_sndfile(self, head: bytes) -> SndFile | None:
        """The file opened by libsndfile, if it is one that libsndfile reads properly."""
        ogg = head[:4] == b"OggS" and (b"\x01vorbis" in head or b"OpusHead" in head)
        if not (head.startswith(_SNDFILE) or ogg or (_is_mpeg(head) and says_its_length(self.source))):
            return None
        try:
            return SndFile(self._path, self.options)
        except CorruptFile:
            return None

    def _measured(self, sound: SndFile) -> Iterator[Record | list[Record]]:
        """The frames that libsndfile decodes; where it loses its way in a FLAC file, FFmpeg goes on."""
        if self._other is not None:
            self._other.close()
        problem: CorruptFile | None = None
        stream = self._described[0]
        try:
            yield from sound.frames()
        except CorruptFile as exc:
            problem = exc
        if problem is not None and stream["codec"] == "flac":
            try:
                other = self._other = AvFile(self._path, self.options)
                yield from other.frames(sound.meter)
            except CorruptFile as exc:
                problem = exc
        else:
            yield sound.meter.finish()
        announced, given = sound.announced or 0, sound.meter.samples
        if announced - given > (_LAST_FRAMES if stream["codec"] in ("mp1", "mp2", "mp3") else 0):
            cut = TruncatedFile(f"the sound ends after {given} of the {announced} samples announced")
            raise cut_off(self.source) or cut from problem
        if problem is not None:
            raise problem


_MEASURED = frozenset(("sample_rate", "channels", "duration_s", "samples", "bits_per_sample", "sample_fmt"))
"""Fields of a `stream` record in which the library that decodes is right."""


def _without_sound(source: Source, head: bytes) -> FormatError | None:
    """Why nobody finds sound in a file that begins like one, where that is known."""
    if head[:3] == b"ID3":
        end, size = behind_tags(source), source.size or 0
        if end > size:
            return TruncatedFile(
                f"the file ends at byte {size}, inside its ID3 tag, which reaches to {end}", offset=size
            )
        return CorruptFile("there is an ID3 tag, and no sound behind it that can be read", offset=end)
    return cut_off(source)


def _agree(mine: Record, other: Record) -> bool:
    """Whether the `stream` records of libsndfile and FFmpeg mean the same sound.

    libsndfile may decode Opus at the rate of its input. Each can fall for bytes in an MP3 that are no frame or
    no count of frames; FFmpeg looks at more of them.
    """
    if mine["codec"] == other["codec"] == "opus":
        return True
    if any(mine[key] != other[key] for key in ("sample_rate", "channels")):
        return False
    if mine["container"] != "mp3" or other["duration_s"] is None:
        return True
    return (
        bool(mine["samples"]) and abs(mine["duration_s"] - other["duration_s"]) * mine["sample_rate"] <= _MOST_PADDING
    )


def _is_mpeg(head: bytes) -> bool:
    """Whether it may be an MPEG audio stream: frames, ID3 tags or other bytes come first."""
    return head[:3] == b"ID3" or (not head.startswith(_SNDFILE) and head[:4] != b"OggS")
