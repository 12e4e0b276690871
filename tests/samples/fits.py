"""FITS files of every kind of HDU and card."""

import gzip
import warnings
from pathlib import Path

import numpy as np
from astropy.io import fits

CARD, BLOCK = 80, 2880


def header(*cards: str) -> bytes:
    """The bytes of a header with these cards, END and padding."""
    raw = "".join(card.ljust(CARD) for card in (*cards, "END")).encode("latin-1")
    return raw.ljust(-(-len(raw) // BLOCK) * BLOCK)


def primary(*cards: str) -> bytes:
    """A primary header without data."""
    return header(
        "SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0", *cards
    )


def build(folder: Path) -> Path:
    """Every kind of HDU, long strings, HIERARCH, record-valued cards, every type of value."""
    path = folder / "every.fits"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        hdus = fits.HDUList(
            [_primary(), _image(), _binary_table(), _ascii_table(), _compressed(), fits.ImageHDU(name="EMPTY", ver=2)]
        )
        hdus.writeto(path, overwrite=True, output_verify="silentfix")
    return path


def build_groups(folder: Path) -> Path:
    """Random groups."""
    path = folder / "groups.fits"
    data = fits.GroupData(
        np.arange(60, dtype="f4").reshape(10, 1, 1, 2, 3),
        bitpix=-32,
        pardata=[np.arange(10), np.ones(10)],
        parnames=["U", "V"],
    )
    fits.GroupsHDU(data).writeto(path, overwrite=True)
    return path


def build_gzip(folder: Path) -> Path:
    """`build`, in gzip."""
    path = folder / "every.fits.gz"
    path.write_bytes(gzip.compress(build(folder).read_bytes(), mtime=0))
    return path


def build_small(folder: Path) -> Path:
    """The structure of the giant, 8 MiB."""
    return _sparse(folder / "small.fits", 8 << 20)


def build_giant(folder: Path) -> Path:
    """100 GiB: an image, all of it a hole, and an HDU behind it."""
    return _sparse(folder / "giant.fits", 100 << 30)


def _sparse(path: Path, size: int) -> Path:
    rows = -(-size // BLOCK)
    first = header(
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        f"NAXIS1  = {BLOCK:>20}",
        f"NAXIS2  = {rows:>20}",
    )
    last = header(
        "XTENSION= 'IMAGE   '", "BITPIX  = 8", "NAXIS   = 0", "PCOUNT  = 0", "GCOUNT  = 1", "EXTNAME = 'LAST'"
    )
    with path.open("wb") as file:
        file.write(first)
        file.seek(rows * BLOCK, 1)
        file.write(last)
    return path


def _primary() -> fits.PrimaryHDU:
    hdu = fits.PrimaryHDU(np.arange(24, dtype="i2").reshape(2, 3, 4))
    cards = hdu.header
    cards["TEXT"] = "it's O''Brien's", "quotes"
    cards["TRUE"], cards["FALSE"] = True, False
    cards["BIG"] = 12345678901234567890
    cards["REAL"], cards["COMPLEX"] = -1.5e-30, complex(1, -2.5)
    cards["NOTHING"] = None, "no value"
    cards["LONG"] = "long " * 100 + "string's end", "a comment that is long, too, " * 4
    cards["HIERARCH ESO INS OPTI-3 ID"] = "ESO#427", "a HIERARCH card"
    cards.append(fits.Card("DP1", "AXIS.1: 2", "record-valued"))
    cards.add_comment("a comment")
    cards.add_history("some history")
    cards.append(("", "text without a keyword"), end=True)
    return hdu


def _image() -> fits.ImageHDU:
    return fits.ImageHDU(np.zeros((5, 7), "f8"), name="Image")


def _binary_table() -> fits.BinTableHDU:
    ragged = np.array([np.arange(3, dtype="i4"), np.arange(5, dtype="i4")], dtype=object)
    columns = [
        fits.Column("number", "J", unit="count", null=-1, disp="I6", array=[1, 2]),
        fits.Column("scaled", "E", bscale=0.5, bzero=10.0, array=np.ones(2, "f4")),
        fits.Column("matrix", "6E", dim="(3,2)", unit="m/s", array=np.ones((2, 2, 3))),
        fits.Column("name", "8A", array=["a", "b"]),
        fits.Column("ragged", "PJ()", array=ragged),
    ]
    return fits.BinTableHDU.from_columns(columns, name="TABLE")


def _ascii_table() -> fits.TableHDU:
    columns = [fits.Column("wave", "F8.3", unit="nm", array=[1.5, 2.5]), fits.Column("id", "A4", array=["a", "b"])]
    return fits.TableHDU.from_columns(columns, name="ASCII")


def _compressed() -> fits.CompImageHDU:
    return fits.CompImageHDU(np.zeros((20, 30), "i2"), compression_type="RICE_1", tile_shape=(5, 30), name="PACKED")
