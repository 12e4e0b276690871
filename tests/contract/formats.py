"""What RECORDS.md says of the order and the sense of each format's records, beyond their fields."""

from collections.abc import Callable, Iterator, Sequence

from memx.records import Record

_TYPES = {
    "dicom": {"element"},
    "fits": {"card", "hdu"},
    "hdf5": {"group", "dataset", "datatype", "link", "chunk"},
    "netcdf": {"group", "dimension", "variable", "type", "link", "chunk"},
    "audio": {"stream", "chapter", "frame"},
    "video": {"stream", "chapter", "packet"},
    "binary": {"chunk", "digest"},
    None: set(),
}


def format_faults(records: Sequence[Record]) -> list[str]:
    """What the records of one source break of their format's rules, in words."""
    name = records[0]["format"]
    between = [record for record in records[1:-1] if record["type"] != "error"]
    foreign = {record["type"] for record in between} - _TYPES[name]
    faults = [f"{name} has no {foreign} records"] if foreign else []
    cut = (records[-1]["reason"] or "").startswith("cut after")
    rule = _RULES.get(name)
    if rule is not None and not foreign:
        faults += rule(between, records[-1]["status"] == "complete" and not cut)
    return faults[:20]


def _dicom(elements: Sequence[Record], _complete: bool) -> Iterator[str]:
    """PS3.5 7.1: tags ascend within a data set; an element inside a sequence comes after that sequence."""
    sequences = set()
    for element in elements:
        parent = element.get("parent")
        path = element["tag"] if parent is None else f"{parent}.{element['tag']}"
        if parent is not None and parent[: parent.rindex("[")] not in sequences:
            yield f"{element['tag']} comes before its sequence {parent}"
        if element["vr"] == "SQ":
            sequences.add(path)
            if element.get("value"):
                yield f"the sequence {element['tag']} has a value: {element['value']}"[:300]
        elif sum(member in element for member in ("value", "inline_binary", "bulk")) != 1:
            yield f"{element['tag']} must have a value, inline_binary or bulk: {element}"[:300]


def _fits(records: Sequence[Record], complete: bool) -> Iterator[str]:
    """Each HDU's cards, then its hdu."""
    index = 0
    for record in records:
        here = record["hdu"] if record["type"] == "card" else record["index"]
        if here != index:
            yield f"{record['type']} of HDU {here} where HDU {index} is read"
            return
        if record["type"] == "hdu":
            index += 1
            if record["data_offset"] < record["header_offset"]:
                yield f"the data of HDU {here} lies before its header"
    if complete and (not records or records[-1]["type"] != "hdu"):
        yield "the last record of a complete file is no hdu"


def _hdf5(records: Sequence[Record], complete: bool) -> Iterator[str]:
    """Every object once; a hard link leads to an object that has its record."""
    places = [(record["path"], record["address"]) for record in records if "address" in record]
    if complete and len({address for _, address in places}) != len(places):
        yield f"an object stands twice: {[place for place in places if [at for _, at in places].count(place[1]) > 1]}"
    own = {record["path"] for record in records if record["type"] != "link"}
    if complete and "/" not in own:
        yield "no record of the root group"
    for record in records:
        if record["type"] == "link" and record["kind"] == "hard" and record["target"] not in own and complete:
            yield f"the hard link {record['path']} leads to {record['target']}, which has no record"
        if record["type"] == "link" and (record["kind"] == "external") != (record.get("file") is not None):
            yield f"the {record['kind']} link {record['path']} has the file {record.get('file')!r}"


def _netcdf(records: Sequence[Record], complete: bool) -> Iterator[str]:
    for record in records:
        shape = record.get("shape")
        if record["type"] == "variable" and isinstance(shape, list) and len(shape) != len(record["dimensions"]):
            yield f"{record['path']} has {record['dimensions']} and the shape {shape}"
    if complete and not any(record["type"] == "group" and record["path"] == "/" for record in records):
        yield "no record of the root group"


def _audio(records: Sequence[Record], complete: bool) -> Iterator[str]:
    """The streams, then their frames, each stream's counted from 0, with one number a channel."""
    streams = {record["index"]: record for record in records if record["type"] == "stream"}
    last: dict[int, tuple[int, float]] = {}
    if complete and not streams:
        yield "no stream"
    for record in records:
        if record["type"] != "frame":
            if last:
                yield f"a {record['type']} after the first frame"
            continue
        here = record.get("stream_index", next(iter(streams), None))
        if here not in streams or ("stream_index" not in record and len(streams) > 1):
            yield f"a frame of stream {here}, one of {list(streams)}"
            return
        index, time = last.get(here, (-1, -1.0))
        if record["index"] != index + 1 or record["time_s"] <= time:
            yield f"frame {record['index']} at {record['time_s']} s where frame {index + 1} was due"
            return
        if len(record["rms"]) != streams[here]["channels"]:
            yield f"frame {index} has {len(record['rms'])} numbers for {streams[here]['channels']} channels"
        last[here] = record["index"], record["time_s"]


def _video(records: Sequence[Record], _complete: bool) -> Iterator[str]:
    """Streams and chapters first; a packet is of a stream that was told."""
    streams: set[int] = set()
    packets = False
    for record in records:
        if record["type"] == "packet":
            packets = True
            if record["stream_index"] not in streams:
                yield f"a packet of stream {record['stream_index']}, which was not told"
                return
        else:
            if packets and record["type"] != "stream":
                yield f"a {record['type']} after the first packet"
            if record["type"] == "stream":
                if record["index"] in streams:
                    yield f"stream {record['index']} stands twice"
                streams.add(record["index"])


def _binary(records: Sequence[Record], complete: bool) -> Iterator[str]:
    """Chunks without a gap, then one digest of as many bytes."""
    at = 0
    for index, record in enumerate(records):
        if record["type"] == "chunk":
            if record["index"] != index or record["offset"] != at or not record["length"]:
                yield f"chunk {index} is {record}, {at} was due"
            at = record["offset"] + record["length"]
        elif index != len(records) - 1 or record["size"] != at:
            yield f"the digest of {record['size']} bytes stands at {index} after {at} bytes"
    if complete and (not records or records[-1]["type"] != "digest"):
        yield "no digest"


_RULES: dict[str | None, Callable[[Sequence[Record], bool], Iterator[str]]] = {
    "dicom": _dicom,
    "fits": _fits,
    "hdf5": _hdf5,
    "netcdf": _netcdf,
    "audio": _audio,
    "video": _video,
    "binary": _binary,
}
