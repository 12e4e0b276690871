"""NetCDF: the classic formats, read directly, and netCDF-4, which is HDF5.

The readers are loaded as they are asked for, so that a classic file does not bring the HDF5 library.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memx.formats.netcdf.classic import NetCDFStreamReader
    from memx.formats.netcdf.netcdf4 import NetCDF4StreamReader

__all__ = ["NetCDF4StreamReader", "NetCDFStreamReader"]

_MODULES = {"NetCDFStreamReader": "classic", "NetCDF4StreamReader": "netcdf4"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
