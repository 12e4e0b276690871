"""Nothing inside a file moves, colours, hides or reorders what a terminal shows."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.cli.text import safe_json, safe_text
from memx.records import encode


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold]text[/bold] ü 漢字", "plain [bold]text[/bold] ü 漢字"),
        ("\x1b[2J\x9b2J\x7f\r\n", r"\x1b[2J\x9b2J\x7f\r\n"),
        ("a\u202eb\u2066c\u200fd\u061c", r"a\u202eb\u2066c\u200fd\u061c"),
        ("a\u00a0b\u2003c", "a b c"),
        ("\u2028\u200b\ufeff\U000e0041\ud800", r"\u2028\u200b\ufeff\U000e0041\ud800"),
    ],
)
def test_safe_text(text: str, shown: str) -> None:
    assert safe_text(text) == shown


@given(st.text(st.characters()))
def test_safe_text_is_printable_and_keeps_what_is(text: str) -> None:
    shown = safe_text(text)
    assert shown.isprintable()
    assert text.isprintable() == (shown == text)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_safe_json_means_the_same(text: str) -> None:
    line = encode({"type": "element", "value": text})
    shown = safe_json(line)
    assert shown.endswith(b"\n")
    assert shown.decode()[:-1].isprintable()
    assert json.loads(shown) == json.loads(line)
