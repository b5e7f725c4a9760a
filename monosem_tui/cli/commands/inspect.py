"""`monosem inspect`: show which features fire on each token of a text."""

from __future__ import annotations

from typing import Annotated

from monosem_tui.cli import options as o
from store.settings.features import InspectSettings
from store.settings.subject import ReopenSettings


def inspect(
    run: o.Run,
    *,
    asked: Annotated[InspectSettings, o.Flags("text chat document top ablate", defaults=True)],
    settings: Annotated[ReopenSettings, o.Flags("data model device dtype weights")],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Show which features fire on each token of a text."""
    from monosem_tui.cli.recipe_args import piped_text
    from store.files.errors import MonosemError
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    text, document = asked.text, asked.document
    if text is not None and document is not None:
        raise MonosemError("--text and --document both say what to read", "Give one of them.")
    if text is None and document is None:
        text = piped_text("--text or --document")
    from engine.jobs.refusals import check_again

    check_again(folder, settings, chat=asked.chat)
    from engine.live.inspection import contexts_of, corpus_document, inspect_contexts, typed_document
    from engine.live.live_model import open_live
    from engine.runtime.out_of_memory import explained
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.inspect import report

    progress = ConsoleProgress()
    read = (
        typed_document(text or "", chat=asked.chat) if document is None else corpus_document(folder, settings, document)
    )
    with explained():
        live = open_live(folder, settings, progress)
        found = inspect_contexts(live, contexts_of(live, read), asked.top, progress, ablate=asked.ablate)
    report(folder, live.vocabulary, found, json=json)
