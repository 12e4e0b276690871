"""The command line: a thin adapter over the engine.

`main` is the only place that catches; it turns what was raised into an exit status:

=====  =====================================================================
0      every source ended `complete`; also when the reader of the pipe left
1      a source ended `truncated` or `failed`, or the output broke
2      the usage was wrong
3      an assertion that the user asked for failed (--assert-peak, --baseline)
130    interrupted
=====  =====================================================================
"""

import os
import sys

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def run() -> None:
    """The entry point of the `memx` command."""
    # nothing here computes with OpenBLAS, which NumPy loads and which reserves 32 MiB for each of its threads
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    status = main(sys.argv[1:], alone=True)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # else the interpreter says at its end that it could not flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.exit(status)


def main(argv: list[str], *, alone: bool = False) -> int:
    """Runs the command that `argv` (without the program's name) asks for; its exit status.

    `alone` says that nothing else runs in this process, whose collector may be set for good.
    """
    import warnings

    try:
        if argv == ["--version"]:  # answered before typer is imported
            return _print_version()
        if alone:
            _load()
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # a library's remarks are nothing to whoever runs the command
            return _dispatch(argv)
    except BrokenPipeError:
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED


def _load() -> None:
    """Imports what most commands need, and has the collector leave it alone: the last collection of all too."""
    import gc

    gc.disable()
    from memx.cli import plain  # noqa: F401

    gc.enable()
    gc.freeze()


def _print_version() -> int:
    from memx import __version__

    print("memx", __version__)
    return OK


def _dispatch(argv: list[str]) -> int:
    from memx.cli import plain
    from memx.cli.lines import OutputBroke, ReaderLeft
    from memx.cli.text import say
    from memx.errors import UsageError

    try:
        names = plain.sources(argv)
        return plain.stream(names) if names else _run_command(argv)
    except UsageError as exc:
        say(exc.message)
        return USAGE
    except ReaderLeft:
        return OK
    except OutputBroke as exc:
        say(str(exc))
        return FAILED


def _run_command(argv: list[str]) -> int:
    """The command as typer understands it."""
    from typer import TyperException
    from typer.main import get_command

    from memx.cli.app import app
    from memx.cli.text import say

    try:
        return get_command(app).main(argv, prog_name="memx", standalone_mode=False) or OK
    except TyperException as exc:
        from memx.cli.usage import explained

        say(explained(exc))
        return USAGE
    except SystemExit:  # typer's answer to a closed pipe: nobody reads the help any more
        return OK
