"""HDF5 (HDF5 File Format Specification 3.0), read through h5py's low-level interface: see `library`."""

from memx.formats.hdf5.library import HDF5StreamReader

__all__ = ["HDF5StreamReader"]
