"""The dimensions of a netCDF-4 file.

netCDF-4 keeps a dimension as an HDF5 dimension scale; which dimensions a variable has, its hidden attribute
`_Netcdf4Coordinates` says by number, or the list of its scales by reference. Plain HDF5 has neither: then
netCDF makes up phony dimensions. (NetCDF User's Guide, "The NetCDF-4 Format"; HDF5 Dimension Scale
Specification; for what that leaves open, as netCDF-C 4.10 does.)
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from h5py import h5a, h5g, h5r, h5s, h5t

from memx.formats.hdf5.library.handles import LIBRARY_ERRORS
from memx.formats.netcdf.tree import Event

NOT_A_VARIABLE = b"This is a netCDF dimension but not a netCDF variable"
"""How the NAME of a scale begins that is a dimension alone."""
_RANK_MOST = 32

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


class Dimensions:
    """All dimensions of a file, learned in a first walk through it; the second then asks for those of each variable."""

    def __init__(self) -> None:
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
            except LIBRARY_ERRORS:
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

    def of_variable(self, event: Event) -> list[Dimension | None]:
        """The dimensions of a dataset, one for each axis; None for an axis without. Raises LIBRARY_ERRORS."""
        extents = extents_of(event.thing)
        rank = len(extents)
        if rank == 0:
            return []
        numbers = _coordinates(event.thing, rank)
        if numbers is not None and all(number in self._by_number for number in numbers):
            return [self._by_number[number] for number in numbers]
        if event.address in self._by_address and rank == 1:
            return [self._by_address[event.address]]
        scales = _attached(event.thing, rank)
        if scales is not None:
            return [None if scale is None else self._by_address.get(scale) for scale in scales]
        group = event.path[: -len(event.name) - 1] or "/"
        return list(self._phony(group, self._scopes.setdefault(group, Scope()), extents))

    def _learn_dataset(self, group: str, event: Event) -> None:
        dataset = event.thing
        extents = extents_of(dataset)
        if not extents:
            return
        scale = is_scale(dataset)
        if scale:
            self._add(group, event, extents)
        numbers = _coordinates(dataset, len(extents))
        scales = None if scale or numbers is not None else _attached(dataset, len(extents))
        if not scale and numbers is None and scales is None:
            self._scopes.setdefault(group, Scope()).shapeless[extents] = None
        elif not (scale and is_dimension_only(dataset)):
            keys = [("number", n) for n in numbers] if numbers is not None else scales or [event.address]
            for (length, grows), key in zip(extents, keys, strict=False):
                if grows and key is not None:
                    self._longest[key] = max(length, self._longest.get(key, 0))

    def _add(self, group: str, event: Event, extents: tuple[Extent, ...]) -> None:
        number = self._number(event.thing)
        length, grows = extents[0]
        only = is_dimension_only(event.thing)
        dimension = Dimension(event.name, group, 0 if grows and only else length, grows, number)
        self._next = max(self._next, number + 1)
        self._by_address[event.address] = self._by_number[number] = dimension
        self._scopes.setdefault(group, Scope()).dimensions.append(dimension)

    def _number(self, dataset: Any) -> int:
        stated = _integers(dataset, b"_Netcdf4Dimid", 1)
        return self._next if not stated else stated[0]

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


def extents_of(dataset: Any) -> tuple[Extent, ...]:
    """The axes of a dataset; none for a scalar and for a null dataspace."""
    space = dataset.get_space()
    if space.get_simple_extent_type() != h5s.SIMPLE:
        return ()
    longest = space.get_simple_extent_dims(True)
    return tuple((extent, most == h5s.UNLIMITED) for extent, most in zip(space.shape, longest, strict=True))


def is_scale(dataset: Any) -> bool:
    """Whether a dataset is a dimension scale (HDF5 Dimension Scale Specification 4.1)."""
    return bool(h5a.exists(dataset, b"CLASS")) and _string(dataset, b"CLASS") == b"DIMENSION_SCALE"


def is_dimension_only(dataset: Any) -> bool:
    """Whether a scale is a dimension of netCDF, and no variable."""
    return bool(h5a.exists(dataset, b"NAME")) and _string(dataset, b"NAME").startswith(NOT_A_VARIABLE)


def _string(dataset: Any, name: bytes) -> bytes:
    attribute = h5a.open(dataset, name)
    if attribute.dtype.kind not in "SO" or attribute.shape not in ((), (1,)) or attribute.get_storage_size() > 4096:
        return b""
    value = np.zeros(attribute.shape, attribute.dtype)
    attribute.read(value)
    raw = value.ravel()[0]
    return raw.encode() if isinstance(raw, str) else bytes(raw) if isinstance(raw, bytes) else b""


def _integers(dataset: Any, name: bytes, count: int) -> list[int] | None:
    """The integers of a hidden attribute, if it has so many."""
    if not h5a.exists(dataset, name):
        return None
    attribute = h5a.open(dataset, name)
    value = np.zeros(attribute.shape or (), "i8") if attribute.get_storage_size() <= 4096 else np.zeros(0)
    if value.size != count:
        return None
    attribute.read(value, mtype=h5t.NATIVE_INT64)
    return [int(item) for item in value.ravel()]


def _coordinates(dataset: Any, rank: int) -> list[int] | None:
    return _integers(dataset, b"_Netcdf4Coordinates", rank)


def _attached(dataset: Any, rank: int) -> list[int | None] | None:
    """The address of the last scale attached to each axis, None for an axis without; None if no axis has one."""
    if not h5a.exists(dataset, b"DIMENSION_LIST"):
        return None
    attribute = h5a.open(dataset, b"DIMENSION_LIST")
    if attribute.shape != (rank,) or rank > _RANK_MOST or attribute.dtype.kind != "O":
        return None
    lists = np.zeros(rank, attribute.dtype)
    attribute.read(lists)
    addresses: list[int | None] = []
    for scales in lists:
        last = scales[-1] if isinstance(scales, np.ndarray) and len(scales) else None
        addresses.append(h5g.get_objinfo(h5r.dereference(last, dataset)).objno[0] if last else None)
    return addresses if any(address is not None for address in addresses) else None
