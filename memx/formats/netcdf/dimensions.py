"""The dimensions of a netCDF-4 file.

netCDF-4 keeps a dimension as an HDF5 dimension scale; which dimensions a variable has, its hidden attribute
`_Netcdf4Coordinates` says by number, or the list of its scales by reference. Plain HDF5 has neither: then
netCDF makes up phony dimensions. (NetCDF User's Guide, "The NetCDF-4 Format"; HDF5 Dimension Scale
Specification; for what that leaves open, as netCDF-C 4.10 does.)
"""

from typing import Any, NamedTuple

from memx.errors import MemxError, UnsupportedSource
from memx.formats.base import ReadOptions
from memx.formats.hdf5.alike import Kind
from memx.formats.hdf5.attributes import AttributeReader
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.messages import Dataspace
from memx.formats.hdf5.objects import FAULTS, HDF5File
from memx.formats.hdf5.unknown import asked, from_library, judged
from memx.formats.netcdf.tree import Event
from memx.records import Record

NOT_A_VARIABLE = "This is a netCDF dimension but not a netCDF variable"
"""How the NAME of a scale begins that is a dimension alone."""
_RANK_MOST = 32
MARKS = frozenset(("CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates"))
"""The hidden attributes that say what a dataset is to netCDF."""
_SCALES = "DIMENSION_LIST"
_MARK_BYTES_MOST = 4096
_HELD_MOST = 4096
"""Of so many datasets the marks, and of so many kinds the dimensions, are held from one walk to the next."""

Extent = tuple[int, bool]
"""The length of an axis, and whether it may grow."""


class Dimension:
    """A dimension; the length of an unlimited one is that of the longest variable along it."""

    __slots__ = ("group", "name", "number", "size", "unlimited")

    def __init__(self, name: str, group: str, size: int, unlimited: bool, number: int) -> None:
        self.name = name
        self.group = group
        self.size = size
        self.unlimited = unlimited
        self.number = number

    @property
    def path(self) -> str:
        """The path of the dimension."""
        return f"{self.group.rstrip('/')}/{self.name}"


class Shape(NamedTuple):
    """The names and the paths of the dimensions of a variable, None for an axis without one; and their lengths."""

    names: list[str | None]
    paths: list[str | None]
    lengths: list[int]


class Scope:
    """What a group defines, and the shapes of its variables that have no dimensions."""

    __slots__ = ("dimensions", "shapeless")

    def __init__(self) -> None:
        self.dimensions: list[Dimension] = []
        self.shapeless: dict[tuple[Extent, ...], list[Dimension]] = {}


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


class _Told:
    """What datasets of a kind have in common."""

    __slots__ = ("group", "is_learned", "marks", "shape")

    def __init__(self, marks: Marks) -> None:
        self.marks = marks
        self.is_learned = False
        """Whether the first walk knows all that they tell."""
        self.shape: Shape | None = None
        """The shape of those of the last `group`, where all have the same."""
        self.group = ""


def marks_of(held: dict[str, Any]) -> Marks:
    """What the attributes `held` of a dataset say."""
    name, number = held.get("NAME"), _integers(held.get("_Netcdf4Dimid"))
    return Marks(
        held.get("CLASS") == "DIMENSION_SCALE",
        isinstance(name, str) and name.startswith(NOT_A_VARIABLE),
        number[0] if number is not None and len(number) == 1 else None,
        _integers(held.get("_Netcdf4Coordinates")),
    )


def _integers(value: Any) -> tuple[int, ...] | None:
    numbers = [value] if isinstance(value, int) else value
    return tuple(numbers) if isinstance(numbers, list) and all(isinstance(n, int) for n in numbers) else None


Scales = tuple[int | None, ...] | None
"""The address of the last scale attached to each axis, None for an axis without; None if no axis has one."""


