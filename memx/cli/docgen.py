"""Writes man/ and completions/ from the commands themselves, so that they cannot say anything else.

`python -m memx.cli.docgen` writes, `--check` fails where what is there differs. The tree of commands is
walked by memx's own hand: click-man knows the click that typer carries inside it (`typer._click`) not,
and writes pages without options.
"""

import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memx import __version__

ROOT = Path(__file__).parents[2]
DATE = "2026-11-22"
"""Of the pages: that of the guide."""
STATUSES = (
    ("0", "every source ended complete; also when the reader of the pipe went away"),
    ("1", "at least one source ended truncated or failed, or the output could not be written"),
    ("2", "wrong usage"),
    ("3", "an assertion that was asked for failed: --assert-peak, --baseline"),
    ("130", "interrupted"),
)
ENVIRONMENT = (
    ("NO_COLOR", "where set, nothing is coloured"),
    ("TMPDIR", "where standard input is copied to for formats that have to seek"),
    ("MEMX_CONFIG", "the configuration file, instead of the one below FILES; empty: none is read"),
    ("MEMX_DEBUG", "where set, an error that memx did not foresee shows its traceback"),
)
FILES = (
    (
        "~/.config/memx/config.toml",
        'defaults of options, in TOML: max_memory = "2G" is that of --max-memory, and so with every option that has a '
        "variable below ENVIRONMENT. Options go before variables, and those before the file. A table "
        '[collector.FORMAT] or [collector."MODULE:FUNCTION"] sets the garbage collector: strategy, threshold0, '
        "freeze, disabled; memx gc-tune --apply writes it.",
    ),
)


_NOT_SELECTED = ("file", "error", "end", "metadata", "profile", "profile-report", "trace", "status", "alert")
"""Records that are no part of what a format says."""


@dataclass(frozen=True)
class Flag:
    """An option as the pages tell it."""

    names: tuple[str, ...]
    value: str
    """The metavar of what it takes; empty for a switch."""
    help: str
    choices: tuple[str, ...]
    variable: str | None = None
    """That stands for it in the environment."""
    repeated: bool = False
    """Whether it may be given more than once."""

    @property
    def is_file(self) -> bool:
        """Whether its value is the name of a file."""
        return self.value in ("FILE", "SOURCE")


@dataclass(frozen=True)
class Command:
    """A command of memx, or memx itself, whose name is then empty."""

    name: str
    help: str
    epilog: str
    usage: str
    flags: tuple[Flag, ...]
    sources: str = ""
    """What it reads; empty where it takes no files."""

    @property
    def title(self) -> str:
        """The name of its page."""
        return f"memx-{self.name}" if self.name else "memx"

    @property
    def examples(self) -> list[str]:
        """The lines of its help that can be typed."""
        _, _, examples = self.epilog.partition("Examples:\n")
        return [line.strip() for line in examples.splitlines() if line.strip()]

    def example(self, flag: Flag) -> str:
        """The first of them with `flag`; empty where there is none."""
        named = re.compile("|".join(rf"(?<!\S){re.escape(name)}(?![\w-])" for name in flag.names))
        return next((line for line in self.examples if named.search(line)), "")


def commands() -> list[Command]:
    """memx itself, then its commands."""
    from typer.main import get_command

    from memx.cli.app import app

    group: Any = get_command(app)
    context = group.make_context("memx", [], resilient_parsing=True)
    found = [_command("", group, context)]
    for name, command in group.commands.items():
        found.append(_command(name, command, command.make_context(name, [], context, resilient_parsing=True)))
    return found


def _command(name: str, command: Any, context: Any) -> Command:
    parameters = command.get_params(context)
    flags = tuple(_flag(option, context) for option in parameters if option.opts[0].startswith("-"))
    sources = next((one.help for one in parameters if one.param_type_name == "argument"), "")
    usage = " ".join(command.collect_usage_pieces(context))
    return Command(name, command.help or "", command.epilog or "", usage, flags, sources)


def _flag(option: Any, context: Any) -> Flag:
    from memx.formats import format_names

    choices = tuple(str(getattr(choice, "value", choice)) for choice in getattr(option.type, "choices", ()))
    if "--format" in option.opts:
        choices = tuple(format_names())
    if "--select" in option.opts:
        choices = record_types()
    value = "" if option.is_flag or option.count else "|".join(choices) if choices else option.make_metavar(context)
    if "--format" in option.opts or "--select" in option.opts:
        value = option.make_metavar(context)
    names = sorted(option.opts, key=lambda name: name.startswith("--"))  # those of --help come in any order
    names += option.secondary_opts
    return Flag(tuple(names), value, option.help or "", choices, option.envvar, option.multiple)


