"""Cards, one by one: against what the standard says, and against astropy."""

import warnings
from typing import Any

import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from memx.formats.fits.cards import _PLAIN, LongString, _parse_odd, is_end, parse_card
from memx.records import plain

PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x7E)
KEYWORDS = st.from_regex(r"[A-Z0-9_-]{1,8}", fullmatch=True).filter(
    lambda keyword: keyword not in ("END", "COMMENT", "HISTORY", "CONTINUE", "HIERARCH")
)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.booleans() | NUMBERS | st.text(PRINTABLE, max_size=200) | st.none()


def card(text: str) -> tuple[str, Any, str]:
    return parse_card(text.ljust(80))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("KEY     = 'it''s'  / c", ("KEY", "it's", "c")),
        ("KEY     = ''", ("KEY", "", "")),
        ("KEY     = '    '", ("KEY", "", "")),
        ("KEY     = ' x  '", ("KEY", " x", "")),
        ("KEY     = '' / see 'doc'", ("KEY", "", "see 'doc'")),
        ("KEY     = 'a'' / b'", ("KEY", "a' / b", "")),
        ("KEY     = 'it's' / c", ("KEY", "it's", "c")),
        ("KEY     = 'open / c", ("KEY", "'open", "c")),
        ("KEY     =                    T / c", ("KEY", True, "c")),
        ("KEY     = F/c", ("KEY", False, "c")),
        ("KEY     =                  -12", ("KEY", -12, "")),
        ("KEY     = 0012", ("KEY", 12, "")),
        ("KEY     = 123456789012345678901234567890", ("KEY", 123456789012345678901234567890, "")),
        ("KEY     = 1.5D-3", ("KEY", 0.0015, "")),
        ("KEY     = 1.5e3", ("KEY", 1500.0, "")),
        ("KEY     = 7.", ("KEY", 7.0, "")),
        ("KEY     = .5", ("KEY", 0.5, "")),
        ("KEY     = - 5", ("KEY", -5, "")),
        ("KEY     = 1E999", ("KEY", "Infinity", "")),
        ("KEY     = (1, -2.5D0) / c", ("KEY", [1.0, -2.5], "c")),
        ("KEY     = / nothing", ("KEY", None, "nothing")),
        ("KEY     =", ("KEY", None, "")),
        ("KEY     = 1 2 / c", ("KEY", "1 2", "c")),
        ("KEY     =5", ("KEY", "=5", "")),
        ("KEY = 5 / c", ("KEY", 5, "c")),
        ("key     = 5", ("KEY", 5, "")),
        ("KEY       text", ("KEY", "  text", "")),
        ("COMMENT = 'text' / c", ("COMMENT", "= 'text' / c", "")),
        ("COMMENT=  text = that", ("COMMENT", "  text = that", "")),
        ("HISTORY   text", ("HISTORY", "  text", "")),
        ("        text", ("", "text", "")),
        ("HIERARCH ESO INS ID = 'x' / c", ("ESO INS ID", "x", "c")),
        ("HIERARCH a.b=5", ("a.b", 5, "")),
        ("HIERARCH no value", ("HIERARCH", " no value", "")),
        ("DP1     = 'AXIS.1: 2' / c", ("DP1.AXIS.1", 2.0, "c")),
        ("KEY     = 'b: two'", ("KEY", "b: two", "")),
        ("KEY     = 'a\tb'", ("KEY", "a\tb", "")),
        ("CONTINUE  'lost' / c", ("CONTINUE", "lost", "c")),
        ("= 5", ("", 5, "")),
    ],
)
def test_card(text: str, expected: tuple[str, Any, str]) -> None:
    found = card(text)
    assert found == expected
    assert type(found[1]) is type(expected[1])


def test_bytes_that_are_no_ascii_are_kept() -> None:
    def decoded(raw: bytes) -> tuple[str, Any, str]:
        return card(raw.decode("ascii", "surrogateescape"))

    assert decoded(b"KEY     = '\xc3\xa9' / \xb5m") == ("KEY", "é", "\\xb5m")
    assert decoded(b"COMMENT \xff") == ("COMMENT", "\\xff", "")
    assert decoded(b"K\xe9     = 5") == ("K\\xe9", 5, "")


