"""Objects that are nearly like the one before them, of which memx remembers how it was laid out."""

from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pytest

from memx.engine.reading.streaming import stream

VALUES: list[dict[str, Any]] = [
    {"a": 1, "b": "text", "c": 0.5},
    {"a": 1, "b": "other", "c": 0.5},
    {"a": 1, "b": "other", "c": [0.5, 1.5]},
    {"a": 1, "b": 2, "c": "text"},
    {"a": 2, "c": 0.5, "b": "text"},
    {"a": 2, "c": 1.5, "d": "text"},
    {"a": 2},
    {},
    {"b": "text", "a": 1, "c": 0.5},
    {"a": 1, "b": "text" * 200, "c": 0.5},
    {"a": 1, "b": "", "c": 0.5},
]


@pytest.mark.parametrize("track_order", [False, True])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_objects_nearly_alike_have_their_own_attributes(
    tmp_path: Path, libver: Literal["earliest", "latest"], track_order: bool
) -> None:
    path, wanted = tmp_path / "alike.h5", {}
    with h5py.File(path, "w", libver=libver) as file:
        for turn in range(4):
            for number, values in enumerate(VALUES):
                name = f"{turn}-{number:02}" if turn % 2 else f"{number:02}-{turn}"
                data_set = file.create_dataset(name, data=np.arange(3), track_order=track_order)
                for label, value in values.items():
                    data_set.attrs[label] = value
                wanted[f"/{name}"] = values
    told = {record["path"]: record for record in stream(str(path)) if record["type"] == "dataset"}
    assert {path: record["attributes"] for path, record in told.items()} == wanted
    assert all(list(record["attributes"]) == sorted(record["attributes"]) for record in told.values())


def test_an_attribute_that_breaks_off_is_told_of_where_those_of_objects_like_it_are_sound(tmp_path: Path) -> None:
    path = tmp_path / "broken.h5"
    with h5py.File(path, "w") as file:
        for number in range(6):
            file.create_dataset(f"d{number}", data=np.arange(3)).attrs.update({"a": number, "b": f"text{number}"})
    raw = path.read_bytes()
    at = raw.index(b"text4") - 8
    path.write_bytes(raw[:at] + (3).to_bytes(8, "little") + raw[at + 8 :])  # shorter than what refers to it
    records = [record for record in stream(str(path)) if record["type"] in ("dataset", "error")]
    at = next(index for index, record in enumerate(records) if record["type"] == "error")
    assert [record["type"] for record in records].count("error") == 1
    assert records[at - 1]["path"] == "/d4"
    assert records[at - 1]["attributes"] == {"a": 4}
    assert records[at + 1]["attributes"] == {"a": 5, "b": "text5"}
