"""`monosem`: the list of commands and the console entry."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from monosem_tui.cli import error_frame as frame
from monosem_tui.cli import options, output

COMMANDS = {
    "demo": "Make a small model and its features, and browse them.",
    "lm": "Train a small language model from scratch.",
    "extract": "Write a model's activations into HDF5 shards.",
    "train": "Train a sparse autoencoder, evaluate and index it; of lists (--k 16,32), every combination on one pass.",
    "import": "Take over an autoencoder of another library (SAELens, sparsify, Gemma Scope...).",
    "index": "Record every activation of every feature on a corpus.",
    "eval": "Measure an autoencoder on held-out text or activations.",
    "tui": "Browse features in the terminal.",
    "show": "Print a feature's page, a list of features, or a run's summary.",
    "find": "Find the features that track a regular expression, a rule or labelled text.",
    "compare": "Compare the features of runs on the text that they share.",
    "map": "Lay features out in the plane, so that similar ones lie together, and name clusters of them.",
    "study": "Train, explain and compare dictionaries of several models on one text, and write a report.",
    "explain": "Explain features by rules or by a language model, measured on documents that the author never saw.",
    "inspect": "Show which features fire on each token of a text.",
    "generate": "Continue a text with features clamped, beside what the model says itself.",
    "serve": "Keep a run's model open for `monosem tui --attach`, whatever becomes of the line.",
    "label": "Label, bookmark, tag and comment features; list, export and import such notes.",
    "export": "Write a run's autoencoder for another library, or its features as pages to browse or a table.",
    "runs": "List the runs there are, the newest first.",
    "merge": "Merge the segments of an index into features.h5, without model or text.",
    "verify": "Prove that a run's files are what was written.",
    "doctor": "Say what monosem finds on this machine and in this terminal.",
}
"""In the order of `monosem --help`: what makes a run first, then what opens it, then housekeeping."""


class _Commands(TyperGroup):
    """Imports a command when it is asked for; the list of all commands needs none of them."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Return the command `cmd_name` with its flags, None where there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        word = f"{cmd_name}_" if cmd_name in ("import", "eval", "map") else cmd_name  # Python has taken these names
        function = getattr(import_module(f"monosem_tui.cli.commands.{word}"), word)
        alone = typer.Typer(rich_markup_mode=None, add_completion=False)
        alone.command(cmd_name, help=COMMANDS[cmd_name])(options.command(function))
        return typer.main.get_command(alone)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands, each with its line of help."""
        TyperGroup(commands=list(self.commands.values())).format_commands(ctx, formatter)


app = typer.Typer(
    name="monosem",
    cls=_Commands,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for _name, _help in COMMANDS.items():
    app.command(_name, help=_help)(lambda: None)


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
