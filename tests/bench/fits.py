"""FITS: many headers, far apart."""

from pathlib import Path

from tests.bench.row import MIB, Peer, Row
from tests.samples.fits import BLOCK, header

_FITSIO = """
import sys, fitsio
with fitsio.FITS(sys.argv[1]) as file:
    for hdu in file:
        for record in hdu.read_header().records():
            print(record["name"], record["value"], record["comment"])
"""


def _hdu(number: int, cards: int, rows: int) -> bytes:
    """The header of an image of `rows` blocks, with so many cards."""
    first = "XTENSION= 'IMAGE   '" if number else "SIMPLE  =                    T"
    mandatory = [first, "BITPIX  =                    8", "NAXIS   =                    2"]
    mandatory += [f"NAXIS1  = {BLOCK:>20} / length of axis 1", f"NAXIS2  = {rows:>20} / length of axis 2"]
    if number:
        mandatory += ["PCOUNT  =                    0", "GCOUNT  =                    1", f"EXTNAME = 'CCD{number:05}'"]
    common = ["{n:>20}", "{n:>18}.5", "'text {n:06}'      ", "                   T"]
    kinds = [*common, "{m:>20}", "{m:>18}.5", "'text {m:06}'      ", "{m:>14}.25E-1"]  # other in each HDU
    rest = (
        f"KEY{n:05}= {kinds[n % len(kinds)].format(n=n, m=n * 1000 + number)} / what key {n} is about"
        for n in range(cards - len(mandatory))
    )
    return header(*mandatory, *rest)


def write(path: Path, hdus: int, cards: int = 100, rows: int = 360) -> Path:
    """A file of `hdus` images, each of `rows` blocks of 2,880 bytes, which are holes."""
    with path.open("wb") as out:
        for number in range(hdus):
            out.write(_hdu(number, cards, rows))
            out.seek(rows * BLOCK, 1)
        out.truncate(out.tell())
    return path


def hdus(folder: Path) -> Path:
    """500 HDUs of 100 cards, 1 MB of data each."""
    return write(folder / "hdus.fits", 500)


ROWS = (
    Row(
        "fits-hdus",
        "FITS, 500 HDUs of 100 cards",
        hdus,
        "stream {}",
        (
            Peer("fitsheader {}", 0.15, "astropy"),
            Peer(f"python -c '{_FITSIO}' {{}}", None, "fitsio", "fitsio, printing them", "fitsio"),
        ),
        peak=32 * MIB,
    ),
)
