"""`monosem inspect`: show which features fire on each token of a text."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.subject import ReopenSettings


def inspect(
    run: o.Run,
    *,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="Text to read; else what is piped in.")
    ] = None,
    document: Annotated[
        int | None, typer.Option("--document", metavar="N", min=0, help="Read document N of the run's text, from 0.")
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Strongest features of each token.")] = 5,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Also say what each does to the loss of the next token.")
    ] = False,
    settings: Annotated[ReopenSettings, o.Flags("data model device dtype")],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Show which features fire on each token of a text."""
    from monosem_tui.cli.recipe_args import piped_text
    from store.files.errors import MonosemError
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    if text is not None and document is not None:
        raise MonosemError("--text and --document both say what to read", "Give one of them.")
    if text is None and document is None:
        text = piped_text("--text or --document")
    from engine.live.inspection import contexts_of, document_text, inspect_contexts
    from engine.live.live_model import open_live
    from engine.runtime.out_of_memory import explained
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.inspect import report

    progress = ConsoleProgress()
    if document is not None:
        text = document_text(folder, settings, document)
    with explained():
        live = open_live(folder, settings, progress)
        found = inspect_contexts(live, contexts_of(live, text or ""), top, progress, ablate=ablate)
    report(folder, live.vocabulary, found, json=json)
