"""`monosem generate`: continue a text with features clamped, beside what the model says itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.generate import GenerateSettings
from store.settings.subject import ReopenSettings


def generate(
    run: o.Run,
    *,
    asked: Annotated[
        GenerateSettings,
        o.Flags("prompt clamps sweep max_new temperature top_p top_k seed samples chat system"),
    ],
    recipe: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="Repeat what --save wrote; other flags win over it.")
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Write all of this down as JSON.")] = None,
    overwrite: o.Overwrite = False,
    settings: Annotated[ReopenSettings, o.Flags("model device dtype weights")],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Continue a text with features clamped, beside what the model says itself."""
    from monosem_tui.cli import output
    from monosem_tui.cli.recipe_args import asked_recipe
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    wanted = asked_recipe(recipe, asked)
    if save is not None:
        wanted.check_place(save, overwrite=overwrite)  # before the work, not after it
    from engine.jobs.refusals import check_again

    check_again(folder, settings, chat=bool(wanted.chat))
    from engine.live.from_recipe import generations, signed, sweep_of
    from engine.live.live_model import open_live
    from engine.runtime.out_of_memory import explained
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports import generate as generation

    progress = ConsoleProgress()
    with explained():
        live = open_live(folder, settings, progress)
    wanted = signed(wanted, folder, progress)
    with explained():
        if wanted.sweep:
            generation.report_sweep(folder, live, wanted, sweep_of(live, wanted, progress), json=json)
        else:
            generation.report(folder, live, wanted, generations(live, wanted), json=json)
    if save is not None:
        wanted.save(save, overwrite=overwrite)
        output.narrate(f"repeat it with: monosem generate {folder.path} --recipe {save}")
