"""`monosem`: the list of commands and the console entry."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from monosem_tui.cli import error_frame as frame
from monosem_tui.cli import options, output
from monosem_tui.cli.commands.demo import demo
from monosem_tui.cli.commands.doctor import doctor
from monosem_tui.cli.commands.eval import evaluate
from monosem_tui.cli.commands.export import export
from monosem_tui.cli.commands.extract import extract
from monosem_tui.cli.commands.find import find
from monosem_tui.cli.commands.generate import generate
from monosem_tui.cli.commands.import_ import import_
from monosem_tui.cli.commands.index import index
from monosem_tui.cli.commands.inspect import inspect
from monosem_tui.cli.commands.label import label
from monosem_tui.cli.commands.lm import lm
from monosem_tui.cli.commands.merge import merge
from monosem_tui.cli.commands.runs import runs
from monosem_tui.cli.commands.serve import serve
from monosem_tui.cli.commands.show import show
from monosem_tui.cli.commands.train import train
from monosem_tui.cli.commands.tui import tui
from monosem_tui.cli.commands.verify import verify

COMMANDS: dict[str, Callable[..., None]] = {
    "demo": demo,
    "lm": lm,
    "extract": extract,
    "train": train,
    "import": import_,
    "index": index,
    "eval": evaluate,
    "tui": tui,
    "show": show,
    "find": find,
    "inspect": inspect,
    "generate": generate,
    "serve": serve,
    "label": label,
    "export": export,
    "runs": runs,
    "merge": merge,
    "verify": verify,
    "doctor": doctor,
}
"""In the order of `monosem --help`: what makes a run first, then what opens it, then housekeeping."""

app = typer.Typer(
    name="monosem",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _name, _command in COMMANDS.items():
    app.command(_name)(options.command(_command))


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.emit_text(f"monosem {version('monosem')}")
        raise typer.Exit


# Flags only: typer imports pydantic, which takes longer than the rest of --help, for a first option with a value.
@app.callback()
def monosem(
    context: typer.Context,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; MONOSEM_DEBUG=1 does the same.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Look inside language models: train sparse autoencoders, browse every feature in a terminal."""
    del debug, version
    if context.invoked_subcommand is None:
        output.narrate(context.get_help())
        raise typer.Exit(2)


def run(arguments: Sequence[str]) -> int:
    """Run one command line in this process and return its exit code."""
    return frame.run(typer.main.get_command(app), arguments)


def main() -> None:
    """The console entry."""
    output.open_streams()
    command = typer.main.get_command(app)
    # Silent until here (monosem_tui.entry); from here on the frame has something to say about an interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(frame.run(command, sys.argv[1:]))
