"""The contract of RECORDS.md, as one check that every test of a reader can make: `assert_contract`."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator

from memx.records import MAX_LINE, Record, encode
from tests.contract.formats import format_faults

__all__ = ["assert_contract", "comparable", "contract_faults", "schema", "schema_faults"]

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_DEFLATED_DICOM = b"1.2.840.10008.1.2.1.99"
_MET_ON_THE_WAY = {"element", "card", "hdu", "chunk", "packet"}
"""Records of what the reader came to, not of what a header told of."""
_PER_TYPE = 200
"""So many records of each type are held against the schema; then every hundredth."""


def assert_contract(
    records: Sequence[Record], path: str | os.PathLike[str] | None = None, *, selected: bool = False
) -> None:
    """Fails with all that `records`, those of one source from `file` to `end`, break of the contract.

    `path` is the file that they are of: offsets are then held against its length. `selected` is for what is
    left of a selection, in which a record may stand without those that belong to it.
    """
    faults = contract_faults(records, path, selected=selected)
    assert not faults, "\n".join(faults[:20])


def contract_faults(
    records: Sequence[Record], path: str | os.PathLike[str] | None = None, *, selected: bool = False
) -> list[str]:
    """What `records` break of the contract, in words; empty where it holds."""
    faults = _frame_faults(records)
    if faults:
        return faults
    faults += _end_faults(records)
    faults += _line_faults(records)
    shape = schema_faults(records)
    faults += shape
    if not selected and not shape:  # the rules of a format rely on its fields
        faults += format_faults(records)
    if path is not None and not _inflated(path):
        faults += _extent_faults(records, os.stat(path).st_size)
    return faults


def comparable(records: Iterable[Record], *also: str) -> list[bytes]:
    """Lines without what may differ from run to run, and without the members `also` of `file` and `end`."""
    may_differ = {"metrics", "strategy", "chunk_size", *also}
    return [
        encode({key: item for key, item in record.items() if key not in may_differ})
        if record["type"] in ("file", "end")
        else encode(record)
        for record in records
    ]


def _frame_faults(records: Sequence[Record]) -> list[str]:
    types = [record.get("type") for record in records]
    faults = []
    if types[:1] != ["file"]:
        faults.append(f"the first line is {types[:1]}, not file")
    if types[-1:] != ["end"]:
        faults.append(f"the last line is {types[-1:]}, not end")
    counts = Counter(types)
    faults += [f"{counts[name]} {name} lines" for name in ("file", "end") if counts[name] != 1]
    faults += [f"`type` is not the first key of {record}"[:300] for record in records if next(iter(record)) != "type"]
    return faults


def _end_faults(records: Sequence[Record]) -> list[str]:
    file, end = records[0], records[-1]
    errors = [record for record in records if record["type"] == "error"]
    status, reason = end["status"], end["reason"]
    faults = []
    if file["path"] != end["path"]:
        faults.append(f"file.path {file['path']!r} is not end.path {end['path']!r}")
    if end["records"] != len(records) - 2:
        faults.append(f"end.records is {end['records']}, but {len(records) - 2} lines stand between")
    if errors and status == "complete":
        faults.append(f"complete in spite of an error: {errors[0]}")
    if not errors and status != "complete":
        faults.append(f"{status} without an error line: {reason}")
    if status != "complete" and not reason:
        faults.append(f"{status} without a reason")
    sentences = [error["message"] for error in errors] + [reason] * (reason is not None)
    faults += [f"no plain sentence: {sentence[:200]!r}" for sentence in sentences if not _is_plain(sentence)]
    faults += [f"no fault of the file: {error['message']}" for error in errors if "a bug" in error["message"]]
    return faults


def _is_plain(sentence: str) -> bool:
    return bool(sentence.strip()) and len(sentence) <= 1000 and "\n" not in sentence and "Traceback" not in sentence


def _line_faults(records: Sequence[Record]) -> list[str]:
    faults = []
    for number, record in enumerate(records):
        line = encode(record)
        if len(line) > MAX_LINE or not line.endswith(b"\n") or line.count(b"\n") != 1:
            faults.append(f"line {number} is no single line of at most 1 MiB: {len(line)} bytes")
        try:
            # the standard library's parser, strict: orjson must not judge what orjson wrote
            parsed = json.loads(line.decode("utf-8"), parse_constant=_refuse)
        except ValueError as exc:
            faults.append(f"line {number} is no strict JSON: {exc}")
            continue
        if parsed != record and "cut" not in parsed and not _has_surrogates(record):
            faults.append(f"line {number} does not come back as it was: {record}"[:300])
    return faults


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _has_surrogates(record: Record) -> bool:
    return "\\ud" in json.dumps(record)


@cache
def schema() -> dict[str, Any]:
    """memx/records.schema.json."""
    loaded: dict[str, Any] = json.loads(resources.files("memx").joinpath("records.schema.json").read_text("utf-8"))
    return loaded


@cache
def _validator(name: str) -> Draft202012Validator:
    """The schema of one type alone: it says what is wrong, where `oneOf` says only that nothing fits."""
    whole = schema()
    only = {key: item for key, item in whole.items() if key != "oneOf"} | {"$ref": f"#/$defs/{name}"}
    return Draft202012Validator(only)


def schema_faults(records: Iterable[Record]) -> list[str]:
    """What the schema says against `records`."""
    faults, seen = [], Counter[str]()
    for record in records:
        name = _definition(record)
        seen[name] += 1
        if seen[name] > _PER_TYPE and seen[name] % 100:
            continue
        if name not in schema()["$defs"]:
            faults.append(f"the schema knows no {name}: {record}"[:300])
            continue
        errors = _validator(name).iter_errors(record)
        faults += [f"{name}: {error.json_path}: {error.message[:300]} in {str(record)[:200]}" for error in errors]
    return list(dict.fromkeys(faults))


def _definition(record: Record) -> str:
    if record["type"] == "stream":
        return "video_stream" if "kind" in record else "audio_stream"
    return str(record["type"])


def _inflated(path: str | os.PathLike[str]) -> bool:
    """Whether offsets are of inflated data."""
    with open(path, "rb") as file:
        head = file.read(1024)
    return head.startswith(_COMPRESSED) or _DEFLATED_DICOM in head


def _extent_faults(records: Sequence[Record], size: int) -> list[str]:
    faults = []
    complete = records[-1]["status"] == "complete"
    for record in records:
        if not complete and record["type"] not in _MET_ON_THE_WAY:
            continue  # what a header promises of a part that is missing is told as promised
        for field in ("offset", "data_offset", "header_offset", "pos"):
            at = record.get(field)
            if isinstance(at, int) and at > size:
                faults.append(f"{field} {at} lies behind the end, {size}: {record}"[:300])
        at, length = record.get("offset"), record.get("length")
        if complete and isinstance(at, int) and isinstance(length, int) and at + length > size:
            faults.append(f"{at} + {length} reaches over the end, {size}, of a complete file: {record}"[:300])
    if isinstance(records[0]["size"], int) and records[0]["size"] != size:
        faults.append(f"file.size is {records[0]['size']}, the file has {size} bytes")
    return faults
