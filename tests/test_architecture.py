"""The house as DESIGN.md draws it, read from the imports themselves."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import memx

PACKAGE = Path(memx.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

LAYERS = ("sources", "formats", "engine", "cli")
"""From the ground up: each may import what stands before it."""
GROUND = {"errors", "records", "units"}
"""Under all layers, and on nothing but each other."""
LIBRARIES = ("pydicom", "astropy", "h5py", "netCDF4", "soundfile", "av", "numpy", "scipy", "rich", "typer", "psutil")


def name_of(path: Path) -> str:
    """`memx.formats.binary` of `memx/formats/binary.py`."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """The full name of every module that `path` imports anywhere, in functions too."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = f"{base}.{node.module}".strip(".") if node.module else base
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def layer_of(name: str) -> str | None:
    """The part of the house that a module of memx stands in: `formats` of `memx.formats.binary`."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "memx" else None


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    here = layer_of(name_of(path))
    wrong = set()
    for name in imports(path):
        there = layer_of(name)
        if there is None or there == here:
            continue
        if here in LAYERS and there in LAYERS and LAYERS.index(there) > LAYERS.index(here):
            wrong.add(name)
        if here in GROUND and there not in GROUND:
            wrong.add(name)
    assert not wrong, f"{name_of(path)} reaches up to {sorted(wrong)}"


ROOMS = ("memory", "collector", "analysis", "workers", "reading", "dataset", "profile", "tuning")
"""The rooms of the engine, from the ground up: each may import what stands before it, and `engine.options`."""


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent.parent.name == "engine"], ids=name_of)
def test_rooms_of_the_engine_point_one_way(path: Path) -> None:
    here = ROOMS.index(path.parent.name)
    there = {name.split(".")[2] for name in imports(path) if name.startswith("memx.engine.")} - {"options"}
    wrong = {room for room in there if room not in ROOMS or ROOMS.index(room) > here}
    assert not wrong, f"{name_of(path)} reaches up to {sorted(wrong)}"


SHARED_BY_FORMATS = {"base", "signatures"}
"""What stands in `formats` and is no format: see its package docstring."""
MAY_IMPORT = {("netcdf", "hdf5")}
"""netCDF-4 is HDF5."""


def formats_of_table() -> set[str]:
    from memx.formats import FORMATS

    return {row.module.split(".")[2] for row in FORMATS}


@pytest.mark.parametrize("path", [path for path in MODULES if "formats" in path.parts], ids=name_of)
def test_formats_never_import_each_other(path: Path) -> None:
    formats = formats_of_table()
    parts = name_of(path).split(".")
    here = parts[2] if len(parts) > 2 else None
    there = {name.split(".")[2] for name in imports(path) if name.startswith("memx.formats.") and name.count(".") > 1}
    if here in formats:
        wrong = {other for other in there & formats - {here} if (here, other) not in MAY_IMPORT}
    else:
        wrong = there & formats  # the table names them as text; what they share knows none of them
    assert not wrong, f"{name_of(path)} imports {sorted(wrong)}"


def test_the_table_names_readers_that_are_there() -> None:
    from memx.formats import FORMATS
    from memx.formats.base import StreamReader

    for row in FORMATS:
        reader = row.load()
        assert issubclass(reader, StreamReader)
        assert reader.format == row.name
    assert len({row.key for row in FORMATS}) == len(FORMATS)
    assert FORMATS[-1].name == "binary"


def test_no_module_of_odds_and_ends_or_in_the_way_of_another() -> None:
    names = {path.stem for path in MODULES} - {"__init__", "__main__"}
    assert not names & {"utils", "util", "helpers", "common", "misc"}
    top = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not top & (set(sys.stdlib_module_names) | set(LIBRARIES)) - {"__init__", "__main__"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_module_is_small_and_says_what_it_is(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") <= 600, "split it into a package"
    assert ast.get_docstring(ast.parse(text)), "no docstring"
    assert "../shared" not in text
    assert "/work/" not in text
    assert "MEMX_CORPUS" not in text


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_functions_are_short_enough_to_see_whole(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            # a command's signature is its table of options: only what is done counts
            body = node.body[1:] if ast.get_docstring(node) else node.body
            length = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            assert length <= 50, f"{name_of(path)}.{node.name} has {length} lines"


def test_public_names_are_sorted_and_there() -> None:
    assert memx.__all__ == sorted(memx.__all__)
    assert len(set(memx.__all__)) == len(memx.__all__)
    for name in memx.__all__:
        assert getattr(memx, name) is not None


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=60)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    ["import memx", "import memx.engine.reading.streaming", "import memx.formats, memx.sources, memx.formats.base"],
)
def test_importing_loads_no_library(code: str) -> None:
    assert not loaded_after(code) & set(LIBRARIES)


def test_reading_a_small_unknown_file_loads_no_library(tmp_path: Path) -> None:
    path = tmp_path / "small.bin"
    path.write_bytes(bytes(1000))
    code = f"from memx.engine.reading.streaming import stream; list(stream({str(path)!r}))"
    assert not loaded_after(code) & set(LIBRARIES)


def test_the_version_is_quick_to_say() -> None:
    code = "from memx.cli import main; main(['--version'])"
    assert not loaded_after(code) & set(LIBRARIES)
