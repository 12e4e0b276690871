"""HDF5 (HDF5 File Format Specification 3.0), read by its structure.

From the outside in: `superblock` finds where everything begins, `objects` gives the objects of a file by what their
`headers` and `messages` say, `direct` walks them. `groups`, `attributes`, `layouts` and `chunks` follow what a
header points to, through `btrees` and `heaps`; `typemessages`, `datatypes` and `values` turn elements into JSON;
`space` reads the bytes. `integrity` tells what is broken from what is `unknown`; that is asked of h5py, through which
`library` is the same walk, for a file whose superblock is of no known version, too.
"""

from memx.formats.hdf5.direct import HDF5StreamReader

__all__ = ["HDF5StreamReader"]
