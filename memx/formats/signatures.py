"""How the first bytes of a file tell its format. Nothing here imports a library or reads a file.

Each function takes the first bytes and the suffix of the name (lower case, with its dot, may be empty). The
bytes decide; a suffix only tips what they leave open, and never stands alone.
"""

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_dicom(head: bytes, suffix: str) -> bool:
    """The preamble and prefix of PS3.10 7.1, or, without them, a first data element that holds together."""
    return head[128:132] == b"DICM" or _begins_with_element(head, suffix)


def _begins_with_element(head: bytes, suffix: str) -> bool:
    return False  # TODO


def is_fits(head: bytes, _suffix: str) -> bool:
    """FITS 4.0, 4.4.1.1: the first card is SIMPLE with a logical value."""
    return head.startswith(b"SIMPLE  =") and head[10:80].split(b"/")[0].strip() in (b"T", b"F")


def is_hdf5(head: bytes, _suffix: str) -> bool:
    """HDF5 File Format Specification 3.0, II.A: the signature, at 0 or behind a user block of 512 times 2**n."""
    return any(head[at : at + 8] == HDF5_SIGNATURE for at in (0, 512, 1024, 2048))


def is_netcdf_classic(head: bytes, _suffix: str) -> bool:
    """The magic of the classic format and its two extensions (NetCDF User's Guide, file format specifications)."""
    return head[:4] in (b"CDF\x01", b"CDF\x02", b"CDF\x05")


def is_video(head: bytes, suffix: str) -> bool:
    """Containers that can hold a moving picture; whether they do is for the reader to find out."""
    return False  # TODO


def is_audio(head: bytes, suffix: str) -> bool:
    """Sound files, and streams of compressed sound without a container."""
    return False  # TODO
