"""The classic formats of NetCDF: CDF-1, CDF-2 (64-bit offset) and CDF-5 (64-bit data), read directly.

Source: NetCDF User's Guide, "The NetCDF Classic Format Specification", with the 64-bit data format's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from memx.errors import CorruptFile, FormatError, TruncatedFile
from memx.formats.base import StreamReader, fault
from memx.formats.netcdf.header import ATTRIBUTES, DIMENSIONS, VARIABLES, VARIANTS, Header, Type
from memx.records import Record, encode_value
from memx.sources import Cursor

DIMENSIONS_MOST = 1024
"""Dimensions of one variable: NC_MAX_VAR_DIMS of netcdf.h."""
ATTRIBUTES_MOST = 1 << 19
"""Bytes of JSON that the attributes of one object may take: a record has to fit into a line."""


@dataclass(slots=True)
class _Extents:
    """What the variables before told of where their data lie."""

    fixed_end: int = 0
    """Behind the data of the last variable without the record dimension."""
    record_begin: int | None = None
    record_end: int = 0
    """Where the first record ends, without the padding of its last variable."""
    record_size: int = 0
    """Bytes of one record of all record variables."""
    record_variables: int = 0
    last_length: int = 0
    """Bytes that the last record variable really has in a record, without padding."""
    too_large: int = 0
    """Variables larger than the format allows any but the last to be."""
    too_large_records: int = 0
    lowest: int | None = None
    """Where the first data begin."""

    def data_end(self, records: int) -> int:
        """The end of the data, without the padding of the last, after which a writer may stop."""
        if self.record_begin is None or records == 0:
            return self.fixed_end
        return max(self.fixed_end, self.record_end + (records - 1) * self.record_stride)

    @property
    def record_stride(self) -> int:
        """Bytes from one record to the next: a single record variable is not padded."""
        return self.last_length if self.record_variables == 1 else self.record_size


class NetCDFStreamReader(StreamReader):
    """The root `group`, then each `dimension`, then each `variable` as its part of the header is read.

    Only the header is read, forward, so that a pipe will do; dimensions are held, since variables name them by number.
    A file that ends before its data do ends `truncated`, padding apart; on a pipe that does not show.
    """

    format = "netcdf"

    def open(self) -> dict[str, Any]:
        self._cursor = Cursor(self.source, block=1 << 15)
        magic = self._cursor.take(4)
        version = magic[3] if len(magic) == 4 and magic[:3] == b"CDF" else 0
        if version not in VARIANTS:
            raise CorruptFile("the file does not begin with the magic of a classic NetCDF file", offset=0)
        self._header = Header(self._cursor, version)
        return {"variant": VARIANTS[version]}

    def records(self) -> Iterator[Record]:
        header = self._header
        self._dimensions: list[tuple[str, int]] = []
        self._record_dimension: int | None = None
        self._extents = _Extents()
        root: Record = {"type": "group", "path": "/", "attributes": {}}
        broken: FormatError | None = None
        try:
            streaming = (1 << (64 if header.version == 5 else 32)) - 1
            stated = header.unsigned("the number of records")
            self._records: int | None = None if stated == streaming else stated
            self._read_dimensions()
            root |= self._attributes("the file")
            if self._records is None:
                self._records = self._count_records()
        except FormatError as exc:
            broken = exc
        yield root
        yield from self._dimension_records()
        if broken is not None:
            raise broken
        for number in range(header.number_of(VARIABLES, "the list of variables")):
            yield from self._variable(number)
        yield from self._misplaced()

    def _read_dimensions(self) -> None:
        header = self._header
        for number in range(header.number_of(DIMENSIONS, "the list of dimensions")):
            name = header.name(f"the name of dimension {number}")
            size = header.unsigned(f"the size of the dimension {name[:200]}")
            if size == 0 and self._record_dimension is None:
                self._record_dimension = number
            self._dimensions.append((name, size))

    def _dimension_records(self) -> Iterator[Record]:
        for number, (name, size) in enumerate(self._dimensions):
            unlimited = number == self._record_dimension
            extent = self._records if unlimited else size
            yield {"type": "dimension", "path": f"/{name}", "size": extent, "unlimited": unlimited}
            if size == 0 and not unlimited:
                yield fault(
                    CorruptFile.code, f"the dimension {name[:200]} has no length, but there is a record dimension"
                )

    def _attributes(self, what: str) -> dict[str, Any]:
        """The `attributes` field of a list of attributes; see `memx.formats.hdf5` for what is left out."""
        attributes: dict[str, Any] = {}
        count = self._header.number_of(ATTRIBUTES, f"the list of attributes of {what}")
        room = ATTRIBUTES_MOST
        for _ in range(count):
            name, value = self._header.attribute(what, self.options.max_value_bytes)
            if room >= 0:
                attributes[name] = value
                room -= len(encode_value(value)) + len(name) + 4
        cut = {"attributes_truncated": True, "attribute_count": count} if len(attributes) < count and room < 0 else {}
        return {"attributes": attributes} | cut

    def _variable(self, number: int) -> Iterator[Record]:
        header = self._header
        at = self._cursor.tell()
        name = header.name(f"the name of variable {number}")
        what = f"the variable {name[:200]}"
        rank = header.count(f"the number of dimensions of {what}")
        if rank > DIMENSIONS_MOST:
            raise CorruptFile(f"{what} has {rank} dimensions, and netCDF allows {DIMENSIONS_MOST}", offset=at)
        numbers = [header.unsigned(f"the dimensions of {what}") for _ in range(rank)]
        if any(number >= len(self._dimensions) for number in numbers):
            raise CorruptFile(f"{what} has a dimension that the file has not", offset=at)
        attributes = self._attributes(what)
        kind = header.type(f"the type of {what}")
        header.unsigned(f"the size of {what}")  # redundant, and too small for large variables by design
        begin = header.unsigned(f"the offset of {what}", wide=header.version != 1)
        dimensions = [self._dimensions[number][0] for number in numbers]
        over_records = bool(numbers) and numbers[0] == self._record_dimension
        if self._record_dimension in numbers[1:]:
            yield fault(CorruptFile.code, f"{what} has the record dimension elsewhere than first", at)
        fixed = [self._dimensions[number][1] for number in numbers[over_records:]]
        length = prod(fixed) * kind.size
        yield {
            "type": "variable",
            "path": f"/{name}",
            "dtype": kind.dtype,
            "dimensions": dimensions,
            "dimension_paths": [f"/{dimension}" for dimension in dimensions],
            "shape": [self._records, *fixed] if over_records else fixed,
            "maxshape": [None, *fixed] if over_records else fixed,
            "layout": "record" if over_records else "contiguous",
            "chunks": None,
            "filters": [],
            "offset": begin,
            "storage_size": length if not over_records else None if self._records is None else length * self._records,
        } | attributes
        if not self._place(kind, begin, length, over_records):
            yield fault(CorruptFile.code, f"the data of {what} overlap those of another variable", begin)

    def _place(self, kind: Type, begin: int, length: int, over_records: bool) -> bool:
        """Notes where the data of a variable lie; whether they are behind those of the variables before."""
        extents, padded = self._extents, length + -length % 4
        most = (1 << (31 if self._header.version == 1 else 32)) - 4 if self._header.version != 5 else (1 << 63) - 4
        extents.lowest = begin if extents.lowest is None else min(begin, extents.lowest)
        if not over_records:
            follows = begin >= extents.fixed_end
            extents.fixed_end = max(extents.fixed_end, begin + length)
            extents.too_large = 2 if extents.too_large else int(length > most)
            return follows
        follows = extents.record_begin is None or begin >= extents.record_begin + extents.record_size
        if extents.record_begin is None:
            extents.record_begin = begin
        extents.record_end = max(extents.record_end, begin + length)
        extents.record_size += padded
        extents.record_variables += 1
        extents.last_length = length
        extents.too_large_records = 2 if extents.too_large_records else int(length > most)
        return follows

    def _misplaced(self) -> Iterator[Record]:
        """What only the whole header shows: data within it, sizes that the format does not allow, data cut off."""
        extents, header_end = self._extents, self._cursor.tell()
        if extents.lowest is not None and extents.lowest < header_end:
            yield fault(CorruptFile.code, "the data of a variable begin within the header", extents.lowest)
        if extents.too_large > 1 or extents.too_large_records > 1 or (extents.too_large and extents.record_variables):
            yield fault(CorruptFile.code, "a variable that is not the last is larger than the format allows")
        size = self.source.size
        if size is not None and self._records is not None and extents.data_end(self._records) > size:
            end = extents.data_end(self._records)
            yield fault(TruncatedFile.code, f"the file has {size} bytes, but its data take {end}", size)

    def _count_records(self) -> int | None:
        """How many records a file holds whose writer left that to its size; None where the size is unknown.

        The header is read ahead, and the cursor put back, to learn where the records begin.
        """
        source = self.source
        if source.size is None or not source.seekable:
            return None
        resume = self._cursor.tell()
        self._records = 0
        try:
            for number in range(self._header.number_of(VARIABLES, "the list of variables")):
                for _ in self._variable(number):
                    pass
        except FormatError:
            return None  # the second reading tells
        finally:
            extents, self._extents, self._records = self._extents, _Extents(), None
            self._cursor.seek(resume)
        if extents.record_begin is None or extents.record_stride == 0:
            return 0
        return max(0, source.size - extents.record_begin) // extents.record_stride
