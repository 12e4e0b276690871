"""The walk through an HDF5 file by its structure: depth first, every object once, no library."""

import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, ClassVar, Literal, NamedTuple

from memx.errors import CorruptFile, MemxError, OverLimit, UnsupportedSource
from memx.formats.base import BelongsTo, ReadOptions, StreamReader, fault
from memx.formats.hdf5.alike import Alike
from memx.formats.hdf5.attributes import AttributeReader
from memx.formats.hdf5.groups import HARD, Link
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.objects import FAULTS, OBJECT_LEAST, HDF5File, Kind, broken, link_record
from memx.formats.hdf5.unknown import asked, asked_for_attributes, construct_of, judged, links_from_library, settled
from memx.records import Record, encode, text

DEPTH_MOST = 1000
"""Groups within groups; the path of each is held."""
_LINES_MOST = 64
_HELD_MOST_S = 0.05
"""So many lines, and for so long, are held back so that they leave together."""
_NETCDF_SUFFIXES = (".nc", ".nc4", ".cdf")
_NETCDF_MARKS = (b"_NCProperties", b"_nc3_strict")
_NETCDF_LOOKED_AT = 64
"""Members of the root group that are asked whether they are dimensions of netCDF."""


class _Level(NamedTuple):
    """A group on the way down, and its links that are still to come."""

    address: int
    links: Iterator[Link]


class HDF5StreamReader(StreamReader):
    """`group`, `dataset`, `datatype` and `link` records.

    Every object gives one record, found by the address of its header (`address`); a further hard link to it is a
    `link` whose `target` is the path of that record. Soft links are not followed; external files, and the sources
    of virtual data sets, are not opened. Groups nest at most DEPTH_MOST deep.
    """

    format = "hdf5"
    access: ClassVar[Literal["forward", "seek", "path"]] = "seek"

    def open(self) -> dict[str, Any]:
        self._file = file = open_file(self)
        if self.options.format is None and looks_like_netcdf(file, self.source.path, self.options):
            raise BelongsTo("netcdf4")
        self._attributes = AttributeReader(file.values, file.shared, self.options.max_value_bytes)
        self._alike = Alike(file, self._attributes)
        self._seen: dict[int, str] = {}  # the paths of objects with more than one hard link, by address
        self._path: list[str] = []
        self._above = "/"  # how the paths of the members of the group at the end of the walk begin
        self._levels: list[_Level] = []
        self._depths: dict[int, int] = {}
        self._objects_left = file.space.end // OBJECT_LEAST
        return {}

    def records(self) -> Iterator[Record]:
        try:
            yield from self._walk()
        except (CorruptFile, *FAULTS) as exc:
            raise self._file.broken_off(exc) from exc

    def blocks(self) -> Iterator[Record | bytes]:
        """The records as lines, many at a time, errors between them as records."""
        return in_blocks(self.records())

    def _walk(self) -> Iterator[Record]:
        root = self._file.root
        self._seen[root] = "/"
        yield from self._file.faults
        yield from self._top(root)
        while self._levels:
            try:
                link = next(self._levels[-1].links, None)
            except (MemxError, *FAULTS) as exc:
                error = judged(self._file, exc, self._levels[-1].address)
                if self._asked_for_links(error):
                    continue
                yield broken(f"the list of members of {self._here()}", error)
                link = None
            if link is None:
                self._leave()
            else:
                yield from self._member(link)
        raise_if_short(self._file)

    def _top(self, root: int) -> Iterable[Record]:
        """The records of the root group, without which there is nothing to read."""
        try:
            header = self._file.header(root)
        except UnsupportedSource as exc:
            told = self._settled(exc, "/", root)
            if told[0]["type"] == "error":
                raise
            return told
        return self._group("/", header)

    def _settled(self, error: Exception, path: str, address: int) -> list[Record]:
        """The records of an object of whose header memx's reader says `error`; a group becomes the next level."""
        told = settled(self._file, self.options, error, path, address)
        if told[0]["type"] == "error":
            return told
        self._seen[address] = path
        if told[0]["type"] == "group":
            if len(self._levels) >= DEPTH_MOST:
                return [_too_deep(path)]
            links = links_from_library(self.options, error, path, address, counted=True)
            if links is None:
                return [*told, broken(f"the list of members of {path}", error)]
            if name := path[len(self._above) :]:
                self._path.append(name)
                self._above = path + "/"
            self._depths[address] = len(self._levels)
            self._levels.append(_Level(address, links))
        return told

    def _asked_for_links(self, error: Exception) -> bool:
        """Whether the library lists, from where it raised `error` on, the group at the end of the walk."""
        address = self._levels[-1].address
        links = links_from_library(self.options, error, self._here(), address)
        if links is not None:
            self._levels[-1] = _Level(address, links)
        return links is not None

    def _leave(self) -> None:
        """Back to the group above."""
        del self._depths[self._levels.pop().address]
        del self._path[-1:]
        self._above = "/".join(("", *self._path, ""))

    def _here(self) -> str:
        return "/" + "/".join(self._path)

    def _member(self, link: Link) -> Iterable[Record]:
        """The records of one member of the group at the end of the walk; a group becomes the next level."""
        name = text(link.name)
        path = self._above + name
        if link.kind != HARD:
            return [link_record(link, path)]
        if link.name in (b"", b".") or b"/" in link.name:
            return [fault(CorruptFile.code, f"a link of {self._here()} is called {name!r}, which no link can be")]
        target = self._known(link.address)
        if target is not None:
            return [{"type": "link", "path": path, "kind": "hard", "target": target, "file": None}]
        self._count(path)
        record = self._as_others(path, link.address)
        if record is not None:
            return (record,)
        try:
            header = self._file.header(link.address)
            kind = self._file.kind(header)
            if self._file.references(header) > 1:
                self._seen[link.address] = path
        except (MemxError, *FAULTS) as exc:
            return self._settled(exc, path, link.address)
        if kind != "group":
            return self._with_attributes(kind, path, header)
        if len(self._levels) >= DEPTH_MOST:
            return [_too_deep(path)]
        self._path.append(name)
        self._above = path + "/"
        return self._group(path, header)

    def _as_others(self, path: str, address: int) -> Record | None:
        """The record of a data set that is like others before, all of it sound; else None."""
        found = self._alike.find(address)
        if found is None:
            return None
        kind = found.kind
        try:
            if kind.record is None:
                fields = self._file.dataset_fields(kind.header, self._attributes)
                kind.record = {"type": "dataset", "path": path} | fields
            record = kind.record.copy()
            record["path"] = path
            self._alike.place(found, record)
        except (MemxError, *FAULTS):
            return None
        record["address"] = address
        record["attributes"] = attributes = self._attributes.filled(kind.slots, found.values)
        return None if attributes is None or (self.options.chunks and record["chunks"]) else record

    def _known(self, address: int) -> str | None:
        """The path of an object that had its record, if it has several links, or if it lies on the way here.

        The latter without trusting the file's own count of links: a cycle has to end.
        """
        depth = self._depths.get(address)
        return self._seen.get(address) if depth is None else "/" + "/".join(self._path[:depth])

    def _count(self, path: str) -> None:
        """Ends the walk through a file whose links lead on and on, by ways that its counts of links do not tell."""
        self._objects_left -= 1
        if self._objects_left < 0:
            raise CorruptFile(f"the links lead to more objects than the file can hold, at {path[:200]}")

    def _group(self, path: str, header: ObjectHeader) -> Iterable[Record]:
        self._depths[header.address] = len(self._levels)
        self._levels.append(_Level(header.address, self._file.links(header)))
        return self._with_attributes("group", path, header)

    def _with_attributes(self, kind: Kind, path: str, header: ObjectHeader) -> Iterable[Record]:
        """The record of an object with its fields and attributes, then an `error` for each attribute's fault."""
        record: Record = {"type": kind, "path": path}
        try:
            if kind == "dataset":
                record |= self._file.dataset_fields(header, self._attributes)
            elif kind == "datatype":
                record |= self._file.datatype_fields(header)
        except (MemxError, *FAULTS) as exc:
            return settled(self._file, self.options, exc, path, header.address)
        attributes, faults = self._attributes.fields(header, path)
        if faults and (told := asked_for_attributes(self._file, self.options, faults, path, header.address)):
            return told
        if kind == "dataset" and not faults:
            self._alike.learn(header)
        record["address"] = header.address
        record |= attributes
        if self.options.chunks and record.get("chunks"):
            return chain((record, *faults), self._file.chunk_records(header, path))
        return [record, *faults]


