"""The user's configuration: `config.toml`, and the variables `MEMX_*`.

Options beat variables, and those beat the file. An option has a key in the file where it has a variable: that of
`MEMX_MAX_MEMORY` is `max_memory`, and its value is read by the option's own parser. Variables are Click's business
(`envvar`), and so are the values of the file (`default_map`). The tables below `collector` are settings of the
collector: see `memx.engine.collector.setting`.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup, TyperOption

from memx.errors import UsageError
from memx.records import display_path

if TYPE_CHECKING:
    from typer import Context

    from memx.engine.collector.setting import CollectorSetting

PREFIX = "MEMX_"
FILE = "MEMX_CONFIG"
"""This variable names the file; empty: none is read."""
_OURS = ("CONFIG", "DEBUG")
COLLECTOR = "collector"
_LONGEST = 1 << 16
"""Bytes of a file that is taken for a configuration."""


class Command(TyperCommand):
    """A command whose help needs no configuration, so that a broken one does not keep it from the user."""

    def get_help(self, ctx: Any) -> str:
        """The help, with memx's own defaults."""
        ctx.default_map = None
        return super().get_help(ctx)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the name in a usage line; typer puts what is required in braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


class Configuration:
    """What the file and the variables say; read when it is first asked for.

    Whatever is wrong with it raises UsageError there, which names the file, the line and the key. `creating` is
    said by a command that would write the file: then it need not be there.
    """

    def __init__(self, context: "Context", *, creating: bool = False) -> None:
        self._context = context
        self._creating = creating
        self._read: _Contents | None = None

    @property
    def file(self) -> Path | None:
        """The file that was read; None where there is none."""
        return self._contents.file

    @property
    def values(self) -> dict[str, Any]:
        """What the file says of options: text, or True or False for a switch."""
        return self._contents.values

    @property
    def collectors(self) -> dict[str, "CollectorSetting"]:
        """The settings of the collector, by format or extractor."""
        return self._contents.collectors

    @property
    def variables(self) -> dict[str, str]:
        """The variables that are set and stand for an option."""
        return self._contents.variables

    @property
    def defaults(self) -> dict[str, Any]:
        """The `default_map` of the commands."""
        return {name: _Defaults(self) for name in _group(self._context).commands}

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The same settings, as JSON has them."""
        return {name: setting.as_table() for name, setting in self.collectors.items()}

    def record(self) -> dict[str, Any]:
        """As `memx status` says it."""
        return {
            "file": None if self.file is None else display_path(os.fspath(self.file)),
            "options": self.values,
            "variables": self.variables,
            "collector": self.tables,
        }

    @property
    def _contents(self) -> "_Contents":
        if self._read is None:
            self._read = _Contents(self._context, location(), self._creating)
        return self._read


class _Defaults(dict[str, Any]):
    """The values for the options of one command; Click asks with `get` alone."""

    def __init__(self, configuration: Configuration) -> None:
        super().__init__()
        self._configuration = configuration

    def get(self, key: str, default: Any = None) -> Any:
        return self._configuration.values.get(key, default)


def location() -> Path | None:
    """Where the configuration file is, or would be; None where the user wants none."""
    named = os.environ.get(FILE)
    if named is not None:
        return Path(named) if named else None
    from platformdirs import user_config_path

    return user_config_path("memx", appauthor=False) / "config.toml"


class _Contents:
    """What the file at `path` says, checked."""

    def __init__(self, context: "Context", path: Path | None, creating: bool) -> None:
        self._context = context
        self._options = configurable(_group(context))
        self.variables = self._check_variables()
        text = None if path is None else _read(path, missing=creating or FILE not in os.environ)
        self.file = path if text is not None else None
        self.values: dict[str, Any] = {}
        self.collectors: dict[str, CollectorSetting] = {}
        if text is not None:
            self._text = text
            self._take(_parsed(self.file, text))

    def _check_variables(self) -> dict[str, str]:
        """The variables in use; what looks like one of them and is none is a slip, what does not is not ours."""
        known = {str(option.envvar).removeprefix(PREFIX): option for option in self._options.values()}
        for name in sorted(os.environ):
            word = name.removeprefix(PREFIX)
            if name != word and word not in known and word not in _OURS:
                near = _near(word, [*known, *_OURS], 0.75)
                if near is not None:
                    raise UsageError(f"there is no variable {name}: did you mean {PREFIX}{near}?")
        found = {f"{PREFIX}{word}": os.environ.get(f"{PREFIX}{word}", "") for word in sorted(known)}
        return {name: value for name, value in found.items() if value}

    def _take(self, table: Mapping[str, Any]) -> None:
        for key, value in table.items():
            if key == COLLECTOR:
                self._take_collectors(value)
            elif key in self._options:
                self.values[key] = self._value(key, value)
            else:
                self._wrong((key,), f"there is no key {key!r}{_meant(key, [*self._options, COLLECTOR])}")

    def _value(self, key: str, value: object) -> Any:
        option = self._options[key]
        if option.is_flag:
            if not isinstance(value, bool):
                self._wrong((key,), f"{key} is true or false")
            return value
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            self._wrong((key,), f"{key} is one value: {option.make_metavar(self._context)}")
        try:
            option.type_cast_value(self._context, str(value))
        except BadParameter as exc:
            self._wrong((key,), f"{key}: {exc.message.rstrip('.')}")
        return str(value)

    def _take_collectors(self, tables: object) -> None:
        from memx.engine.collector.setting import BadSetting, CollectorSetting

        if not isinstance(tables, dict):
            self._wrong((COLLECTOR,), f"{COLLECTOR} is a table of tables: write [{COLLECTOR}.FORMAT]")
        for name, table in tables.items():
            if not isinstance(table, dict):
                self._wrong((COLLECTOR, name), f"{COLLECTOR}.{name} is a table: write [{COLLECTOR}.{name}]")
            if (reason := _stranger(name)) is not None:
                self._wrong((COLLECTOR, name), reason)
            try:
                self.collectors[name] = CollectorSetting.from_table(table)
            except BadSetting as exc:
                self._wrong((COLLECTOR, name, *([exc.key] if exc.key else [])), f"{COLLECTOR}.{name}: {exc.message}")

    def _wrong(self, key: tuple[str, ...], message: str) -> NoReturn:
        raise UsageError(f"{self.file}, line {line_of(self._text, key)}: {message}")


def configurable(group: TyperGroup) -> dict[str, TyperOption]:
    """The options of all commands that have a variable of memx, by name."""
    return {
        option.name: option
        for command in group.commands.values()
        for option in command.params
        if isinstance(option, TyperOption) and option.name and str(option.envvar).startswith(PREFIX)
    }


def _group(context: "Context") -> TyperGroup:
    group = context.command
    assert isinstance(group, TyperGroup)
    return group


def _read(path: Path, *, missing: bool) -> str | None:
    """The text of the file; None where there is none, which is wrong unless `missing`."""
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
    except OSError as exc:
        if missing and not _is_there(path):
            return None
        raise UsageError(f"the configuration file {path} cannot be read: {exc.strerror}") from exc
    if len(data) > _LONGEST:
        raise UsageError(f"{path} has more than {_LONGEST} bytes: is it a configuration file?")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise UsageError(f"{path}, line {line}: this is no UTF-8, which TOML is written in") from exc


def _is_there(path: Path) -> bool:
    """Whether there is anything at `path`; not where its folder is out of reach, as of another user's home."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _parsed(path: Path | None, text: str) -> dict[str, Any]:
    import re
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(exc), re.DOTALL)
        message, line, column = found.groups() if found else (str(exc), None, None)
        if line is None:
            line = str(max(1, len(text.splitlines())))
        at = f", column {column}" if column else ""
        raise UsageError(f"{path}, line {line}{at}: this is no TOML: {message}") from exc
    except RecursionError as exc:
        raise UsageError(f"{path} nests deeper than a configuration does") from exc


