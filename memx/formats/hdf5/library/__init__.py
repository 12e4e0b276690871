"""HDF5 through libhdf5, one object at a time.

`handles` opens and lists, `datatypes` names types, `values` turns what attributes hold into JSON, and
`storage` tells how a dataset lies in the file. The reader walks with them.
"""

from memx.formats.hdf5.library.reader import HDF5StreamReader

__all__ = ["HDF5StreamReader"]
