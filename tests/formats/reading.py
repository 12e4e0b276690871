"""What a reader tells of a video, for the tests of several."""

from pathlib import Path
from typing import Any

from memx.errors import MemxError
from memx.formats.base import ReadOptions, StreamReader
from memx.sources import open_source

Told = tuple[dict[str, Any], list[dict[str, Any]], str | None]


def read(path: Path, reader: type[StreamReader], **options: Any) -> Told:
    """What the `file` line gets, the records, and the code of the error behind them."""
    records: list[dict[str, Any]] = []
    with open_source(path) as source, reader(source, ReadOptions(**options)) as opened:
        added = opened.begin()
        try:
            for record in opened.records():
                records.append(record)  # noqa: PERF402 - what came before an error stands
        except MemxError as exc:
            return added, records, exc.code
    return added, records, None


def packets(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The `packet` records among `records`."""
    return [record for record in records if record["type"] == "packet"]
