"""What is known of a movie before its samples are walked: few numbers, and where its tables lie."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from memx.formats.video.isobmff.boxes import Space

NO_TIME = -(1 << 63)
"""A duration that nothing says; less than all others."""


@dataclass(frozen=True, slots=True)
class Table:
    """`count` entries in a box, cut to what the box holds."""

    space: Space
    at: int
    count: int


class Edit(NamedTuple):
    """An entry of an edit list: `duration` in the movie's time, `time` in the media's, -1 for nothing shown."""

    duration: int
    time: int


class Tags(dict[str, Any]):
    """Tags by name; as in FFmpeg, names that differ in case alone are the same, and the last one stands."""

    def put(self, name: str, value: Any, *, overwrite: bool = True) -> None:
        """Sets a tag, unless there is one and `overwrite` is false."""
        before = next((known for known in self if known.upper() == name.upper()), None)
        if before is not None:
            if not overwrite:
                return
            del self[before]
        self[name] = value


class Track:
    """A stream: a `trak` box, or a picture that is attached to the movie."""

    id: int = -1
    kind: str | None = "data"
    enabled: bool = False
    width: int = 0
    """Of `tkhd`, in whole pixels, as is `height`."""
    height: int = 0
    matrix: tuple[int, ...] | None = None
    """The nine numbers of the display matrix, the movie's applied, where it is not the identity."""
    aspect: tuple[int, int] = (0, 1)
    """The shape of a pixel, as far as it is known; (0, 1) is not known."""
    broken: bool = False
    """Whether its tables miss so much that FFmpeg gives it up, time scale and all."""
    time_scale: int = 0
    duration: int = NO_TIME
    """In `time_scale`."""
    attached: bool = False
    """Whether it is a picture that gives no packets."""
    discarded: bool = False
    """Whether its packets are for nobody: chapter titles, which are `chapter` records."""
    timecode_track: int = 0
    edits: tuple[Edit, ...] = ()
    # the sample description
    entries: int = 0
    entry: int | None = None
    """The one of several descriptions whose samples count; None for all of them."""
    format: bytes = b""
    """Its sample entry; that of the original where it is encrypted."""
    tag: bytes = b""
    codec: str | None = None
    encrypted: bool = False
    coded_width: int = 0
    coded_height: int = 0
    spacing: tuple[int, int] = (0, 0)
    display: tuple[int, int] = (0, 0)
    """The shape of whole pictures, where their description says it."""
    full_range: bool | None = None
    channels: int = 0
    channel_layout: str | None = None
    sample_rate: int = 0
    depth: int = 0
    config: bytes = b""
    """The codec configuration record, or MPEG-4's DecoderSpecificInfo."""
    palette: bool = False
    bit_rate: int = 0
    coded_rate: int = 0
    """Bits a second that a configuration of sound says, and FFmpeg believes before what the tables come to."""
    padding: int = 0
    """Samples in front that an encoder of sound added."""
    timecode: tuple[int, int, int, int] | None = None
    """Flags, time scale, duration of a frame and frames a second of a `tmcd` entry."""
    # uncompressed sound, and old codecs with packets of one size
    sample_size: int = 0
    samples_per_frame: int = 0
    bytes_per_frame: int = 0
    # the sample tables
    stts: Table | None = None
    ctts: Table | None = None
    stsc: Table | None = None
    stco: Table | None = None
    offset_size: int = 4
    sizes: Table | None = None
    size_bits: int = 32
    fixed_size: int = 0
    """The size of every sample, where they are alike."""
    sample_count: int = 0
    stss: Table | None = None
    sync_absent: bool = False
    """Whether there is a table of sync samples, and it is empty."""
    stps: Table | None = None
    rap: Table | None = None
    # what the tables, and fragments, come to
    frames: int = 0
    media_end: int = 0
    dts_shift: int = 0
    time_offset: int = 0
    fps_frames: int = 0
    fps_duration: int = 0
    data_size: int = 0
    pauses: bool = False
    """Whether there are samples that last no time by themselves."""
    offsets: bool = False
    """Whether samples are shown at other times than they are decoded."""
    start_time: int | None = None

    def __init__(self, index: int) -> None:
        self.index = index
        self.tags = Tags()
        self.dispositions: set[str] = set()


class TrackDefaults(NamedTuple):
    """A `trex` box: what the fragments of a track leave out."""

    description: int
    duration: int
    size: int
    flags: int


@dataclass(slots=True)
class Chapter:
    """A chapter; `end` is None where the next one, or the end of the movie, says it."""

    scale: int
    start: int
    end: int | None
    title: Any


@dataclass(slots=True)
class Movie:
    """What `moov` and the boxes beside it say."""

    isom: bool = False
    """Whether the brand is another than QuickTime's."""
    qt_compatible: bool = False
    time_scale: int = 0
    matrix: tuple[int, ...] = (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    tags: Tags = field(default_factory=Tags)
    tracks: list[Track] = field(default_factory=list)
    defaults: dict[int, TrackDefaults] = field(default_factory=dict)
    chapters: dict[int, Chapter] = field(default_factory=dict)
    chapter_tracks: tuple[int, ...] = ()
    keys: list[str | None] = field(default_factory=list)
    """The names of QuickTime metadata, from 1 on."""
    has_keys: bool = False
    bit_rates: list[int] = field(default_factory=list)
    """Of a manifest, by stream; nought where it does not say."""
    covers: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Offset and length of attached pictures, by the index of their streams."""
