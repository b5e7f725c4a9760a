"""`monosem merge`: merge the segments of an index into features.h5, without model or text."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.trained_run import IndexSettings


def merge(
    run: o.Run,
    partial: Annotated[
        bool, typer.Option("--partial", help="Merge an unfinished index as it is; its segments stay, to go on from.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace another index that is there.")] = False,
    memory: Annotated[int | None, o.option_of(IndexSettings, "memory", int)] = None,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Merge the segments of an index into features.h5, without model or text."""
    from monosem_tui.cli import output
    from monosem_tui.draw.numbers import count
    from store.index.merge_run import merge_run
    from store.index.segment_writer import checked_memory
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    room = checked_memory(memory)
    with folder.locked():
        held = merge_run(folder, room, partial=partial, overwrite=overwrite)
    made = {
        "name": folder.name,
        "path": str(folder.path),
        "features": str(folder.features),
        "contexts": held.contexts,
        "planned_contexts": held.plan.n_contexts,
        "tokens": held.tokens,
        "complete": held.complete,
        "bytes": folder.features.stat().st_size,
    }
    output.emit_result(made, str(folder.features), json=json)
    if not held.complete:
        share = f"{count(held.contexts)} of {count(held.plan.n_contexts)} contexts"
        output.narrate(f"{share}; to go on: monosem index {folder.path} --resume")
        output.narrate(f"or remove {folder.index} to free its space")
    output.narrate(f"browse it with: monosem tui {folder.path}")
