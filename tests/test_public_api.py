"""The names that `memx` gives, all of them."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import memx

FORMATS = ("Audio", "Binary", "Dicom", "Fits", "HDF5", "NetCDF", "Video")


def test_all_is_sorted_and_whole() -> None:
    assert memx.__all__ == sorted(set(memx.__all__))
    assert set(memx.__all__) <= set(dir(memx))
    wanted = {"ReadOptions", "Stream", "StreamOptions", "StreamReader", "StreamingExtractionFactory", "stream"}
    assert wanted | {f"{name}StreamReader" for name in FORMATS} <= set(memx.__all__)


def test_every_error_is_public() -> None:
    from memx import errors

    classes = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == "memx.errors"
    }
    assert classes <= set(memx.__all__)


@pytest.mark.parametrize("name", memx.__all__)
def test_a_name_is_what_its_module_calls_it(name: str) -> None:
    home = next(module for module, names in memx._HOMES.items() if name in names)
    value = getattr(memx, name)
    assert value is getattr(importlib.import_module(home), name)
    assert value.__name__ == name
    assert value.__doc__


def test_type_checkers_are_told_the_same() -> None:
    tree = ast.parse(Path(memx.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    told = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert told == memx._HOME_OF


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Strem'"):
        memx.Strem  # noqa: B018


def test_importing_memx_imports_nothing_else() -> None:
    code = "import sys; before = set(sys.modules); import memx; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == ["memx"]