def record_types() -> tuple[str, ...]:
    """The types of what a stream says between its `file` and its `end`, by the schema; `--select` keeps the others."""
    import json
    from importlib.resources import files as resources

    schema = json.loads(resources("memx").joinpath("records.schema.json").read_text(encoding="utf-8"))
    members = [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in schema["oneOf"]]
    types = dict.fromkeys(_type(member) for member in members)
    return tuple(name for name in types if name not in _NOT_SELECTED)


def _type(member: dict[str, Any]) -> str:
    """The `type` of the records that a member of the schema describes."""
    parts = [member, *member.get("allOf", ())]
    name: str = next(part["properties"]["type"]["const"] for part in parts if "type" in part.get("properties", ()))
    return name


def files() -> Iterator[tuple[Path, str]]:
    """Every generated file, below the root of the project, and its text."""
    tree = commands()
    for command in tree:
        yield Path("man", f"{command.title}.1"), man_page(command, tree)
    yield Path("completions", "memx.bash"), bash(tree)
    yield Path("completions", "_memx"), zsh(tree)
    yield Path("completions", "memx.fish"), fish(tree)


def man_page(command: Command, tree: list[Command]) -> str:
    """A page in the macros of man(7)."""
    about = _first(command.help)
    lines = [
        f'.TH {command.title.upper()} 1 {DATE} "memx {__version__}" "User Commands"',
        ".ad l",
        ".nh",
        ".SH NAME",
        f"{_roff(command.title)} \\- {_roff(about[0].lower() + about[1:])}",
        ".SH SYNOPSIS",
        f"\\fBmemx{' ' if command.name else ''}{command.name}\\fR {_roff(command.usage)}",
        ".SH DESCRIPTION",
        "\n.PP\n".join(_roff(paragraph) for paragraph in command.help.split("\n\n")),
    ]
    if command.sources:
        lines += [".SH ARGUMENTS", ".TP", "\\fISOURCE\\fR", _roff(command.sources)]
    lines.append(".SH OPTIONS")
    for flag in command.flags:
        names = ", ".join(f"\\fB{_roff(name)}\\fR" for name in flag.names)
        lines += [".TP", f"{names} \\fI{_roff(flag.value)}\\fR" if flag.value else names, _roff(flag.help)]
        if example := command.example(flag):
            lines += [".nf", f"\\fB{_roff(example)}\\fR", ".fi"]
    if not command.name:
        lines.append(".SH COMMANDS")
        for other in tree[1:]:
            lines += [".TP", f"\\fBmemx\\-{_roff(other.name)}\\fR(1)", _roff(_first(other.help) + ".")]
    lines += [".SH EXAMPLES", ".nf", *map(_roff, command.examples), ".fi"]
    variables = tuple((flag.variable, f"the default of {flag.names[0]}") for flag in command.flags if flag.variable)
    for heading, pairs in (("EXIT STATUS", STATUSES), ("ENVIRONMENT", variables + ENVIRONMENT), ("FILES", FILES)):
        lines.append(f".SH {heading}")
        for term, meaning in pairs:
            lines += [".TP", f"\\fB{term}\\fR", _roff(meaning)]
    others = [other for other in tree if other is not command]
    names = ", ".join([*(f"\\fB{_roff(other.title)}\\fR(1)" for other in others), "\\fBmemx\\-guide\\fR(7)"])
    return "\n".join(_folded([*lines, ".SH SEE ALSO", names])) + "\n"


def _folded(lines: list[str]) -> Iterator[str]:
    """`lines` of at most 80 bytes, as mandoc's lint wants them, but for what has to stand on one line."""
    filled, tag = True, False
    for line in "\n".join(lines).splitlines():
        filled = line == ".fi" or (filled and line != ".nf")
        if filled and not tag and not line.startswith("."):
            parts = textwrap.wrap(line, 78, break_long_words=False, break_on_hyphens=False)
            yield from (_guarded(part) for part in parts)
        else:
            yield line
        tag = line == ".TP"