def _too_deep(path: str) -> Record:
    return fault(OverLimit.code, f"groups nest more than {DEPTH_MOST} deep, at {path[:200]}")


def in_blocks(records: Iterator[Record]) -> Iterator[Record | bytes]:
    """`records` as lines, many at a time but none held back for long; errors between them as records."""
    lines, block = 0, bytearray()
    until = time.monotonic() + _HELD_MOST_S
    try:
        for record in records:
            told = record["type"] == "error"
            if not told:
                block += encode(record)
                lines += 1
            if block and (told or lines >= _LINES_MOST or time.monotonic() > until):
                yield bytes(block)
                lines, block = 0, bytearray()
                until = time.monotonic() + _HELD_MOST_S
            if told:
                yield record
    except MemxError:
        if block:
            yield bytes(block)
        raise
    if block:
        yield bytes(block)


def open_file(reader: StreamReader) -> HDF5File:
    """The file of a reader. A superblock of an unknown version is for the library: raises BelongsTo."""
    try:
        return HDF5File(reader.source)
    except UnsupportedSource as exc:
        if exc.offset is None:
            raise
        raise BelongsTo("hdf5-library", construct_of(exc.message)) from exc


def raise_if_short(file: HDF5File) -> None:
    """Raises TruncatedFile where the file ends before what its superblock says was allocated."""
    short = file.superblock.shortage()
    if short is not None:
        raise short


def looks_like_netcdf(file: HDF5File, path: str, options: ReadOptions) -> bool:
    """Whether an HDF5 file is netCDF-4: by netCDF's own marks, or by its name where it ends as netCDF's do.

    The marks are attributes of the root group, `_NCProperties` and `_nc3_strict`, or, in files older than
    netCDF 4.4.1, what marks a dimension of the root group (NetCDF User's Guide, netCDF-4 format).
    """
    if path.lower().endswith(_NETCDF_SUFFIXES):
        return True
    attributes = AttributeReader(file.values, file.shared, 0)
    try:
        root = file.header(file.root)
        if any(name in _NETCDF_MARKS for name in attributes.names(root)):
            return True
        for index, link in enumerate(file.links(root)):
            if index == _NETCDF_LOOKED_AT:
                break
            if link.kind == HARD:
                header = file.header(link.address)
                if file.kind(header) == "dataset" and b"_Netcdf4Dimid" in attributes.names(header):
                    return True
    except UnsupportedSource as exc:  # it is counted in the walk
        told = asked(options, exc.message, {"path": "/", "address": file.root}, counted=True)
        return bool(told) and any(name.decode() in told[0]["attributes"] for name in _NETCDF_MARKS)
    except (MemxError, *FAULTS):
        pass  # the walk will say what is wrong
    return False
