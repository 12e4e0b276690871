"""Where memx and an oracle, or the index of the corpus, differ and memx is held to be right: file by file.

The key is the path inside the corpus folder; the value says which differences are meant (a regular expression
that is searched in each) and why they stand. An entry that matches nothing any more fails the corpus test.
"""

from typing import NamedTuple


class Deviation(NamedTuple):
    """A difference that stands."""

    pattern: str
    reason: str


_NO_SIGNATURE = (
    "hdf5/HDFGroup__cve_hdf5/cvefiles/cve-2018-17433",
    "hdf5/HDFGroup__cve_hdf5/fuzzerfiles/gh-4585.h5",
    "hdf5/debian_hdf5/test/testfiles/family_v16-000001.h5",
    "hdf5/debian_hdf5/test/testfiles/family_v16-000002.h5",
    "hdf5/debian_hdf5/test/testfiles/family_v16-000003.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tfamily00001.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tfamily00010.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tmulti-b.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tmulti-o.h5",
    "hdf5/debian_hdf5/tools/test/h5dump/testfiles/tsplit_file-r.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00002.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00003.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00005.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00006.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00009.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00013.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00015.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00016.h5",
    "hdf5/debian_hdf5/tools/test/misc/testfiles/family_file00017.h5",
    "hdf5/debian_nexus/bindings/idl/nxext.h5",
)
"""Further members of families, files of the split and multi drivers, two that fuzzing broke, one that is HDF4."""

DEVIATIONS: dict[str, Deviation] = {
    **dict.fromkeys(
        _NO_SIGNATURE,
        Deviation("the format is binary, not hdf5", "it has no signature of HDF5, and h5py cannot open it by itself"),
    ),
    **dict.fromkeys(
        (
            "netcdf/debian_netcdf/dap4_test/nctestfiles/test_vlen3.nc",
            "netcdf/debian_netcdf/dap4_test/nctestfiles/test_vlen4.nc",
        ),
        Deviation(
            "/c_t: memx has a type that netCDF4 has not",
            "netCDF4 leaves out compounds that hold a vlen; ncdump shows it",
        ),
    ),
    "netcdf/debian_pnetcdf/src/utils/ncvalidator/bad_magic.nc": Deviation(
        "the format is binary, not netcdf", "without the magic it is no NetCDF file, and netCDF4 says so too"
    ),
    "fits/pypi_astropy/io/fits/tests/data/lzw.fits.Z": Deviation(
        "the format is binary, not fits",
        "memx reads through gzip, bzip2 and xz; Python knows no compress(1)",
    ),
}