def _roff(text: str) -> str:
    """`text` where roff sees no macro and no escape in it."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return _guarded(text)


def _guarded(text: str) -> str:
    """`text` where its beginning is no macro."""
    return f"\\&{text}" if text[:1] in (".", "'") else text


_BASH = """\
# bash completion for memx; generated by `make docs`
_memx() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD - 1]}}" words="" files=1
    # bash takes --option=value apart
    [[ $current == = ]] && current="" || {{ [[ $before == = ]] && before="${{COMP_WORDS[COMP_CWORD - 2]}}"; }}
    COMPREPLY=()
    case "$before" in
{values}
    esac
    case "${{COMP_WORDS[1]}}" in
{commands}
    esac
    if ((COMP_CWORD == 1)); then words="{names} $words"; fi
    if ((COMP_CWORD == 1)) || [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    elif ((files)); then
        compopt -o default
    fi
}}
complete -F _memx memx
"""


def bash(tree: list[Command]) -> str:
    """A completion for bash, which completes the names of files itself: with spaces, quotes and `~`."""
    values: dict[str, dict[str, None]] = {}
    for flag in (flag for command in tree for flag in command.flags if flag.value):
        words = f'mapfile -t COMPREPLY < <(compgen -W "{" ".join(flag.choices)}" -- "$current"); return'
        action = "compopt -o default; return" if flag.is_file else words if flag.choices else "return"
        values.setdefault(action, {}).update(dict.fromkeys(flag.names))
    cases = {}
    for command in [*tree[1:], tree[0]]:  # the last that is tried is memx itself
        words = " ".join(name for flag in command.flags for name in flag.names)
        cases[command.name or "*"] = f'words="{words}"{"" if command.sources else " files=0"}'
    return _BASH.format(
        values="\n".join(f"        {'|'.join(names)}) {action} ;;" for action, names in values.items()),
        commands="\n".join(f"        {name}) {action} ;;" for name, action in cases.items()),
        names=" ".join(command.name for command in tree[1:]),
    )


def zsh(tree: list[Command]) -> str:
    """A completion for zsh."""
    lines = [
        "#compdef memx",
        "# zsh completion for memx; generated by `make docs`",
        "_memx() {",
        "    local -a commands",
    ]
    lines.append(
        f"    commands=({' '.join(_quoted(f'{_colons(c.name)}:{_colons(_first(c.help))}') for c in tree[1:])})"
    )
    lines += [
        "    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then",
        "        _describe command commands",
        "        return",
        "    fi",
        "    case $words[2] in",
    ]
    for command in [*tree[1:], tree[0]]:
        lines.append(f"        {command.name or '*'})")
        lines.append("            _arguments -s -S \\")
        for flag in command.flags:
            for name in flag.names:
                lines.append(f"                {_quoted(_zsh_spec(name, flag))} \\")
        lines += [
            "                '*:source:_files'" if command.sources else "                '*: : '",
            "            ;;",
        ]
    return "\n".join([*lines, "    esac", "}", '_memx "$@"', ""])


def _zsh_spec(name: str, flag: Flag) -> str:
    about = _first(flag.help).replace("[", "(").replace("]", ")").replace(":", "\\:")
    values = "_files" if flag.is_file else f"({' '.join(flag.choices)})" if flag.choices else " "
    action = f":{flag.value}:{values}" if flag.value else ""
    ways = "" if not flag.value else "=" if name.startswith("--") else "+"  # --format=fits and -ffits are good too
    return f"{'*' if flag.repeated else ''}{name}{ways}[{about}]{action}"


def _colons(text: str) -> str:
    return text.replace(":", "\\:")


def fish(tree: list[Command]) -> str:
    """A completion for fish."""
    lines = ["# fish completion for memx; generated by `make docs`"]
    for command in tree:
        condition = f"__fish_seen_subcommand_from {command.name}" if command.name else "__fish_use_subcommand"
        if command.name:
            lines.append(
                f"complete -c memx -n __fish_use_subcommand -f -a {command.name} -d {_quoted(_first(command.help))}"
            )
            if not command.sources:
                lines.append(f"complete -c memx -n {_quoted(condition)} -f")
        for flag in command.flags:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in flag.names)
            choices = f" -a {_quoted(' '.join(flag.choices))}" if flag.choices else ""
            taken = "" if not flag.value else " -r -F" if flag.is_file else f" -x{choices}"
            lines.append(f"complete -c memx -n {_quoted(condition)} {names}{taken} -d {_quoted(_first(flag.help))}")
    return "\n".join(lines) + "\n"


def _first(text: str) -> str:
    """The first sentence of `text`, without its full stop."""
    return text.split("\n")[0].split(". ")[0].rstrip(".")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def main(argv: list[str]) -> int:
    """Writes the files, or with `--check` compares them; 1 where one differs."""
    checking, stale = "--check" in argv, 0
    wanted = dict(files())
    there = {path.relative_to(ROOT) for pattern in ("man/memx*.1", "completions/*") for path in ROOT.glob(pattern)}
    for path in [*wanted, *sorted(there - wanted.keys())]:
        target, text = ROOT / path, wanted.get(path)
        if target.is_file() and target.read_text(encoding="utf-8") == text:
            continue
        stale += 1
        print(f"{path} is stale: run make docs" if checking else f"{path} is brought up to date")
        if not checking and text is None:
            target.unlink()
        elif not checking and text is not None:
            target.parent.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
    return 1 if checking and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
