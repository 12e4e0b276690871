"""The dimensions of a netCDF-4 file.

netCDF-4 keeps a dimension as an HDF5 dimension scale; which dimensions a variable has, its hidden attribute
`_Netcdf4Coordinates` says by number, or the list of its scales by reference. Plain HDF5 has neither: then
netCDF makes up phony dimensions. (NetCDF User's Guide, "The NetCDF-4 Format"; HDF5 Dimension Scale
Specification; for what that leaves open, as netCDF-C 4.10 does.)
"""

from dataclasses import dataclass, field
from typing import Any

from memx.errors import MemxError
from memx.formats.hdf5.attributes import AttributeReader
from memx.formats.hdf5.messages import Dataspace
from memx.formats.hdf5.objects import FAULTS, HDF5File
from memx.formats.netcdf.tree import Event

NOT_A_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
"""How the NAME of a scale begins that is a dimension alone."""
_RANK_MOST = 32
_MARKS = frozenset(("CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates", "DIMENSION_LIST"))
_MARK_BYTES_MOST = 4096

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


@dataclass(slots=True)
class Scope:
    """What a group defines, and the shapes of its variables that have no dimensions."""

    dimensions: list[Dimension] = field(default_factory=list)
    shapeless: dict[tuple[Extent, ...], None] = field(default_factory=dict)


@dataclass(slots=True)
class Marks:
    """The hidden attributes by which netCDF tells what a dataset is to it."""

    held: dict[str, Any]

    @property
    def is_scale(self) -> bool:
        """Whether a dataset is a dimension scale (HDF5 Dimension Scale Specification 4.1)."""
        return self.held.get("CLASS") == "DIMENSION_SCALE"

    @property
    def is_dimension_only(self) -> bool:
        """Whether a scale is a dimension of netCDF, and no variable."""
        name = self.held.get("NAME")
        return isinstance(name, str) and name.startswith(NOT_A_VARIABLE)

    def integers(self, name: str, count: int) -> list[int] | None:
        """The integers of a hidden attribute, if it has so many."""
        value = self.held.get(name)
        numbers = [value] if isinstance(value, int) else value
        if not isinstance(numbers, list) or len(numbers) != count or not all(isinstance(n, int) for n in numbers):
            return None
        return numbers

    def attached(self, rank: int) -> list[int | None] | None:
        """The address of the last scale attached to each axis, None for an axis without; None if no axis has one."""
        lists = self.held.get("DIMENSION_LIST")
        if not isinstance(lists, list) or len(lists) != rank or rank > _RANK_MOST:
            return None
        addresses = [_address(scales[-1]) if isinstance(scales, list) and scales else None for scales in lists]
        return addresses if any(address is not None for address in addresses) else None


def _address(reference: Any) -> int | None:
    found = reference.get("address") if isinstance(reference, dict) else None
    return found if isinstance(found, int) else None


class Dimensions:
    """All dimensions of a file, learned in a first walk through it; the second then asks for those of each variable."""

    def __init__(self, file: HDF5File) -> None:
        self._file = file
        self._reader = AttributeReader(file.values, file.shared, _MARK_BYTES_MOST)
        self._scopes: dict[str, Scope] = {}
        self._by_address: dict[int, Dimension] = {}
        self._by_number: dict[int, Dimension] = {}
        self._longest: dict[int | tuple[str, int], int] = {}
        self._next = 0

    def learn(self, event: Event) -> None:
        """Takes in one step of the first walk."""
        if event.kind == "dataset":
            group = event.path[: -len(event.name) - 1] or "/"
            try:
                self._learn_dataset(group, event)
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
        """What netCDF hides in a dataset. Raises FormatError."""
        assert event.header is not None
        return Marks(self._reader.some(event.header, _MARKS))

    def extents(self, event: Event) -> tuple[Extent, ...]:
        """The axes of a dataset. Raises FormatError."""
        assert event.header is not None
        return extents_of(self._file.dataspace(event.header))

    def of_variable(self, event: Event, marks: Marks) -> list[Dimension | None]:
        """The dimensions of a dataset, one for each axis; None where a file leaves one without. Raises FormatError."""
        extents = self.extents(event)
        rank = len(extents)
        if rank == 0:
            return []
        numbers = marks.integers("_Netcdf4Coordinates", rank)
        if numbers is not None and all(number in self._by_number for number in numbers):
            return [self._by_number[number] for number in numbers]
        if event.address in self._by_address and rank == 1:
            return [self._by_address[event.address]]
        scales = marks.attached(rank)
        if scales is not None:
            return [None if scale is None else self._by_address.get(scale) for scale in scales]
        group = event.path[: -len(event.name) - 1] or "/"
        return list(self._phony(group, self._scopes.setdefault(group, Scope()), extents))

    def _learn_dataset(self, group: str, event: Event) -> None:
        extents = self.extents(event)
        if not extents:
            return
        marks = self.marks(event)
        scale = marks.is_scale
        if scale:
            self._add(group, event, extents, marks)
        numbers = marks.integers("_Netcdf4Coordinates", len(extents))
        scales = None if scale or numbers is not None else marks.attached(len(extents))
        if not scale and numbers is None and scales is None:
            self._scopes.setdefault(group, Scope()).shapeless[extents] = None
        elif not (scale and marks.is_dimension_only):
            keys = [("number", n) for n in numbers] if numbers is not None else scales or [event.address]
            for (length, grows), key in zip(extents, keys, strict=False):
                if grows and key is not None:
                    self._longest[key] = max(length, self._longest.get(key, 0))

    def _add(self, group: str, event: Event, extents: tuple[Extent, ...], marks: Marks) -> None:
        stated = marks.integers("_Netcdf4Dimid", 1)
        number = self._next if stated is None else stated[0]
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


def extents_of(space: Dataspace) -> tuple[Extent, ...]:
    """The axes of a dataspace; none for a scalar and for a null one."""
    return tuple((extent, most is None) for extent, most in zip(space.shape or (), space.longest or (), strict=True))
