"""The groups of a netCDF-4 file in the order of netCDF: what is in a group, then the groups within it."""

from collections.abc import Iterator
from typing import Literal

from memx.errors import CorruptFile, MemxError, OverLimit
from memx.formats.base import ReadOptions, fault

# netCDF-4 is HDF5 by definition: the one import between formats
from memx.formats.hdf5.alike import Alike, Found
from memx.formats.hdf5.direct import DEPTH_MOST
from memx.formats.hdf5.groups import HARD, SOFT, Link
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.objects import FAULTS, OBJECT_LEAST, HDF5File, Kind, broken, link_record
from memx.formats.hdf5.unknown import links_from_library
from memx.records import Record, text

_STEPS: dict[Kind, Literal["enter", "dataset", "type"]] = {"group": "enter", "dataset": "dataset", "datatype": "type"}
_STEPS_MOST = 64
"""A soft link's path of more steps than this is not followed."""


class Event:
    """A step of the walk: a group is entered or left, a dataset or a type found, or a `record` to pass on."""

    __slots__ = ("address", "found", "kind", "name", "path", "record", "told_by")

    def __init__(
        self,
        kind: Literal["enter", "leave", "dataset", "type", "record"],
        path: str,
        name: str = "",
        header: ObjectHeader | None = None,
        found: Found | None = None,
        record: Record | None = None,
    ) -> None:
        self.kind = kind
        self.path = path
        self.name = name
        self.told_by = header
        self.found = found
        """What of a dataset differs from one that was met before, where nothing else does."""
        self.record: Record = record or {}
        self.address = -1 if header is None else header.address
        """The address of the object's header."""
        if found is not None:
            self.told_by, self.address = found.kind.header, found.address

    @property
    def header(self) -> ObjectHeader:
        """The object's header; of a dataset that is like one before, the header of that one."""
        assert self.told_by is not None
        return self.told_by


class _Level:
    __slots__ = ("begins", "children", "header", "path")

    def __init__(self, header: ObjectHeader, path: str) -> None:
        self.header = header
        self.path = path
        self.begins = path.rstrip("/") + "/"
        """How the paths of its members begin."""
        self.children: Iterator[Event] | None = None


class Tree:
    """Walks an open file; as often as asked, each time the same way.

    Groups that memx's reader cannot list are listed by the library, each time they are met, and counted once.
    """

    def __init__(self, file: HDF5File, options: ReadOptions, alike: Alike) -> None:
        self._file = file
        self._options = options
        self._alike = alike
        self._objects_most = file.space.end // OBJECT_LEAST

    def walk(self, *, again: bool = False) -> Iterator[Event]:
        """Every group from the root on, with its datasets and types before the groups within it.

        `again`: they were counted in a walk before. Raises CorruptFile where the root cannot be read or where the links
        lead on without end.
        """
        levels = [_Level(self._file.header(self._file.root), "/")]
        above = {self._file.root}
        left = self._objects_most
        while levels:
            level = levels[-1]
            if level.children is None:
                yield Event("enter", level.path, header=level.header)
                groups = 0
                for event in self._members(level, counted=again):
                    groups += event.kind == "enter"
                    if event.kind != "enter":
                        yield event
                level.children = self._members(level, counted=True) if groups else iter(())
            child = next((event for event in level.children if event.kind == "enter"), None)
            if child is None:
                yield Event("leave", level.path)
                above.remove(levels.pop().header.address)
                continue
            left -= 1
            if left < 0:
                raise CorruptFile(f"the links lead to more groups than the file can hold, at {child.path[:200]}")
            if child.address in above:
                yield _refusal(child.path, CorruptFile.code, "is a link back to a group that it lies in")
            elif len(levels) >= DEPTH_MOST:
                yield _refusal(child.path, OverLimit.code, f"lies more than {DEPTH_MOST} groups deep")
            else:
                above.add(child.address)
                levels.append(_Level(child.header, child.path))

    def _members(self, level: _Level, *, counted: bool) -> Iterator[Event]:
        links: Iterator[Link] | None = self._file.links(level.header)
        while links is not None:
            try:
                for link in links:
                    yield self._member(level, link)
                return
            except (MemxError, *FAULTS) as exc:
                links = links_from_library(self._options, exc, level.path, level.header.address, counted=counted)
                if links is None:
                    yield Event("record", level.path, record=broken(f"the list of members of {level.path}", exc))

    def _member(self, level: _Level, link: Link) -> Event:
        name = text(link.name)
        path = level.begins + name
        if link.kind == HARD and (link.name in (b"", b".") or b"/" in link.name):
            return _refusal(path, CorruptFile.code, "has a name that no link can have")
        try:
            address = link.address if link.kind == HARD else self._followed(level.header, link)
            if address is None:
                return Event("record", path, record=link_record(link, path))
            found = self._alike.find(address)
            if found is not None:
                return Event("dataset", path, name, found=found)
            header = self._file.header(address)
            kind = self._file.kind(header)
        except (MemxError, *FAULTS) as exc:
            return Event("record", path, record=broken(f"the object {path}", exc))
        if kind == "dataset":
            self._alike.learn(header)
        return Event(_STEPS[kind], path, name, header)

    def _followed(self, group: ObjectHeader, link: Link) -> int | None:
        """The address of the object behind a soft link, by hard links alone; None where it leads nowhere."""
        if link.kind != SOFT:
            return None
        target = link.value.split(b"\0", 1)[0]
        address = self._file.root if target.startswith(b"/") else group.address
        steps = [step for step in target.split(b"/") if step not in (b"", b".")]
        if len(steps) > _STEPS_MOST:
            return None
        for step in steps:
            header = self._file.header(address)
            if self._file.kind(header) != "group":
                return None
            found = next((each for each in self._file.links(header) if each.name == step), None)
            if found is None or found.kind != HARD:
                return None
            address = found.address
        return address


def _refusal(path: str, code: str, why: str) -> Event:
    return Event("record", path, record=fault(code, f"{path[:300]} {why}"))
