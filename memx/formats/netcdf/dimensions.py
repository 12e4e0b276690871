"""The dimensions of a netCDF-4 file.

netCDF-4 keeps a dimension as an HDF5 dimension scale; which dimensions a variable has, its hidden attribute
`_Netcdf4Coordinates` says by number, or the list of its scales by reference. Plain HDF5 has neither: then
netCDF makes up phony dimensions. (NetCDF User's Guide, "The NetCDF-4 Format"; HDF5 Dimension Scale
Specification; for what that leaves open, as netCDF-C 4.10 does.)
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from memx.errors import MemxError, UnsupportedSource
from memx.formats.base import ReadOptions
from memx.formats.hdf5.attributes import AttributeReader
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.messages import Dataspace
from memx.formats.hdf5.objects import FAULTS, HDF5File
from memx.formats.hdf5.unknown import asked, from_library
from memx.formats.netcdf.tree import Event
from memx.records import Record

NOT_A_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
"""How the NAME of a scale begins that is a dimension alone."""
_RANK_MOST = 32
_MARKS = frozenset(("CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates", "DIMENSION_LIST"))
_MARK_BYTES_MOST = 4096
_HELD_MOST = 4096
"""Of so many datasets the marks, and of so many kinds the dimensions, are held from one walk to the next."""

Extent = tuple[int, bool]
"""The length of an axis, and whether it may grow."""


@dataclass(slots=True)
class Dimension:
    """A dimension; the length of an unlimited one is that of the longest variable along it."""

    name: str
    group: str
    size: int
    unlimited: bool
    number: int

    @property
    def path(self) -> str:
        """The path of the dimension."""
        return f"{self.group.rstrip('/')}/{self.name}"


class Shape(NamedTuple):
    """The names and the paths of the dimensions of a variable, None for an axis without one; and their lengths."""

    names: list[str | None]
    paths: list[str | None]
    lengths: list[int]


@dataclass(slots=True)
class Scope:
    """What a group defines, and the shapes of its variables that have no dimensions."""

    dimensions: list[Dimension] = field(default_factory=list)
    shapeless: dict[tuple[Extent, ...], None] = field(default_factory=dict)


class Marks(NamedTuple):
    """What the hidden attributes of a dataset say that it is to netCDF; None for what they do not say."""

    is_scale: bool
    """Whether it is a dimension scale (HDF5 Dimension Scale Specification 4.1)."""
    is_dimension_only: bool
    """Whether a scale is a dimension of netCDF, and no variable."""
    number: int | None
    """The number of the dimension that it is."""
    coordinates: tuple[int, ...] | None
    """The numbers of its dimensions."""
    scales: tuple[int | None, ...] | None
    """The address of the last scale attached to each axis, None for an axis without; None if no axis has one."""


def marks_of(held: dict[str, Any]) -> Marks:
    """What the attributes `held` of a dataset say."""
    name, number = held.get("NAME"), _integers(held.get("_Netcdf4Dimid"))
    return Marks(
        held.get("CLASS") == "DIMENSION_SCALE",
        isinstance(name, str) and name.startswith(NOT_A_VARIABLE),
        number[0] if number is not None and len(number) == 1 else None,
        _integers(held.get("_Netcdf4Coordinates")),
        _attached(held.get("DIMENSION_LIST")),
    )


def _integers(value: Any) -> tuple[int, ...] | None:
    numbers = [value] if isinstance(value, int) else value
    return tuple(numbers) if isinstance(numbers, list) and all(isinstance(n, int) for n in numbers) else None


def _attached(lists: Any) -> tuple[int | None, ...] | None:
    if not isinstance(lists, list) or len(lists) > _RANK_MOST:
        return None
    addresses = tuple(_address(scales[-1]) if isinstance(scales, list) and scales else None for scales in lists)
    return addresses if any(address is not None for address in addresses) else None


def _address(reference: Any) -> int | None:
    found = reference.get("address") if isinstance(reference, dict) else None
    return found if isinstance(found, int) else None


class Dimensions:
    """All dimensions of a file, learned in a first walk through it; the second then asks for those of each variable.

    What the first found out of a dataset is held for the second, up to a bound.
    """

    def __init__(self, file: HDF5File, options: ReadOptions) -> None:
        self._file = file
        self._options = options
        self._reader = AttributeReader(file.values, file.shared, _MARK_BYTES_MOST)
        self._scopes: dict[str, Scope] = {}
        self._by_address: dict[int, Dimension] = {}
        self._by_number: dict[int, Dimension] = {}
        self._longest: dict[int | tuple[str, int], int] = {}
        self._next = 0
        self._marks: dict[int, Marks] = {}  # by the address of the dataset
        self._alike: dict[Marks, Marks] = {}
        self._resolved: dict[tuple[Marks, str, Dataspace], Shape] = {}

    def learn(self, event: Event) -> None:
        """Takes in one step of the first walk."""
        if event.kind == "dataset":
            try:
                self._learn_dataset(_group(event), event)
            except (MemxError, *FAULTS):
                pass  # the second walk says what is wrong with it
        elif event.kind == "leave" and (scope := self._scopes.get(event.path)) is not None:
            for shape in scope.shapeless:
                self._phony(event.path, scope, shape)

    def complete(self) -> None:
        """Ends the first walk: gives the unlimited dimensions their lengths."""
        for key, length in self._longest.items():
            dimension = self._by_number.get(key[1]) if isinstance(key, tuple) else self._by_address.get(key)
            if dimension is not None and dimension.unlimited:
                dimension.size = max(dimension.size, length)

    def of_group(self, path: str) -> list[Dimension]:
        """The dimensions that a group defines, in the order of their numbers."""
        scope = self._scopes.get(path)
        return [] if scope is None else sorted(scope.dimensions, key=lambda dimension: dimension.number)

    def marks(self, event: Event) -> Marks:
        """What netCDF hides in a dataset. Raises FormatError, or UnsupportedSource where the library is no help."""
        if event.header is None:
            assert event.answer is not None
            return marks_of(event.answer.records[0]["attributes"])
        found = self._marks.get(event.header.address)
        if found is None:
            found = marks_of(self._hidden(event, event.header))
            if len(self._marks) < _HELD_MOST:
                found = self._marks[event.header.address] = self._alike.setdefault(found, found)
        return found

    def _hidden(self, event: Event, header: ObjectHeader) -> dict[str, Any]:
        """The attributes that are marks, or all that the library has where one is of a kind that memx does not know."""
        try:
            return self._reader.some(header, _MARKS)
        except UnsupportedSource as exc:
            question = {"path": event.path, "address": header.address}
            told = asked(self._options, exc.message, question, counted=True)  # it is when the attributes are read
            if not told:
                raise
            attributes: dict[str, Any] = told[0]["attributes"]
            return attributes

    def _dataspace(self, event: Event) -> Dataspace:
        """The dataspace of a dataset, as the library tells of it where memx does not know its message or its header."""
        if event.header is None:
            assert event.answer is not None
            return _told_space(event.answer.records[0])
        try:
            return self._file.dataspace(event.header)
        except UnsupportedSource as exc:  # it is counted when the dataset is described
            return _told_space(from_library(self._file, self._options, exc, event.path, event.address, counted=True)[0])

    def shape(self, event: Event, marks: Marks) -> Shape:
        """The dimensions of a dataset and their lengths; worked out once for all that are alike. Raises FormatError."""
        space = self._dataspace(event)
        if marks.is_scale:
            return self._shape(event, marks, extents_of(space))
        key = marks, _group(event), space
        found = self._resolved.get(key)
        if found is None:
            if len(self._resolved) >= _HELD_MOST:
                self._resolved.clear()
            found = self._resolved[key] = self._shape(event, marks, extents_of(space))
        return found

    def _shape(self, event: Event, marks: Marks, extents: tuple[Extent, ...]) -> Shape:
        dimensions = self._of_variable(event, marks, extents)
        # a variable is as long as its dimensions are, written so far or not
        lengths = [
            extent if dimension is None else dimension.size
            for dimension, (extent, _) in zip(dimensions, extents, strict=True)
        ]
        return Shape(
            [None if dimension is None else dimension.name for dimension in dimensions],
            [None if dimension is None else dimension.path for dimension in dimensions],
            lengths,
        )

    def _of_variable(self, event: Event, marks: Marks, extents: tuple[Extent, ...]) -> list[Dimension | None]:
        """The dimensions of a dataset, one for each axis; None where a file leaves one without."""
        rank = len(extents)
        if rank == 0:
            return []
        numbers = marks.coordinates
        if numbers is not None and len(numbers) == rank and all(number in self._by_number for number in numbers):
            return [self._by_number[number] for number in numbers]
        if event.address in self._by_address and rank == 1:
            return [self._by_address[event.address]]
        if marks.scales is not None and len(marks.scales) == rank:
            return [None if scale is None else self._by_address.get(scale) for scale in marks.scales]
        group = _group(event)
        return list(self._phony(group, self._scopes.setdefault(group, Scope()), extents))

    def _learn_dataset(self, group: str, event: Event) -> None:
        extents = extents_of(self._dataspace(event))
        if not extents:
            return
        marks, rank = self.marks(event), len(extents)
        scale = marks.is_scale
        if scale:
            self._add(group, event, extents, marks)
        numbers = marks.coordinates if marks.coordinates is not None and len(marks.coordinates) == rank else None
        scales = None if scale or numbers is not None or len(marks.scales or ()) != rank else marks.scales
        if not scale and numbers is None and scales is None:
            self._scopes.setdefault(group, Scope()).shapeless[extents] = None
        elif not (scale and marks.is_dimension_only):
            keys = [("number", n) for n in numbers] if numbers is not None else scales or [event.address]
            for (length, grows), key in zip(extents, keys, strict=False):
                if grows and key is not None:
                    self._longest[key] = max(length, self._longest.get(key, 0))

    def _add(self, group: str, event: Event, extents: tuple[Extent, ...], marks: Marks) -> None:
        number = self._next if marks.number is None else marks.number
        length, grows = extents[0]
        only = marks.is_dimension_only
        dimension = Dimension(event.name, group, 0 if grows and only else length, grows, number)
        self._next = max(self._next, number + 1)
        self._by_address[event.address] = self._by_number[number] = dimension
        self._scopes.setdefault(group, Scope()).dimensions.append(dimension)

    def _phony(self, group: str, scope: Scope, extents: tuple[Extent, ...]) -> list[Dimension]:
        """Dimensions for a variable without: those of the group with the same extent, each used once, or new ones."""
        taken: list[Dimension] = []
        for length, grows in extents:
            for dimension in scope.dimensions:
                if (dimension.size, dimension.unlimited) == (length, grows) and dimension not in taken:
                    break
            else:
                dimension = Dimension(f"phony_dim_{self._next}", group, length, grows, self._next)
                self._by_number[self._next] = dimension
                self._next += 1
                scope.dimensions.append(dimension)
            taken.append(dimension)
        return taken


def _group(event: Event) -> str:
    return event.path[: -len(event.name) - 1] or "/"


def _told_space(record: Record) -> Dataspace:
    """The dataspace of the dataset of which the library says `record`."""
    shape, longest = record["shape"], record["maxshape"]
    return Dataspace(None, None) if shape is None else Dataspace(tuple(shape), tuple(longest))


def extents_of(space: Dataspace) -> tuple[Extent, ...]:
    """The axes of a dataspace; none for a scalar and for a null one."""
    return tuple((extent, most is None) for extent, most in zip(space.shape or (), space.longest or (), strict=True))
