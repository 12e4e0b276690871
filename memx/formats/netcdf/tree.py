"""The groups of a netCDF-4 file in the order of netCDF: what is in a group, then the groups within it."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from memx.errors import CorruptFile, MemxError, OverLimit, UnsupportedSource
from memx.formats.base import ReadOptions, fault

# netCDF-4 is HDF5 by definition: the one import between formats
from memx.formats.hdf5.alike import Alike, Found
from memx.formats.hdf5.direct import DEPTH_MOST
from memx.formats.hdf5.groups import HARD, SOFT, Link
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.objects import FAULTS, OBJECT_LEAST, HDF5File, Kind, broken, link_record
from memx.formats.hdf5.unknown import from_library, judged, links_from_library
from memx.records import Record, text

_STEPS: dict[Kind, Literal["enter", "dataset", "type"]] = {"group": "enter", "dataset": "dataset", "datatype": "type"}
_STEPS_MOST = 64
"""A soft link's path of more steps than this is not followed."""


class Answer(NamedTuple):
    """What the library says of an object, and what it is of it that memx does not know."""

    unknown: UnsupportedSource
    records: list[Record]


class Event:
    """A step of the walk: a group is entered or left, a dataset or a type found, or a `record` to pass on.

    An object has a `header`, or where memx does not know that, an `answer`; both where it knows a part of it.
    """

    __slots__ = ("address", "answer", "found", "header", "kind", "name", "path", "record")

    def __init__(
        self,
        kind: Literal["enter", "leave", "dataset", "type", "record"],
        path: str,
        name: str = "",
        header: ObjectHeader | None = None,
        *,
        found: Found | None = None,
        answer: Answer | None = None,
        record: Record | None = None,
    ) -> None:
        self.kind = kind
        self.path = path
        self.name = name
        self.header = header if found is None else found.kind.header
        """Of a dataset that is like one before, the header of that one."""
        self.found = found
        """What of a dataset differs from one that was met before, where nothing else does."""
        self.answer = answer
        self.record: Record = record or {}
        self.address = _address(header, found, answer)
        """That of the object's header; -1 where there is no object."""


def _address(header: ObjectHeader | None, found: Found | None, answer: Answer | None) -> int:
    if found is not None:
        return found.address
    if header is not None:
        return header.address
    return -1 if answer is None else answer.records[0]["address"]


class _Level:
    __slots__ = ("children", "group")

    def __init__(self, group: Event) -> None:
        self.group = group
        self.children: Iterator[Event] | None = None


class Tree:
    """Walks an open file; as often as asked, each time the same way.

    Objects whose headers memx's reader does not know, and groups that it cannot list, are asked of the library, each
    time they are met, and counted once.
    """

    def __init__(self, file: HDF5File, options: ReadOptions, alike: Alike) -> None:
        self._file = file
        self._options = options
        self._alike = alike
        self._objects_most = file.space.end // OBJECT_LEAST

    def walk(self, *, again: bool = False) -> Iterator[Event]:
        """Every group from the root on, with its datasets and types before the groups within it.

        `again`: they were counted in a walk before. Raises CorruptFile where the root cannot be read or where the links
        lead on without end, UnsupportedSource where nobody knows the header of the root.
        """
        levels = [_Level(self._object("/", "", self._file.root, counted=again))]
        above = {self._file.root}
        left = self._objects_most
        while levels:
            level = levels[-1]
            if level.children is None:
                yield level.group
                groups = 0
                for event in self._members(level.group, counted=again):
                    groups += event.kind == "enter"
                    if event.kind != "enter":
                        yield event
                level.children = self._members(level.group, counted=True) if groups else iter(())
            child = next((event for event in level.children if event.kind == "enter"), None)
            if child is None:
                yield Event("leave", level.group.path)
                above.remove(levels.pop().group.address)
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
                levels.append(_Level(child))

    def _members(self, group: Event, *, counted: bool) -> Iterator[Event]:
        try:
            for link in self._links(group, counted=counted):
                yield self._member(group, link, counted=counted)
        except (MemxError, *FAULTS) as exc:
            yield Event("record", group.path, record=broken(f"the list of members of {group.path}", exc))

    def _links(self, group: Event, *, counted: bool) -> Iterator[Link]:
        """The links of a group; those that memx cannot list as the library lists them."""
        links: Iterator[Link] | None = None
        unknown: Exception
        if group.header is not None:
            try:
                yield from self._file.links(group.header)
                return
            except UnsupportedSource as exc:
                unknown = judged(self._file, exc, group.address)
        else:
            assert group.answer is not None
            unknown, counted = group.answer.unknown, True
        links = links_from_library(self._options, unknown, group.path, group.address, counted=counted)
        if links is None:
            raise unknown
        yield from links

    def _member(self, group: Event, link: Link, *, counted: bool) -> Event:
        name = text(link.name)
        path = f"{group.path.rstrip('/')}/{name}"
        if link.kind == HARD and (link.name in (b"", b".") or b"/" in link.name):
            return _refusal(path, CorruptFile.code, "has a name that no link can have")
        try:
            address = link.address if link.kind == HARD else self._followed(group, link)
            if address is None:
                return Event("record", path, record=link_record(link, path))
            return self._object(path, name, address, counted=counted)
        except (MemxError, *FAULTS) as exc:
            return Event("record", path, record=broken(f"the object {path}", exc))

    def _object(self, path: str, name: str, address: int, *, counted: bool) -> Event:
        """What is met at `path`."""
        found = self._alike.find(address)
        if found is not None:
            return Event("dataset", path, name, found=found)
        try:
            header = self._file.header(address)
            kind = self._file.kind(header)
        except UnsupportedSource as exc:
            asked = {"by_creation": True, "parts": True}
            told = from_library(self._file, self._options, exc, path, address, counted=counted, **asked)
            return Event(_STEPS[told[0]["type"]], path, name, answer=Answer(exc, told))
        if kind == "dataset":
            self._alike.learn(header)
        return Event(_STEPS[kind], path, name, header)

    def _followed(self, group: Event, link: Link) -> int | None:
        """The address of the object behind a soft link, by hard links alone; None where it leads nowhere."""
        if link.kind != SOFT:
            return None
        target = link.value.split(b"\0", 1)[0]
        steps = [step for step in target.split(b"/") if step not in (b"", b".")]
        if len(steps) > _STEPS_MOST:
            return None
        at = self._object("/", "", self._file.root, counted=True) if target.startswith(b"/") else group
        for step in steps:
            if at.kind != "enter":
                return None
            found = next((each for each in self._links(at, counted=True) if each.name == step), None)
            if found is None or found.kind != HARD:
                return None
            at = self._object(f"{at.path.rstrip('/')}/{text(step)}", "", found.address, counted=True)
        return at.address


def _refusal(path: str, code: str, why: str) -> Event:
    return Event("record", path, record=fault(code, f"{path[:300]} {why}"))