def line_of(text: str, key: tuple[str, ...]) -> int:
    """The line, from 1, on which the statement that sets `key` begins in the TOML document `text`.

    A statement of TOML ends with its line, and what comes before a statement is a document of its own: so the
    beginning of `text` is parsed that is one line longer each time. It is a small file, and it is wrong.
    """
    import tomllib

    lines = text.split("\n")
    begins = 1
    for end in range(1, len(lines) + 1):
        try:
            table: Any = tomllib.loads("\n".join([*lines[:end], ""]))
        except tomllib.TOMLDecodeError:
            continue  # in the midst of a value of several lines
        for part in key:
            if not isinstance(table, dict) or part not in table:
                break
            table = table[part]
        else:
            return begins
        begins = end + 1
    return begins


def _stranger(name: str) -> str | None:
    """Why a table below `collector` cannot be called `name`; None where it can."""
    from memx.formats import FALLBACKS, FORMATS

    known = list(dict.fromkeys(name for row in (*FORMATS, *FALLBACKS) for name in (row.name, row.key)))
    if name in known or ":" in name:
        return None
    from importlib.metadata import entry_points

    known += entry_points(group="memx.extractors").names
    return None if name in known else f"{name!r} is no format and no extractor{_meant(name, known)}"


def _meant(word: str, words: Iterable[str]) -> str:
    near = _near(word, words, 0.6)
    return f": did you mean {near}?" if near else ""


