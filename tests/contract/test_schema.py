"""memx/records.schema.json: a schema, complete in its words, and one that can say no."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from memx.engine.reading.session import error_record
from memx.errors import MemxError
from memx.records import Record
from tests.contract import schema, schema_faults
from tests.contract.sources import command, lines_of


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


def test_the_command_prints_it() -> None:
    done = command("stream", "--schema")
    assert done.returncode == 0
    assert json.loads(done.stdout) == schema()


def described(node: Any, where: str) -> Iterator[str]:
    """The members that have no description, nor refer to something that has one."""
    if not isinstance(node, dict):
        return
    for name, member in node.get("properties", {}).items():
        if "const" not in member and "description" not in member and "$ref" not in member:
            yield f"{where}.{name}"
        yield from described(member, f"{where}.{name}")
    for name, definition in node.get("$defs", {}).items():
        if "description" not in definition and "enum" not in definition:
            yield name
        yield from described(definition, name)


def test_every_field_is_described() -> None:
    assert list(described(schema(), "record")) == []


def test_every_type_is_listed_once() -> None:
    definitions = [reference["$ref"].rpartition("/")[2] for reference in schema()["oneOf"]]
    assert len(set(definitions)) == len(definitions)
    types = {schema()["$defs"][name]["properties"]["type"]["const"] for name in definitions}
    assert types == set(schema()["properties"]["type"]["enum"])


def test_codes_are_those_of_the_errors() -> None:
    def codes(kind: type[MemxError]) -> set[str]:
        return {kind.code}.union(*(codes(below) for below in kind.__subclasses__()))

    assert set(schema()["$defs"]["code"]["enum"]) == codes(MemxError)
    assert schema_faults([error_record(MemoryError()), error_record(ZeroDivisionError("x"))]) == []


def test_it_takes_every_record_of_a_sample(expected: list[Record]) -> None:
    """The whole schema, as a user would use it; the helper of the suite asks each type's part alone."""
    validator = Draft202012Validator(schema())
    firsts = {record["type"]: record for record in reversed(expected)}
    for record in firsts.values():
        assert validator.is_valid(record), record
        assert validator.is_valid(record | {"source": "x"})


def test_it_refuses_what_is_no_record(expected: list[Record]) -> None:
    validator = Draft202012Validator(schema())
    for record in {record["type"]: record for record in expected}.values():
        assert not validator.is_valid(record | {"surprise": 1}), record["type"]
        assert not validator.is_valid(record | {"type": "surprise"})
        assert schema_faults([record | {"surprise": 1}])
        for name in schema()["$defs"].get(record["type"], {}).get("required", ()):
            assert not validator.is_valid({key: item for key, item in record.items() if key != name}), name


@pytest.mark.slow
def test_it_takes_what_extract_says(sample: Path, tmp_path: Path) -> None:
    done = command("extract", sample, tmp_path / "missing")
    found, missing = lines_of(done.stdout)
    assert schema_faults([found, missing]) == []
    assert found["status"] == "complete"
    assert missing["code"] == "not-found"
    assert schema_faults([found | {"surprise": 1}])


@pytest.mark.parametrize(
    "change",
    [
        {"tag": "7fe00010"},
        {"tag": "7FE0001"},
        {"vr": "ow"},
        {"offset": -1},
        {"length": 1.5},
        {"value": "no list"},
        {"parent": "00080005"},
        {"bulk": False},
    ],
    ids=str,
)
def test_it_is_strict_about_elements(change: Record) -> None:
    element = {"type": "element", "tag": "7FE00010", "vr": "OW", "keyword": "PixelData", "offset": 8, "length": 2}
    assert schema_faults([element]) == []
    assert schema_faults([element | change])
