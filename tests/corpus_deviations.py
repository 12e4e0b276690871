"""Where memx and an oracle, or the index of the corpus, differ and memx is held to be right: file by file.

The key is the path inside the corpus folder; the value says which differences are meant (a regular expression
that is searched in each) and why they stand. An entry that matches nothing any more fails the corpus test.
"""

from typing import NamedTuple


class Deviation(NamedTuple):
    """A difference that stands."""

    pattern: str
    reason: str


DEVIATIONS: dict[str, Deviation] = {
    "netcdf/debian_pnetcdf/src/utils/ncvalidator/bad_magic.nc": Deviation(
        "the format is binary, not netcdf", "without the magic it is no NetCDF file, and netCDF4 says so too"
    ),
    "fits/pypi_astropy/io/fits/tests/data/lzw.fits.Z": Deviation(
        "the format is binary, not fits",
        "memx reads through gzip, bzip2 and xz; Python knows no compress(1)",
    ),
}