@pytest.mark.parametrize("text", ["END", "END     ", "END\0", "END / x"])
def test_end(text: str) -> None:
    assert is_end(text.ljust(80))


@pytest.mark.parametrize("text", ["ENDER   = 5", "END_X", "END2"])
def test_no_end(text: str) -> None:
    assert not is_end(text.ljust(80))


@given(KEYWORDS, VALUES, st.text(PRINTABLE, max_size=60))
def test_what_astropy_writes_comes_back(keyword: str, value: Any, comment: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = str(fits.Card(keyword, value, comment))
    first, rest = image[:80], [image[at : at + 80] for at in range(80, len(image), 80)]
    found, got, said = parse_card(first)
    if rest:
        long = LongString(first, 0, 1 << 16)
        assert all(long.add(more) for more in rest)
        got = long.into({"value": got, "comment": said})["value"]
    if isinstance(value, float):  # astropy writes at most 20 characters of a number
        assert got == pytest.approx(value, rel=1e-9)
    elif "." in found:
        assert found.startswith(f"{keyword}.")
    else:
        assert (found, got) == (keyword, value.rstrip() if isinstance(value, str) else value)


@given(st.text(st.sampled_from("KEY= '/TF1.2E-()&:A\t") | PRINTABLE, min_size=1, max_size=70))
def test_any_text_is_a_card_as_astropy_sees_it(text: str) -> None:
    image = f"KEY     = {text}".ljust(80)
    ours = parse_card(image)
    assert plain(ours[1]) == ours[1]
    theirs = fits.Card.fromstring(image)
    try:
        expected = theirs.keyword, plain(theirs.value), theirs.comment
    except fits.VerifyError:
        return
    if "''" in text:
        return  # astropy may end a string at a doubled quote, which the standard's 4.2.1.1 forbids
    if isinstance(theirs.value, fits.card.Undefined):
        expected = theirs.keyword, None, theirs.comment
    assert ours == expected


@given(st.text(st.sampled_from("KEYtf= '/TF1.2E-()&:Ae\t\0\udcff"), max_size=80))
def test_the_short_cut_says_what_the_long_way_says(text: str) -> None:
    image = text.ljust(80)
    for candidate in (image, ("KEY     = " + text)[:80].ljust(80)):
        if _PLAIN.match(candidate):
            assert parse_card(candidate) == _parse_odd(candidate)


class TestLongString:
    def record(self) -> dict[str, Any]:
        return {"type": "card", "hdu": 0, "keyword": "LONG", "value": "a&", "comment": ""}

    def test_joined_as_astropy_joins(self) -> None:
        images = ["LONG    = 'it''s &' / one", "CONTINUE  'two ' / two", "CONTINUE  '&'", "CONTINUE  'x&' / three"]
        images = [image.ljust(80) for image in images]
        long = LongString(images[0], 0, 100)
        assert all(long.add(image) for image in images[1:])
        found = long.into(self.record())
        expected = fits.Card.fromstring("".join(images))
        assert (found["value"], found["comment"]) == (expected.value, expected.comment)
        assert found["value"] == "it's twox"

    def test_alone_it_keeps_its_ampersand(self) -> None:
        assert LongString("LONG    = 'a&'".ljust(80), 0, 100).into(self.record()) == self.record()

    def test_what_is_no_string_is_not_continued(self) -> None:
        assert not LongString("LONG    = 5".ljust(80), 0, 100).add("CONTINUE  'x'".ljust(80))
        assert not LongString("COMMENT = 'x'".ljust(80), 0, 100).add("CONTINUE  'x'".ljust(80))
        assert not LongString("LONG    = 'x'".ljust(80), 0, 100).add("CONTINUE  5".ljust(80))

    def test_over_the_limit_it_says_where_it_lies(self) -> None:
        long = LongString("LONG    = 'abc&'".ljust(80), 800, 8)
        assert long.add("CONTINUE  'defghijk'".ljust(80))
        found = long.into(self.record())
        assert "value" not in found
        assert (found["offset"], found["length"], found["bulk"]) == (810, 150, True)
