"""`monosem import`: take over an autoencoder of another library (SAELens, sparsify, Gemma Scope...)."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.import_sae import ImportSettings

FLAGS = o.Flags(
    "model tensors arch k data activations layer site layer_out site_out check tokens explained_variance l0 "
    "input_scale subtracts_b_dec by_norm centred token_norm before_gain skip_transposed context device dtype "
    "weights"
)


def import_(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A file or folder, or hf:OWNER/NAME/PATH on the hub.")
    ],
    settings: Annotated[ImportSettings, FLAGS],
    part: Annotated[
        str | None, typer.Option("--part", metavar="NAME", help="Which one, where the folder holds several.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, a run each.")] = False,
    out: o.Out = None,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Take over an autoencoder of another library (SAELens, sparsify, Gemma Scope...)."""
    from engine.commands.import_sae import choose, import_sae, name_of
    from engine.formats.hub_files import located
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.import_ import report
    from store.run.folder import runs_root
    from store.run.new_folders import filename, runs_to_write

    progress = ConsoleProgress()
    path = located(source, progress)
    chosen = choose(path, part, everything=everything)
    many = len(chosen) > 1
    names = [filename(name_of(one, path)) for one in chosen]
    endings = [f"-{name}" if many else "" for name in names]
    folders = runs_to_write(out, runs_root(runs_dir), names, endings, resume=False)
    made = []
    for folder, one in zip(folders, chosen, strict=True):
        if many:
            progress.say(f"{one} to {folder.path}")
        made.append(import_sae(folder, one, settings, progress))
    report(made, json=json, many=many)