def _attached(lists: Any) -> Scales:
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
        self._by_address: dict[int, list[Dimension]] = {}  # several where several links lead to a scale
        self._by_number: dict[int, Dimension] = {}
        self._longest: dict[int | tuple[str, int], int] = {}
        self._left: list[str] = []  # groups with variables without dimensions, in the order in which they end
        self._next = 0
        self._marks: dict[int, Marks] = {}  # by the address of the dataset
        self._scales: dict[int, Scales] = {}
        self._alike: dict[Marks | Scales, Any] = {}
        self._resolved: dict[tuple[Marks, Scales, str, Dataspace], Shape] = {}

    def learn(self, event: Event) -> None:
        """Takes in one step of the first walk."""
        if event.kind == "dataset":
            if event.found is not None and event.found.kind.told is not None and event.found.kind.told.is_learned:
                return
            try:
                self._learn_dataset(_group(event), event)
            except (MemxError, *FAULTS):
                pass  # the second walk says what is wrong with it
        elif event.kind == "leave" and (scope := self._scopes.get(event.path)) is not None and scope.shapeless:
            self._left.append(event.path)

    def complete(self) -> None:
        """Ends the first walk: makes up the phony dimensions, and gives the unlimited ones their lengths."""
        for path in self._left:
            scope = self._scopes[path]
            for shape in scope.shapeless:
                scope.shapeless[shape] = self._phony(path, scope, shape)
        for key, length in self._longest.items():
            if not isinstance(key, tuple):
                found = self._by_address.get(key, [])
            else:
                found = [self._by_number[key[1]]] if key[1] in self._by_number else []
            for dimension in found:
                if dimension.unlimited:
                    dimension.size = max(dimension.size, length)

    def of_group(self, path: str) -> list[Dimension]:
        """The dimensions that a group defines, in the order of their numbers."""
        scope = self._scopes.get(path)
        return [] if scope is None else sorted(scope.dimensions, key=lambda dimension: dimension.number)

    def marks(self, event: Event) -> Marks:
        """What netCDF hides in a dataset. Raises FormatError, or UnsupportedSource where the library is no help."""
        if event.found is not None:
            return self._told(event.found.kind, event).marks
        if event.header is None:
            assert event.answer is not None
            return marks_of(event.answer.records[0]["attributes"])
        found = self._marks.get(event.address)
        if found is None:
            found = marks_of(self._hidden(event, event.header, MARKS))
            self._hold(self._marks, event.address, found)
        return found

    def _told(self, kind: Kind, event: Event) -> "_Told":
        """What all datasets of a kind have in common."""
        if kind.told is None:
            kind.told = _Told(marks_of(self._hidden(event, kind.header, MARKS)))
        told: _Told = kind.told
        return told

    def scales(self, event: Event) -> Scales:
        """The scales that are attached to a dataset. Raises as `marks` does."""
        address = event.address
        if address in self._scales:
            return self._scales[address]
        found = _attached(self._lists(event))
        self._hold(self._scales, address, found)
        return found

    def _lists(self, event: Event) -> Any:
        if event.found is not None:
            slot = event.found.kind.hidden.get(_SCALES)
            return slot and self._reader.value(slot.datatype, slot.shape, event.found.values[slot.number], 0)
        if event.header is not None:
            return self._hidden(event, event.header, frozenset((_SCALES,))).get(_SCALES)
        assert event.answer is not None
        return event.answer.records[0]["attributes"].get(_SCALES)

    def _hold(self, held: dict[int, Any], address: int, found: Marks | Scales) -> None:
        if len(held) < _HELD_MOST:
            held[address] = self._alike.setdefault(found, found)

    def _hidden(self, event: Event, header: ObjectHeader, names: frozenset[str]) -> dict[str, Any]:
        """The attributes `names`, or all that the library has where one is of a kind that memx does not know."""
        try:
            return self._reader.some(header, names)
        except UnsupportedSource as exc:
            if (worse := judged(self._file, exc, event.address)) is not exc:
                raise worse from exc
            question = {"path": event.path, "address": event.address}
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
        told = None if event.found is None else self._told(event.found.kind, event)
        group = _group(event)
        if told is not None and told.shape is not None and told.group == group:
            return told.shape
        space = self._dataspace(event)
        extents = extents_of(space)
        if marks.is_scale:
            return self._shape(event, marks, extents)
        by_number = self._by_numbers(marks, extents) is not None
        key = marks, None if by_number else self.scales(event), group, space
        found = self._resolved.get(key)
        if found is None:
            if len(self._resolved) >= _HELD_MOST:
                self._resolved.clear()
            found = self._resolved[key] = self._shape(event, marks, extents)
        if told is not None and by_number:
            told.shape, told.group = found, group
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
        numbered = self._by_numbers(marks, extents)
        if numbered is not None:
            return numbered
        if rank == 1 and (own := self._of_scale(event.address, _group(event), event.name)) is not None:
            return [own]
        scales = self.scales(event)
        if scales is not None and len(scales) == rank:
            group = _group(event)
            return [None if scale is None else self._of_scale(scale, group) for scale in scales]
        group = _group(event)
        scope = self._scopes.setdefault(group, Scope())
        return list(scope.shapeless.get(extents) or self._phony(group, scope, extents))

    def _of_scale(self, address: int, group: str, name: str = "") -> Dimension | None:
        """The dimension that the scale at `address` is to a variable of `group`, called `name` where it is the scale.

        Where several links lead to a scale it is several dimensions: the nearest counts.
        """
        found = self._by_address.get(address, [])
        if len(found) < 2:
            return found[0] if found else None
        while True:
            near = [dimension for dimension in found if dimension.group == group]
            if near:
                return next((dimension for dimension in near if dimension.name == name), near[0])
            if group == "/":
                return found[0]
            group = group.rpartition("/")[0] or "/"

    def _by_numbers(self, marks: Marks, extents: tuple[Extent, ...]) -> list[Dimension | None] | None:
        """The dimensions of a dataset that tells their numbers; None where it does not, or where one is not known."""
        numbers, known = marks.coordinates, self._by_number
        if numbers is None or len(numbers) != len(extents) or not all(number in known for number in numbers):
            return None
        return [known[number] for number in numbers]

    def _learn_dataset(self, group: str, event: Event) -> None:
        extents = extents_of(self._dataspace(event))
        if not extents:
            return
        marks, rank = self.marks(event), len(extents)
        scale = marks.is_scale
        if scale:
            self._add(group, event, extents, marks)
        numbers = marks.coordinates if marks.coordinates is not None and len(marks.coordinates) == rank else None
        scales = None if scale or numbers is not None else self.scales(event)
        if scales is not None and len(scales) != rank:
            scales = None
        if event.found is not None and numbers is not None and not scale:
            self._told(event.found.kind, event).is_learned = True
        if not scale and numbers is None and scales is None:
            self._scopes.setdefault(group, Scope()).shapeless[extents] = []
        elif not (scale and marks.is_dimension_only):
            keys = [("number", n) for n in numbers] if numbers is not None else scales or [event.address]
            for (length, _), key in zip(extents, keys, strict=False):
                if key is not None:
                    self._longest[key] = max(length, self._longest.get(key, 0))

    def _add(self, group: str, event: Event, extents: tuple[Extent, ...], marks: Marks) -> None:
        number = self._next if marks.number is None else marks.number
        length, grows = extents[0]
        only = marks.is_dimension_only
        dimension = Dimension(event.name, group, 0 if grows and only else length, grows, number)
        self._next = max(self._next, number + 1)
        self._by_number[number] = dimension
        self._by_address.setdefault(event.address, []).append(dimension)
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
