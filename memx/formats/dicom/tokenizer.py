"""Data sets as a stream of elements: sequences and items open and close, values are read or stepped over."""

import math
from collections.abc import Iterator

from memx.errors import CorruptFile, MemxError, OverLimit, TruncatedFile
from memx.formats.base import fault
from memx.formats.dicom import charset, dictionary
from memx.formats.dicom.charset import Decode
from memx.formats.dicom.fragments import step_over_fragments
from memx.formats.dicom.syntax import (
    CHARACTER_SET,
    DELIMITERS,
    DESCRIPTORS,
    ITEM,
    ITEM_END,
    LUT_DATA,
    LUT_DESCRIPTOR,
    PIXEL_DATA,
    PIXEL_REPRESENTATION,
    SEQUENCE_END,
    TRANSFER_SYNTAX,
    UNDEFINED,
    Header,
    Known,
    Syntax,
)
from memx.formats.dicom.values import converter
from memx.records import Record, binary
from memx.sources import Cursor

MAX_DEPTH = 256
"""Sequences inside sequences; real files have some ten."""
MAX_PADDING = 1 << 20
"""Zero bytes behind the last element that are still taken for padding."""
_BLOCK, _BLOCK_AFTER_SKIP = 1 << 16, 1 << 12
_BATCH, _STRETCH = 128, 1 << 14
"""Elements of a batch, and the bytes in which the hot loop adds more to it than that."""
_MOST_CREATORS, _LONGEST_CREATOR = 1024, 64


class Level:
    """A data set that is being read: the file's own, or an item of a sequence.

    `end` is the offset where it ends at the latest, `bound` where the innermost sequence of defined length around
    it ends: no value may pass that. What it knows of itself tells how later elements are read; an item begins
    with what is known around it.
    """

    __slots__ = ("bound", "creators", "decode", "defined", "end", "entries", "parent", "signed", "syntax")

    def __init__(
        self,
        syntax: Syntax,
        decode: Decode = charset.default,
        signed: bool = False,
        parent: str = "",
        end: float = math.inf,
        bound: float = math.inf,
        defined: bool = False,
    ) -> None:
        self.syntax = syntax
        self.decode = decode
        self.signed = signed
        self.parent = parent
        self.end = end
        self.bound = bound
        self.defined = defined
        self.entries: int | None = None
        self.creators: dict[int, str] = {}


class Run:
    """A sequence in `level` whose items are being read; `length` is None where a delimiter ends it."""

    __slots__ = ("bound", "count", "defined", "end", "level", "path")

    def __init__(self, level: Level, path: str, begin: int, length: int | None) -> None:
        self.level = level
        self.path = path
        self.defined = length is not None
        self.end = level.end if length is None else min(begin + length, level.bound)
        self.bound = level.bound if length is None else self.end
        self.count = 0


