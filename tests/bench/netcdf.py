"""NetCDF: many variables, in both formats."""

from pathlib import Path
from typing import Any, cast

import netCDF4

from tests.bench.row import MIB, Peer, Row
from tests.samples.netcdf import ClassicHeader

VARIABLES = 3_000
_PRINTED = "import sys, netCDF4; file = netCDF4.Dataset(sys.argv[1]); print(file); print(*file.variables.values())"


def write(path: Path, variables: int, model: str) -> Path:
    """`variables` over time, lat and lon, each with three attributes."""
    with netCDF4.Dataset(path, "w", format=cast("Any", model)) as file:
        file.set_fill_off()
        file.title, file.Conventions = "many variables", "CF-1.8"
        for name, size in (("time", None), ("lat", 18), ("lon", 36)):
            file.createDimension(name, size)
        for number in range(variables):
            variable = file.createVariable(f"variable{number:05}", "f4", ("time", "lat", "lon"))
            variable.setncatts({"units": "K", "long_name": f"the variable of number {number}", "scale_factor": 0.5})
    return path


def by_hand(path: Path, variables: int) -> Path:
    """A classic header of so many variables along one dimension, which the library takes quadratic time to write."""
    header, data = ClassicHeader(5), 4096 + 128 * variables
    listed = (header.variable(b"variable%06d" % number, [0], data + 40 * number) for number in range(variables))
    return header.dimensions((b"x", 10)).attributes().variables(*listed).write(path, data + 40 * variables)


def netcdf4(folder: Path) -> Path:
    """3,000 variables, in HDF5."""
    return write(folder / "netcdf4.nc", VARIABLES, "NETCDF4")


def classic(folder: Path) -> Path:
    """3,000 variables, in a classic header."""
    return write(folder / "classic.nc", VARIABLES, "NETCDF3_64BIT_OFFSET")


_NCDUMP = "ncdump -h {}"
_NETCDF4 = f"python -c '{_PRINTED}' {{}}"

ROWS = (
    Row(
        "netcdf-4",
        "NetCDF-4, 3,000 variables",
        netcdf4,
        "stream {}",
        (Peer(_NCDUMP, 0.5, "netcdf-bin"),),
        peak=32 * MIB,
    ),
    Row(
        "netcdf-classic",
        "NetCDF classic, 3,000 variables",
        classic,
        "stream {}",
        (Peer(_NETCDF4, 0.35, "netCDF4", "netCDF4, printing them", "netCDF4"), Peer(_NCDUMP, None, "netcdf-bin")),
        peak=32 * MIB,
    ),
)
