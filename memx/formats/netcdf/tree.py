"""The groups of a netCDF-4 file in the order of netCDF: what is in a group, then the groups within it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from h5py import h5d, h5g, h5o, h5p

from memx.errors import CorruptFile, OverLimit
from memx.formats.base import fault

# netCDF-4 is HDF5 by definition: the one import between formats
from memx.formats.hdf5.library.handles import (
    HARD,
    LIBRARY_ERRORS,
    LINK_KINDS,
    Link,
    broken,
    identity,
    links_held,
    members,
    open_object,
    unreadable,
)
from memx.formats.hdf5.library.reader import DEPTH_MOST, named_link
from memx.records import Record, text

_OBJECT_LEAST = 16


@dataclass(slots=True)
class Event:
    """A step of the walk: a group is entered or left, a dataset or a type found, or a `record` to pass on."""

    kind: Literal["enter", "leave", "dataset", "type", "record"]
    path: str
    name: str = ""
    thing: Any = None
    address: int = 0
    record: Record = field(default_factory=dict)


@dataclass(slots=True)
class _Level:
    group: Any
    path: str
    address: int
    children: Iterator[Event] | None = None


class Tree:
    """Walks an open file; as often as asked, each time the same way."""

    def __init__(self, file: Any, size: int) -> None:
        self._file = file
        self._objects_most = size // _OBJECT_LEAST
        # a soft link may be followed, but no further link behind it, and so nothing into another file
        self._one_link = h5p.create(h5p.LINK_ACCESS)
        self._one_link.set_nlinks(1)

    def walk(self) -> Iterator[Event]:
        """Every group from the root on, with its datasets and types before the groups within it.

        Raises CorruptFile where the root cannot be read or where the links lead on without end.
        """
        try:
            root = open_object(self._file, b"/")
            levels = [_Level(root, "/", identity(root)[0])]
        except LIBRARY_ERRORS as exc:
            raise unreadable("the root group", exc) from exc
        above = {levels[0].address}
        left = self._objects_most
        while levels:
            level = levels[-1]
            if level.children is None:
                yield Event("enter", level.path, thing=level.group, address=level.address)
                groups = 0
                for event in self._members(level, len(levels)):
                    groups += event.kind == "enter"
                    if event.kind != "enter":
                        yield event
                level.children = self._members(level, len(levels)) if groups else iter(())
            child = next((event for event in level.children if event.kind == "enter"), None)
            if child is None:
                yield Event("leave", level.path)
                above.remove(levels.pop().address)
                continue
            left -= 1
            if left < 0:
                raise CorruptFile(f"the links lead to more groups than the file can hold, at {child.path[:200]}")
            if child.address in above:
                yield _refusal(child, CorruptFile.code, "is a link back to a group that it lies in")
            elif len(levels) >= DEPTH_MOST:
                yield _refusal(child, OverLimit.code, f"lies more than {DEPTH_MOST} groups deep")
            else:
                above.add(child.address)
                levels.append(_Level(child.thing, child.path, child.address))

    def _members(self, level: _Level, depth: int) -> Iterator[Event]:
        try:
            for link in members(level.group, links_held(depth)):
                yield self._member(level, link)
        except LIBRARY_ERRORS as exc:
            yield Event("record", level.path, record=broken(f"the list of members of {level.path}", exc))

    def _member(self, level: _Level, link: Link) -> Event:
        name = text(link.name)
        path = f"{level.path.rstrip('/')}/{name}"
        if link.kind == HARD and (link.name in (b"", b".") or b"/" in link.name):
            return _refusal(Event("record", path), CorruptFile.code, "has a name that no link can have")
        if link.kind != HARD and LINK_KINDS.get(link.kind) != "soft":
            return Event("record", path, record=named_link(level.group, link, path))
        try:
            thing = h5o.open(level.group, link.name, self._one_link)
            address, _ = identity(thing)
        except LIBRARY_ERRORS as exc:
            if link.kind == HARD:
                return Event("record", path, record=broken(f"the object {path}", exc))
            return Event("record", path, record=named_link(level.group, link, path))
        if isinstance(thing, h5g.GroupID):
            return Event("enter", path, name, thing, address)
        return Event("dataset" if isinstance(thing, h5d.DatasetID) else "type", path, name, thing, address)


def _refusal(event: Event, code: str, why: str) -> Event:
    return Event("record", event.path, record=fault(code, f"{event.path[:300]} {why}"))