class Tokenizer:
    """The records of one data set, from where `cursor` stands to its end.

    With `syntax.group` the data set ends before the first element of another group. Values longer than
    `most` bytes are stepped over. Nothing is kept but the open sequences, at most `MAX_DEPTH`, and a batch.
    """

    def __init__(self, cursor: Cursor, syntax: Syntax, most: int) -> None:
        self._cursor = cursor
        self._most = most
        self._may_wait = cursor.source.local_path() is None
        self.begun = False
        """Whether there was an element."""
        self.transfer_syntax: str | None = None
        """The Transfer Syntax UID (0002,0010), once it was read."""
        self._stack: list[Level | Run] = [Level(syntax)]
        self._debts: list[Record | MemxError | tuple[int, str]] = []
        """What is due when the record was given: a fault, an error to raise, bytes to step over and their name."""

    def batches(self) -> Iterator[list[Record]]:
        """An `element` for every element, sequences before what they hold; a fault is a batch of its own.

        What was read is given before anything is raised, or, where the source `may_wait`, before it is asked for
        more. Raises CorruptFile, TruncatedFile or OverLimit where it cannot go on; what it can step around is an
        `error` record.
        """
        cursor, stack = self._cursor, self._stack
        enough = 1 if self._may_wait else _BATCH
        batch: list[Record] = []
        try:
            while stack:
                top = stack[-1]
                known = self._plain(top, batch) if type(top) is Level else None
                if len(batch) >= enough:
                    full, batch = batch, []
                    yield full
                if cursor.start + cursor.index >= top.end:
                    stack.pop()
                elif (token := self._step(top, known)) is not None:
                    batch.append(token)
                if self._debts:
                    if batch:
                        full, batch = batch, []
                        yield full
                    yield from self._settle()
        except BaseException:
            if batch:
                yield batch
            raise
        if batch:
            yield batch

    def _plain(self, level: Level, batch: list[Record]) -> Known | None:
        """The hot loop: adds the plain elements that lie whole in the buffer; what is known of a sequence there."""
        cursor, most = self._cursor, self._most
        buffer, index, start = cursor.buffer, cursor.index, cursor.start
        known, key, parent, decode = level.syntax.known, level.syntax.key, level.parent, level.decode
        stop: float = index + _STRETCH
        if stop > len(buffer):
            stop = len(buffer)
        if start + stop > level.end:
            stop = level.end - start
        while entry := known.get(buffer[index : index + key]):
            name, vr, keyword, convert, unpack, at, size = entry
            value_at = index + size
            if value_at > stop:
                break
            if vr == "SQ":
                return entry
            length = unpack(buffer, index + at)[0]
            behind = value_at + length
            if behind > stop or length > most:
                break
            record: Record = {
                "type": "element",
                "tag": name,
                "vr": vr,
                "keyword": keyword,
                "offset": start + value_at,
                "length": length,
            }
            if parent:
                record["parent"] = parent
            raw = buffer[value_at:behind]
            value = convert(raw, decode) if length else []
            if value is None:
                record |= binary(raw)
            else:
                record["value"] = value
            batch.append(record)
            cursor.index = index = behind
        return None

    def _step(self, top: Level | Run, known: Known | None) -> Record | None:
        """One header of any kind, or of the `known` sequence; the record that it gives, if it gives one."""
        cursor = self._cursor
        if len(cursor.buffer) - cursor.index < 8 and not cursor.ensure(8):
            self._finish()
            return None
        cursor.block = _BLOCK
        if isinstance(top, Level):
            return self._element(top) if known is None else self._known_sequence(top, known)
        self._open_item(top)
        return None

    def _open_item(self, run: Run) -> None:
        """What stands where an item is expected (PS3.5 7.5)."""
        cursor, level = self._cursor, run.level
        here = cursor.start + cursor.index
        tag, length = level.syntax.item(cursor.buffer, cursor.index)
        if tag == ITEM:
            cursor.index += 8
            syntax, parent = self._item_syntax(level.syntax), f"{run.path}[{run.count}]"
            defined = length != UNDEFINED
            end = min(run.end, here + 8 + length) if defined else run.end
            self._stack.append(Level(syntax, level.decode, level.signed, parent, end, run.bound, defined))
            run.count += 1
        elif tag == SEQUENCE_END:
            cursor.index += 8
            if not run.defined:
                self._stack.pop()
        elif tag == ITEM_END:
            cursor.index += 8
        elif not run.defined:
            self._stack.pop()  # only its delimiter is missing: what stands here belongs around it
        else:
            self._complain(f"sequence {run.path} has something else than an item", here)
            self._skip_to(run.end)

    def _item_syntax(self, syntax: Syntax) -> Syntax:
        """How the item that begins here is written: explicit VR may hold implicit VR (PS3.5 6.2.2), and says so
        by having no VR in its first element."""
        cursor = self._cursor
        if syntax.implicit or not cursor.ensure(6):
            return syntax
        if cursor.buffer[cursor.index : cursor.index + 6] in syntax.known:
            return syntax
        field = cursor.buffer[cursor.index + 4 : cursor.index + 6]
        return syntax if field.isalpha() and field.isupper() else syntax.implicit_form()

    def _element(self, level: Level) -> Record | None:
        """The data element or delimiter that stands here."""
        cursor = self._cursor
        known = level.syntax.known.get(cursor.buffer[cursor.index : cursor.index + level.syntax.key])
        if known is not None and known[1] == "SQ" and cursor.ensure(known[-1]):
            return self._known_sequence(level, known)
        tag = level.syntax.tag(cursor.buffer, cursor.index)
        if tag in DELIMITERS:
            self._delimiter(level, tag)
            return None
        header = level.syntax.header(cursor.buffer, cursor.index)
        if header is None and cursor.ensure(12):
            header = level.syntax.header(cursor.buffer, cursor.index)
        if header is None:
            self._finish()
            return None
        if level.syntax.group not in (None, header.tag >> 16) and len(self._stack) == 1:
            self._stack.clear()
            return None
        if not header.tag and not header.length:
            self._padding()
            return None
        key = cursor.buffer[cursor.index : cursor.index + level.syntax.key]
        cursor.index += header.size
        vr = self._vr(level, header)
        if header.vr == vr or (header.vr is None and level.syntax.implicit):
            level.syntax.learn(header.tag, key, header.size, vr)
        return self._value(level, header, vr)

    def _delimiter(self, level: Level, tag: int) -> None:
        """An item or a delimiter where an element could stand."""
        cursor = self._cursor
        if len(self._stack) > 1:
            if tag == ITEM_END:
                cursor.index += 8
            elif level.defined:
                self._complain(f"item {level.parent} is longer than what it holds", cursor.tell())
            # without its delimiter an item ends here too, and the sequence sees to this one
            self._stack.pop()
            return
        length = level.syntax.item(cursor.buffer, cursor.index)[1]
        cursor.index += 8
        if tag == ITEM:
            self._complain("an item stands outside of any sequence", cursor.tell() - 8)
            if length != UNDEFINED:
                self._debts.append((length, "an item outside of any sequence"))

    def _vr(self, level: Level, header: Header) -> str:
        """The VR of an element, from its header, the dictionary or what its data set said before."""
        tag, vr, length, _ = header
        if vr == "UN" and length == UNDEFINED and tag not in PIXEL_DATA:
            return "SQ"  # PS3.5 6.2.2
        if vr is not None and (vr != "UN" or (length >= 0xFFFF and not tag & 0x10000)):
            return vr
        if tag & 0x10000:
            return self._private_vr(level, tag, length)
        entry = dictionary.entry(tag)
        if entry is not None and entry[0] != "NONE":
            if entry[0] == "SQ" and vr == "UN" and not self._holds_items(level, length):
                return "UN"
            return entry[0] if len(entry[0]) == 2 else _choose(entry[0], level, header)
        if length == UNDEFINED and self._follows(level, ITEM):
            return "SQ"
        return "UL" if not tag & 0xFFFF and vr is None else "UN"

    def _private_vr(self, level: Level, tag: int, length: int) -> str:
        """The VR of a private element without one (PS3.5 7.8), as pydicom's private dictionary has it."""
        element = tag & 0xFFFF
        if length == UNDEFINED and self._follows(level, ITEM):
            return "SQ"
        if 0x10 <= element < 0x100:
            return "LO"
        creator = level.creators.get((tag & 0xFFFF0000) | element >> 8) if element >= 0x100 else None
        vr = dictionary.private_vr(tag, creator) if creator else None
        if vr == "SQ" and not self._holds_items(level, length):
            return "UN"
        if vr is not None and len(vr) > 2:
            return "OW" if "OW" in vr else "SS" if level.signed else "US"
        return vr or "UN"

    def _follows(self, level: Level, tag: int) -> bool:
        """Whether `tag` is the next."""
        cursor = self._cursor
        return cursor.ensure(4) and cursor.buffer.startswith(level.syntax.marks[tag], cursor.index)

    def _holds_items(self, level: Level, length: int) -> bool:
        """Whether a value that should be a sequence looks like one."""
        return not length or self._follows(level, ITEM) or self._follows(level, SEQUENCE_END)

    def _value(self, level: Level, header: Header, vr: str) -> Record:
        """The record of an element whose value begins here; the value is read, opened or owed."""
        cursor, length, here = self._cursor, header.length, self._cursor.tell()
        self.begun = True
        entry = dictionary.entry(header.tag)
        if vr == "SQ":
            return self._sequence(level, f"{header.tag:08X}", entry and entry[1], length)
        record: Record = {
            "type": "element",
            "tag": f"{header.tag:08X}",
            "vr": vr,
            "keyword": entry and entry[1],
            "offset": here,
            "length": None if length == UNDEFINED else length,
        }
        if level.parent:
            record["parent"] = level.parent
        if length != UNDEFINED and here + length > level.bound:
            self._overlong(record["tag"], here)
            self._skip_to(level.bound)
            return record | {"bulk": True}
        if length == UNDEFINED:
            return record | self._fragments(level, record["tag"])
        if length > self._most or header.tag in PIXEL_DATA:
            self._debts.append((length, f"the value of element {record['tag']}"))
            return record | {"bulk": True}
        if not cursor.ensure(length):
            raise TruncatedFile(f"the file ends inside the value of element {record['tag']}", offset=here)
        raw = cursor.take(length)
        values = converter(vr, level.syntax.order)(raw, level.decode) if raw else []
        if values is None:
            return record | binary(raw)
        if values and header.tag in DESCRIPTORS and isinstance(values[0], int) and values[0] < 0:
            values[0] += 0x10000
        record["value"] = values
        self._note(level, header.tag, record)
        return record

    def _note(self, level: Level, tag: int, record: Record) -> None:
        """Keeps what an element says of how to read the elements behind it."""
        value = record["value"]
        first = value[0] if value else None
        if tag == CHARACTER_SET:
            level.decode = charset.decoder(tuple(str(term or "") for term in value))
        elif tag == PIXEL_REPRESENTATION:
            level.signed = bool(first)
        elif tag == TRANSFER_SYNTAX:
            self.transfer_syntax = first
        elif tag == LUT_DESCRIPTOR:
            level.entries = first if isinstance(first, int) else None
        elif tag & 0x10000 and 0x10 <= tag & 0xFFFF < 0x100 and isinstance(first, str) and len(value) == 1:
            if len(level.creators) >= _MOST_CREATORS:
                del level.creators[next(iter(level.creators))]
            level.creators[tag] = first[: _LONGEST_CREATOR + 1]

    def _known_sequence(self, level: Level, known: Known) -> Record:
        """The record of a sequence whose header was met before; it is opened."""
        name, _, keyword, _, unpack, at, size = known
        cursor = self._cursor
        length = unpack(cursor.buffer, cursor.index + at)[0]
        cursor.index += size
        self.begun = True
        return self._sequence(level, name, keyword, length)

    def _sequence(self, level: Level, tag: str, keyword: str | None, length: int) -> Record:
        """The record of a sequence that begins here; it is opened."""
        here = self._cursor.start + self._cursor.index
        record: Record = {
            "type": "element",
            "tag": tag,
            "vr": "SQ",
            "keyword": keyword,
            "offset": here,
            "length": None if length == UNDEFINED else length,
        }
        if level.parent:
            record["parent"] = level.parent
        if length != UNDEFINED and here + length > level.bound:
            self._overlong(tag, here)
        if not length or self._follows(level, SEQUENCE_END):
            record["value"] = []
        if not length:
            return record
        if len(self._stack) > 2 * MAX_DEPTH:
            self._debts.append(OverLimit(f"sequences are nested more than {MAX_DEPTH} deep", offset=here))
        path = f"{level.parent}.{tag}" if level.parent else tag
        self._stack.append(Run(level, path, here, record["length"]))
        return record

    def _fragments(self, level: Level, name: str) -> Record:
        """The members that encapsulated data adds (PS3.5 A.4), after stepping over it."""
        count, broken, resumed = step_over_fragments(self._cursor, level.syntax)
        self._cursor.block = _BLOCK_AFTER_SKIP
        if broken is not None:
            message = f"the fragments of element {name} {broken.message}"
            if resumed:
                self._complain(message, broken.offset)
            else:
                self._debts.append(type(broken)(message, offset=broken.offset))
        return {"fragments": count, "bulk": True}

    def _overlong(self, tag: str, here: int) -> None:
        self._complain(f"element {tag} is longer than the sequence around it", here)

    def _complain(self, message: str, offset: int | None) -> None:
        self._debts.append(fault(CorruptFile.code, message, offset))

    def _skip_to(self, end: float) -> None:
        self._debts.append((int(end) - self._cursor.tell(), "a sequence"))

    def _settle(self) -> Iterator[list[Record]]:
        """Pays what is due; see `_debts`."""
        debts, self._debts = self._debts, []
        for debt in debts:
            if isinstance(debt, MemxError):
                raise debt
            if isinstance(debt, dict):
                yield [debt]
            else:
                self._skip(*debt)

    def _skip(self, length: int, what: str) -> None:
        cursor, here = self._cursor, self._cursor.tell()
        stepped = cursor.skip(length)
        if not cursor.buffer:
            cursor.block = _BLOCK_AFTER_SKIP
        if stepped < length:
            raise TruncatedFile(f"the file ends inside {what}: {length - stepped} bytes are missing", offset=here)

    def _finish(self) -> None:
        """The source has no whole header more."""
        cursor, here = self._cursor, self._cursor.tell()
        if len(self._stack) > 1:
            inner = self._stack[-1]
            path = inner.path if isinstance(inner, Run) else inner.parent
            raise TruncatedFile(f"the file ends inside sequence {path}", offset=here)
        if cursor.take(12).strip(b"\0"):
            raise TruncatedFile("the file ends inside the header of an element", offset=here)
        self._stack.clear()

    def _padding(self) -> None:
        """Zero bytes where an element should be: harmless behind the last one, if there are but few."""
        cursor, here = self._cursor, self._cursor.tell()
        zeros = 0
        while zeros <= MAX_PADDING and len(self._stack) == 1:
            block = cursor.take(_BLOCK)
            if block.strip(b"\0"):
                break
            if not block:
                self._stack.clear()
                return
            zeros += len(block)
        raise CorruptFile("there are zero bytes where an element should begin", offset=here)


def _choose(words: str, level: Level, header: Header) -> str:
    """One VR of those that the dictionary leaves open (`US or SS`), as pydicom chooses it (PS3.5 A.1, PS3.3)."""
    if header.tag == LUT_DATA:
        return "US" if level.entries == 1 else "OW"
    if header.tag in PIXEL_DATA and header.length == UNDEFINED:
        return "OB"
    if "OW" in words:
        return "OW"
    return "SS" if level.signed else "US"
