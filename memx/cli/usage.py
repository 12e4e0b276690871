"""What was wrong with a call, in one line: what was typed, what was meant, and who can tell more."""

import re
from collections.abc import Iterable
from typing import Any

_COMMAND = re.compile(r"No such command '(.*?)'(?:\. Did you mean .*)?\.?$", re.DOTALL)
_CHOICE = re.compile(r"'(.*)' is not one of (.*)", re.DOTALL)

_MISUSED = re.compile(r"Option '(.*)' (requires an argument|does not take a value)\.$", re.DOTALL)
_EXTRA = re.compile(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)\.?$", re.DOTALL)


def explained(exc: Any) -> str:
    """What typer found wrong (`exc` is a TyperException); the whole help where nothing was asked for."""
    context = getattr(exc, "ctx", None)
    message: str = exc.format_message()
    if found := _MISUSED.match(message):
        message = f"{found[1]} {'needs a value' if found[2] == 'requires an argument' else 'takes no value'}"
    elif context is not None and "\n" not in message:
        message = _wrong(exc, context, message)
    return message if context is None or "\n" in message else f"{message}; see {context.command_path} --help"


def _wrong(exc: Any, context: Any, message: str) -> str:
    """What was wrong with a command, an option, an argument or their value."""
    parameter = getattr(exc, "param", None)
    if hasattr(exc, "possibilities"):
        names = [name for one in context.command.get_params(context) for name in one.opts]
        return f"there is no option {exc.option_name}{meant(exc.option_name, names)}"
    if found := _COMMAND.match(exc.message):
        return f"there is no command {found[1]}{meant(found[1], getattr(context.command, 'commands', ()))}"
    if found := _EXTRA.match(message):
        return f"{context.command_path} takes no {found[1]!r}"
    if parameter is not None and not exc.message:
        return "nothing to read: give SOURCE..."
    if parameter is not None:
        return f"{_said_by(parameter, context)}: {_choice(exc.message, parameter)}".rstrip(".")
    return message.rstrip(".")


def _said_by(parameter: Any, context: Any) -> str:
    """Where the wrong value stands: the option as it is written out, or its variable."""
    source = getattr(context.get_parameter_source(parameter.name), "name", "")
    return str(parameter.envvar if source == "ENVIRONMENT" else max(parameter.opts, key=len))


def _choice(message: str, parameter: Any) -> str:
    """`message`, which may be about what is no choice."""
    found = _CHOICE.match(message)
    if found is None:
        return message
    choices = [str(getattr(one, "value", one)) for one in getattr(parameter.type, "choices", ())]
    return f"{found[1]!r} is none of {', '.join(choices)}{meant(found[1], choices)}"


def meant(word: str, words: Iterable[str]) -> str:
    """`: did you mean ...?`, where one of `words` is near to `word`."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(words), 1, 0.6)
    return f": did you mean {near[0]}?" if near else ""
