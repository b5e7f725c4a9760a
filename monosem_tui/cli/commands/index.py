"""`monosem index`."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def index(
    run: o.Run,
    data: o.Data = None,
    tokens: o.Tokens = None,
    model: o.Model = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    runs_dir: o.RunsDir = None,
    resume: o.Resume = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the index there is, once the new one is complete.")
    ] = False,
    config: o.Config = None,
) -> None:
    """Record every activation of every feature on a corpus."""
    given = o.given(locals(), "run", "runs_dir", "resume", "overwrite", "config")
    from engine.revisit import index_run
    from monosem_tui.cli import output
    from monosem_tui.cli.progress import ConsoleProgress
    from store.run import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    index_run(folder, given, ConsoleProgress(), resume=resume, overwrite=overwrite)
    output.emit_text(str(folder.features))
    output.narrate(f"browse it with: monosem tui {folder.path}")
