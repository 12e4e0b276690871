"""Text from inside a file, made harmless to a terminal."""

import sys


def safe_text(text: str) -> str:
    r"""`text` with all that would move, colour, hide or reorder what a terminal shows as backslash escapes.

    That is what Unicode calls controls, format characters (the bidirectional ones of UAX 9 among them), line
    separators, surrogates, private and unassigned characters; a strange space becomes a plain one. Rich's
    markup needs no escape: nothing in memx reads markup.

    >>> safe_text("a\x1b[31mb\u202ec")
    'a\\x1b[31mb\\u202ec'
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    import unicodedata

    if unicodedata.category(character) == "Zs":
        return " "
    return character.encode("unicode_escape").decode("ascii")


def say(message: str) -> None:
    """One line for people, to standard error, if there is one; more only of the help."""
    if sys.stderr is not None:
        print(message if message.startswith("Usage: ") else f"memx: {safe_text(message)}", file=sys.stderr)


def safe_json(block: bytes) -> bytes:
    r"""Lines of JSON for a terminal: whatever is not printable as `\u` escapes. They mean the same as before.

    Strict JSON has to escape only what is below U+0020; a terminal obeys the C1 controls too, and hides or
    reorders at others.
    """
    text = block.decode("utf-8", "replace")
    return "\n".join(line if line.isprintable() else _escaped_json(line) for line in text.split("\n")).encode()


def _escaped_json(line: str) -> str:
    import json

    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in line)
