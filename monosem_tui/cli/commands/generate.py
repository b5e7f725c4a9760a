"""`monosem generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.subject import ReopenSettings


def generate(
    run: o.Run,
    *,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="TEXT", help="What to continue; else what is piped in.")
    ] = None,
    clamps: Annotated[
        list[str] | None,
        typer.Option(
            "--clamp",
            metavar="ID=VALUE",
            help="412=8.5, =max*4, =*0.5, =+3, =off; with @prompt, @response, @12:40, @if:88>2. As often as wanted.",
        ),
    ] = None,
    sweep: Annotated[
        str | None,
        typer.Option("--sweep", metavar="ID=V,…", help="One text for each strength: 412=max*1,max*2,max*4@response."),
    ] = None,
    max_new: Annotated[
        int | None, typer.Option("--max-new", metavar="COUNT", parser=o.count, help="New tokens at the most [100].")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", metavar="X", min=0, help="0 takes the likeliest token [0].")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", metavar="X", help="Draw from tokens that make up this probability [1].")
    ] = None,
    top_k: Annotated[
        int | None, typer.Option("--top-k", metavar="N", min=0, help="Draw from the N likeliest tokens [all].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", metavar="N", min=0, help="Seed of everything that is drawn at random [0].")
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", metavar="N", min=1, help="Texts, with one seed after another [1].")
    ] = None,
    chat: Annotated[
        bool | None, typer.Option("--chat/--no-chat", help="Put the prompt into the model's chat template.")
    ] = None,
    system: Annotated[str | None, typer.Option("--system", metavar="TEXT", help="System message of a chat.")] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", metavar="FILE", help="Repeat what --save wrote; other flags win over it.")
    ] = None,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Write all of this down as JSON.")] = None,
    settings: Annotated[ReopenSettings, o.Flags("model device dtype")],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Continue a text with features clamped, beside what the model says itself."""
    changes = {
        "prompt": prompt,
        "clamps": clamps,
        "sweep": sweep,
        "max_new": max_new,
        "temperature": temperature,
        "top_p": top_p,
        "top_k": top_k,
        "seed": seed,
        "samples": samples,
        "chat": chat,
        "system": system,
    }
    from monosem_tui.cli import output
    from monosem_tui.cli.recipe_args import asked_recipe
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    asked = asked_recipe(recipe, {name: value for name, value in changes.items() if value is not None})
    if save is not None:
        asked.check_place(save)  # before the work, not after it
    from engine.live.from_recipe import generations, signed, sweep_of
    from engine.live.live_model import open_live
    from engine.runtime.out_of_memory import explained
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports import generate as generation

    progress = ConsoleProgress()
    with explained():
        live = open_live(folder, settings, progress)
    asked = signed(asked, folder, progress)
    with explained():
        if asked.sweep:
            generation.report_sweep(folder, live, asked, sweep_of(live, asked, progress), json=json)
        else:
            generation.report(folder, live, asked, generations(live, asked), json=json)
    if save is not None:
        asked.save(save)
        output.narrate(f"repeat it with: monosem generate {folder.path} --recipe {save}")
