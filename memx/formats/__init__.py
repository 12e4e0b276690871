"""The formats that memx reads, and how it tells them apart: by their first bytes, never by the name alone."""

import importlib
import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from memx.errors import UsageError
from memx.formats import signatures
from memx.sources.inflate import compression, inflate_head

if TYPE_CHECKING:
    from memx.formats.base import ReadOptions, StreamReader
    from memx.sources import Origin, Source

HEAD = 4096
"""How many first bytes detection looks at."""


class Format(NamedTuple):
    """A row of `FORMATS`: a format, or one of the ways in which a format is written."""

    key: str
    """Unique among the rows; a reader's `BelongsTo` names it."""
    name: str
    """The `format` of records, and of `--format`."""
    suffixes: tuple[str, ...]
    matches: Callable[[bytes, str], bool]
    """Whether the first bytes are of this format: see `signatures`."""
    module: str
    reader: str
    """The class in `module`."""
    library: str | None = None
    """The library that may read it: then the reader runs in a process of its own."""
    inflates: bool = False
    """Whether a compressed file of this format is read through its compression."""
    imports: tuple[str, ...] = ()
    """Modules that its reader imports only when it reads, and that take address space which they never touch."""

    def load(self) -> "type[StreamReader]":
        """The reader class; its module, and the library that it needs, are imported now."""
        return _class_of(self.module, self.reader)


@cache
def _class_of(module: str, name: str) -> "type[StreamReader]":
    reader: type[StreamReader] = getattr(importlib.import_module(module), name)
    return reader


FORMATS: tuple[Format, ...] = (
    Format(
        "dicom", "dicom", (".dcm", ".dicom", ".ima"), signatures.is_dicom, "memx.formats.dicom", "DicomStreamReader"
    ),
    Format(
        "hdf5",
        "hdf5",
        (".h5", ".hdf5", ".hdf", ".he5"),
        signatures.is_hdf5,
        "memx.formats.hdf5",
        "HDF5StreamReader",
    ),
    Format(
        "netcdf",
        "netcdf",
        (".nc", ".cdf", ".nc3"),
        signatures.is_netcdf_classic,
        "memx.formats.netcdf",
        "NetCDFStreamReader",
    ),
    # netCDF-4 files bear HDF5's signature: the HDF5 reader looks inside and hands them on
    Format("netcdf4", "netcdf", (".nc", ".nc4"), signatures.is_hdf5, "memx.formats.netcdf", "NetCDF4StreamReader"),
    Format(
        "fits",
        "fits",
        (".fits", ".fit", ".fts"),
        signatures.is_fits,
        "memx.formats.fits",
        "FitsStreamReader",
        inflates=True,
    ),
    # containers that hold sound alone are handed on by the video readers
    Format(
        "isobmff",
        "video",
        (".mp4", ".m4v", ".mov"),
        signatures.is_isobmff,
        "memx.formats.video.isobmff",
        "IsoStreamReader",
    ),
    Format(
        "matroska",
        "video",
        (".mkv", ".webm", ".mk3d"),
        signatures.is_matroska,
        "memx.formats.video.matroska",
        "MatroskaStreamReader",
    ),
    Format(
        "avi",
        "video",
        (".avi",),
        signatures.is_avi,
        "memx.formats.video.avi",
        "AviStreamReader",
    ),
    Format(
        "video",
        "video",
        (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".ts"),
        signatures.is_video,
        "memx.formats.video",
        "VideoStreamReader",
        "pyav",
    ),
    # what is not uncompressed is handed on
    Format(
        "pcm",
        "audio",
        (".wav", ".aiff", ".aif", ".au", ".snd", ".caf", ".w64", ".rf64"),
        signatures.is_pcm,
        "memx.formats.audio.pcm",
        "PcmStreamReader",
        imports=("numpy",),
    ),
    Format(
        "audio",
        "audio",
        (".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".m4a", ".aac", ".w64", ".rf64"),
        signatures.is_audio,
        "memx.formats.audio",
        "AudioStreamReader",
        "soundfile",
        imports=("numpy",),
    ),
    # last, since anything is bytes
    Format(
        "binary",
        "binary",
        (".bin", ".dat", ".raw"),
        lambda _head, _suffix: True,
        "memx.formats.binary",
        "BinaryStreamReader",
        imports=("numpy",),
    ),
)
"""Every format, in the order in which they are asked."""

FALLBACKS: tuple[Format, ...] = (
    Format("hdf5-library", "hdf5", (), signatures.is_hdf5, "memx.formats.hdf5.library", "HDF5StreamReader", "h5py"),
)
"""The libraries' readers of formats that memx reads by their structure: for what that does not know."""


def format_names() -> list[str]:
    """The names of the formats, each once."""
    return list(dict.fromkeys(row.name for row in FORMATS))


def by_key(key: str) -> Format:
    """The row of `key`."""
    return next(row for row in (*FORMATS, *FALLBACKS) if row.key == key)


def detect(source: "Source", forced: str | None = None) -> Format:
    """The row of the format of `source`, from its first bytes, before anything of it was read.

    `forced` names the format that the user says it is; the bytes then only choose among its rows. Raises
    UsageError where there is no such format.
    """
    rows = FORMATS if forced is None else tuple(row for row in FORMATS if row.name == forced)
    if not rows:
        raise UsageError(f"there is no format {forced!r}: choose from {', '.join(format_names())}")
    head = source.peek(HEAD)
    suffix = os.path.splitext(source.path)[1].lower()
    kind = compression(head)
    if kind is not None:
        inside = inflate_head(head, kind, HEAD)
        for row in rows:
            if row.inflates and row.matches(inside, suffix):
                return row
    found = next((row for row in rows if row.matches(head, suffix)), rows[0])
    if found.key == "binary" and forced is None and _signature_behind_user_block(source):
        return by_key("hdf5")
    return found


def _signature_behind_user_block(source: "Source") -> bool:
    """Whether HDF5's signature stands at 4096, 8192, 16384 ...; a few reads of eight bytes."""
    if not source.seekable:
        return False
    at = HEAD
    while at < (source.size or 0):
        if source.read_at(at, 8) == signatures.HDF5_SIGNATURE:
            return True
        at *= 2
    return False


class StreamingExtractionFactory:
    """Readers by the content of a file."""

    @staticmethod
    def get_reader(origin: "Origin", options: "ReadOptions | None" = None) -> "StreamReader":
        """The opened reader of `origin`, in this process: iterate it for the records, then close it (or `with`).

        Raises SourceError, UnsupportedSource or FormatError where `origin` cannot be read at all.
        """
        from memx.formats.base import ReadOptions, open_reader
        from memx.sources import open_source

        source = open_source(origin)
        try:
            reader, _ = open_reader(source, detect(source), options or ReadOptions())
        except BaseException:
            source.close()
            raise
        reader.owns_source = True
        return reader

    @staticmethod
    def supports_streaming(origin: "Origin") -> bool:
        """Whether `origin` is of a format that has structure to stream; what is `binary` has none."""
        from memx.sources import open_source

        with open_source(origin) as source:
            return detect(source).name != "binary"
