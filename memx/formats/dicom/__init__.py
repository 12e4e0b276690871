"""DICOM (PS3.5, PS3.10): a tokenizer that steps over values and keeps none.

- `reader`: the parts of a file, preamble, meta information, command set, data set (PS3.10 7)
- `tokenizer`: elements, sequences, items and fragments, one after the other (PS3.5 7, A.4)
- `syntax`: how an element's header is written (PS3.5 7.1, 10)
- `values`: what the bytes of a value mean (PS3.5 6.2, PS3.18 F.2)
- `charset`: what the bytes of a text mean (PS3.5 6.1, PS3.3 C.12.1.1.2)
- `dictionary`: what a tag is called and which VR it has (PS3.6), as pydicom has it
"""

from memx.formats.dicom.reader import DicomStreamReader

__all__ = ["DicomStreamReader"]
