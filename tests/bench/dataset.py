"""Many files: one document each, in workers."""

from tests.bench.dicom import small_files
from tests.bench.row import Peer, Row

_PYDICOM = """
import glob, sys, pydicom
for path in glob.glob(sys.argv[1] + "/*.dcm"):
    print(pydicom.dcmread(path, stop_before_pixels=True).to_json())
"""

_LOOP = f"python -c '{_PYDICOM}' {{}}"
_TITLE = "pydicom, dcmread().to_json()"

ROWS = (
    Row(
        "dataset",
        "2,000 DICOM files, a document each, two workers",
        small_files,
        "extract -j 2 {}",
        (
            Peer(_LOOP, 0.2, "pydicom", _TITLE, "pydicom"),
            Peer("memx extract -j 1 {}", 1 / 1.7, title="memx, one worker"),
        ),
    ),
    Row(
        "dataset-here",
        "2,000 DICOM files, a document each, no worker",
        small_files,
        "extract {}",
        (Peer(_LOOP, None, "pydicom", _TITLE, "pydicom"),),
    ),
)
