"""The commands, registered."""

from typing import Annotated

import typer

from memx.cli import extract, gc_tune, options, profile, status, stream
from memx.cli.configuration import Command, Configuration

app = typer.Typer(
    add_completion=False,  # completions/ holds them ready made: they cost no start of Python a keystroke
    rich_markup_mode=None,  # Rich would cost every call 3 MB
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


EXAMPLES = """\b
Examples:
  memx stream scan.dcm
  memx extract -j 8 -o all.jsonl archive/
  memx stream --help
  man memx-guide
"""


@app.callback(
    help="Read the metadata of huge scientific and media files, in memory that does not grow with them.",
    epilog=EXAMPLES,
)
def _memx(context: typer.Context, version: Annotated[bool, options.VERSION] = False) -> None:
    context.obj = Configuration(context, creating=context.invoked_subcommand == "gc-tune")
    context.default_map = context.obj.defaults


app.command(cls=Command, epilog=stream.EXAMPLES)(stream.stream)
app.command(cls=Command, epilog=extract.EXAMPLES)(extract.extract)
app.command(cls=Command, epilog=profile.EXAMPLES)(profile.profile)
app.command("gc-tune", cls=Command, epilog=gc_tune.EXAMPLES)(gc_tune.gc_tune)
app.command(cls=Command, epilog=status.EXAMPLES)(status.status)
