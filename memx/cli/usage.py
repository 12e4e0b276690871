"""What was wrong with a call, in one line: what was typed, what was meant, and who can tell more."""

import re
from collections.abc import Iterable
from typing import Any

_COMMAND = re.compile(r"No such command '(.*?)'(?:\. Did you mean .*)?\.?$", re.DOTALL)
_CHOICE = re.compile(r"'(.*)' is not one of ", re.DOTALL)


def explained(exc: Any) -> str:
    """What typer found wrong (`exc` is a TyperException); the whole help where nothing was asked for."""
    message: str = exc.format_message()
    context = getattr(exc, "ctx", None)
    if context is None or "\n" in message:
        return message
    option = getattr(exc, "option_name", None) if hasattr(exc, "possibilities") else None
    if option is not None:
        names = [name for parameter in context.command.get_params(context) for name in parameter.opts]
        message = f"there is no option {option}{meant(option, names)}"
    elif command := _COMMAND.match(exc.message):
        message = f"there is no command {command[1]}{meant(command[1], getattr(context.command, 'commands', ()))}"
    elif choice := _CHOICE.match(exc.message):
        choices = getattr(getattr(getattr(exc, "param", None), "type", None), "choices", ())
        message = message.rstrip(".") + meant(choice[1], (str(getattr(one, "value", one)) for one in choices))
    return f"{message.rstrip('.')}; see {context.command_path} --help"


def meant(word: str, words: Iterable[str]) -> str:
    """`: did you mean ...?`, where one of `words` is near to `word`."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(words), 1, 0.6)
    return f": did you mean {near[0]}?" if near else ""
