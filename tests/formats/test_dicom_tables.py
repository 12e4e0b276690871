"""Dictionaries and character sets of the DICOM reader against pydicom's."""

import warnings

import pydicom.charset
import pydicom.datadict
import pytest
from pydicom._private_dict import private_dictionaries
from pydicom.tag import Tag

from memx.formats.dicom import charset, dictionary
from memx.formats.dicom.syntax import LONG, SHORT


def _pydicom(tag: int) -> tuple[str, str | None] | None:
    try:
        row = pydicom.datadict.get_entry(tag)
    except KeyError:
        return None
    return row[0], row[4] or None


def test_public_tags_are_pydicoms() -> None:
    tags = list(pydicom.datadict.DicomDictionary)
    assert len(tags) > 5000
    assert [tag for tag in tags if dictionary.entry(tag) != _pydicom(tag)] == []


def test_repeating_and_unknown_tags_are_pydicoms() -> None:
    repeating = [int(tag.replace("x", digit), 16) for tag in pydicom.datadict.RepeatersDictionary for digit in "02AF"]
    unknown = [0x00090010, 0x00091001, 0x0008FFFE, 0x60013000, 0x7FDF0010, 0xFFFFFFFF, 0x00080000]
    tags = repeating + unknown
    assert sum(dictionary.entry(tag) is not None for tag in tags) > 200
    assert [tag for tag in tags if dictionary.entry(tag) != _pydicom(tag)] == []


def test_private_tags_are_pydicoms() -> None:
    wrong, count = [], 0
    for creator, rows in private_dictionaries.items():
        for pattern in rows:
            tag = int(pattern.replace("xxxx", "2910").replace("xx", "1A"), 16)
            try:
                expected = pydicom.datadict.private_dictionary_VR(Tag(tag), creator)
            except KeyError:
                expected = None
            count += expected is not None
            if dictionary.private_vr(tag, creator) != expected:
                wrong.append((creator, pattern))
    assert wrong == []
    assert count > 10_000
    assert dictionary.private_vr(0x00291008, "nobody") is None
    assert dictionary.private_vr(0x002910FE, "SIEMENS CSA HEADER") is None


def test_vrs_are_pydicoms() -> None:
    from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

    assert set(map(str, EXPLICIT_VR_LENGTH_16)) == SHORT
    assert set(map(str, EXPLICIT_VR_LENGTH_32)) == LONG


@pytest.mark.parametrize("term", sorted(pydicom.charset.python_encoding))
def test_every_character_set_is_pydicoms(term: str) -> None:
    (name,) = pydicom.charset.convert_encodings([term])
    ours = charset.decoder((term,))
    for value in range(256):
        raw = bytes([value])
        try:
            expected = raw.decode(name)
        except UnicodeDecodeError:
            continue
        if value != 0x1B:
            assert ours(raw) == expected, (term, raw)


@pytest.mark.parametrize(
    ("terms", "raw", "text"),
    [
        # PS3.5 annexes H, I, J and K, and PS3.3 C.12.1.1.2
        (("", "ISO 2022 IR 87"), b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
        (("ISO 2022 IR 13", "ISO 2022 IR 87"), b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田"),
        (("", "ISO 2022 IR 149"), b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong^Gildong=洪^吉洞"),
        (("", "ISO 2022 IR 58"), b"Zhang=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab", "Zhang=张^小东"),
        (("ISO_IR 192",), "Wang^XiaoDong=王^小東".encode(), "Wang^XiaoDong=王^小東"),
        (("GB18030",), "Wang^XiaoDong=王^小东".encode("gb18030"), "Wang^XiaoDong=王^小东"),
        (("ISO 2022 IR 100", "ISO 2022 IR 144"), b"B\xe9^\x1b-L\xd3\xd4\tB\xe9", "Bé^гд\tBé"),
        (("ISO_IR 192", "ISO 2022 IR 100"), "é".encode(), "é"),
        (("ISO 2022 IR 100", "GBK"), b"\xe9", "é"),
        (("ISO-IR 101",), b"\xb3", "ł"),
        (("ISO_2022_IR_101",), b"\xb3", "ł"),
        (("ISO_IR 101 ",), b"\xb3", "ł"),
        (("utf-8",), "é".encode(), "é"),
        (("punycode",), b"abc-\xe9", "abc-é"),
        (("no such thing",), b"\xe9", "é"),
        (("",), b"\xe9", "é"),
        ((), b"\xe9", "é"),
        (("ISO_IR 192",), b"a\xe9b", r"a\xe9b"),
        (("ISO_IR 126", "ISO 2022 IR 144"), b"\x1b-Z\xe1", "\x1b-Z\u03b1"),
    ],
)
def test_texts(terms: tuple[str, ...], raw: bytes, text: str) -> None:
    assert charset.visible(charset.decoder(terms)(raw)) == text


@pytest.mark.parametrize("first", ["", "ISO 2022 IR 100", "ISO 2022 IR 13", "ISO_IR 192"])
@pytest.mark.parametrize("second", ["ISO 2022 IR 87", "ISO 2022 IR 159", "ISO 2022 IR 149", "ISO 2022 IR 144"])
def test_code_extensions_are_pydicoms(first: str, second: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encodings = pydicom.charset.convert_encodings([first, second])
        for text in ("A^B=山田^太郎", "пример", "洪^吉洞", "line\r\nплюш\tend"):
            try:
                raw = pydicom.charset.encode_string(text, encodings)
            except Exception:  # pydicom cannot write it so
                continue
            expected = pydicom.charset.decode_bytes(raw, encodings, {0x0D, 0x0A, 0x09, 0x0C})
            if "\ufffd" not in expected:
                assert charset.decoder((first, second))(raw) == expected