def _near(word: str, words: Iterable[str], likeness: float) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(words), 1, likeness)), None)


def write_collector(path: Path, name: str, setting: "CollectorSetting") -> None:
    """Makes `setting` the table `[collector.<name>]` of the file, or takes that away where it sets nothing.

    All else stays as the user wrote it, comments too. The file is replaced as a whole or not at all; a link is
    followed. Raises UsageError where it cannot be read or written.
    """
    path = Path(os.path.realpath(path))
    text = _read(path, missing=True) or ""
    wanted = _parsed(path, text)  # says what is wrong, and where
    tables = wanted.setdefault(COLLECTOR, {})
    if not isinstance(tables, dict):
        raise UsageError(f"{path}, line {line_of(text, (COLLECTOR,))}: {COLLECTOR} is a table of tables")
    tables.pop(name, None)
    if setting:
        tables[name] = setting.as_table()
    if not tables:
        del wanted[COLLECTOR]
    _replace(path, _edited(text, name, wanted))


def _edited(text: str, name: str, wanted: dict[str, Any]) -> str:
    """The document `text` where the table of `name` is that of `wanted`."""
    import tomllib

    import tomlkit

    try:
        edited = _edited_in_place(text, name, wanted)
        if tomllib.loads(edited) == wanted:
            return edited
    except (ValueError, TypeError, AttributeError, KeyError):
        pass  # tables in dotted keys, or inline, are more than tomlkit can edit: it even writes something else
    document = tomlkit.parse(text)
    document.pop(COLLECTOR, None)
    rest = tomlkit.dumps(document).rstrip()
    return (rest + "\n\n" if rest else "") + tomlkit.dumps({COLLECTOR: wanted.get(COLLECTOR, {})})


def _edited_in_place(text: str, name: str, wanted: dict[str, Any]) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    new = wanted.get(COLLECTOR, {})
    tables: Any = document.get(COLLECTOR)
    if name in new:
        if tables is None:
            tables = document[COLLECTOR] = tomlkit.table(is_super_table=True)
        table: Any = tables.get(name)
        if table is None:
            table = tables[name] = tomlkit.table()
        for key in [*table]:
            if key not in new[name]:
                del table[key]
        table.update(new[name])
    elif tables is not None:
        tables.pop(name, None)
        if not new:
            del document[COLLECTOR]
    return tomlkit.dumps(document)


def _replace(path: Path, text: str) -> None:
    """Writes a file beside `path`, and puts it in its place (rename(2) is atomic)."""
    import tempfile

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with open(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(descriptor)
            os.chmod(beside, mode)
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as exc:
        raise UsageError(f"the configuration file {path} cannot be written: {exc.strerror}") from exc


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
