"""`monosem import`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from monosem_tui.cli import options as o

Source = Annotated[
    str,
    typer.Argument(metavar="SOURCE", help="A file or folder, or hf:OWNER/NAME/PATH on the hub."),
]


def import_(
    source: Source,
    model: o.Model = None,
    data: o.Data = None,
    layer: Annotated[
        int | None,
        typer.Option("--layer", metavar="N", help="Layer, from 0, where the source says none or a wrong one."),
    ] = None,
    site: Annotated[
        str | None, typer.Option("--site", metavar="SITE", help="Site, where the source says none or a wrong one.")
    ] = None,
    layer_out: Annotated[
        int | None, typer.Option("--layer-out", metavar="N", help="Of a transcoder: layer of what it explains.")
    ] = None,
    site_out: Annotated[
        str | None, typer.Option("--site-out", metavar="SITE", help="Of a transcoder: the site it explains.")
    ] = None,
    part: Annotated[
        str | None, typer.Option("--part", metavar="NAME", help="Which one, where the folder holds several.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, a run each.")] = False,
    check: Annotated[
        bool | None, typer.Option("--check/--no-check", help="Measure it on text at once [--check].")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option("--tokens", metavar="COUNT", parser=o.count, help="Tokens to check on [4096].")
    ] = None,
    explained_variance: Annotated[
        float | None, typer.Option("--explained-variance", metavar="X", help="As published, to compare with.")
    ] = None,
    l0: Annotated[float | None, typer.Option("--l0", metavar="X", min=0, help="As published, to compare with.")] = None,
    input_scale: Annotated[
        float | None,
        typer.Option("--input-scale", metavar="X", min=1e-12, help="What its inputs were multiplied by in training."),
    ] = None,
    subtracts_b_dec: Annotated[
        bool | None,
        typer.Option("--subtract-b-dec/--no-subtract-b-dec", help="Whether b_dec is taken from its inputs."),
    ] = None,
    by_norm: Annotated[
        Literal["none", "activations", "selection"] | None,
        typer.Option(
            "--by-norm",
            metavar="HOW",
            help="none, activations, selection: what decoder norms weigh: activations, or which are selected.",
        ),
    ] = None,
    centred: Annotated[
        bool | None, typer.Option("--centred/--not-centred", help="Whether it read a stream without its mean.")
    ] = None,
    token_norm: Annotated[
        Literal["none", "layer_norm", "rms_norm"] | None,
        typer.Option(
            "--token-norm",
            metavar="HOW",
            help="none, layer_norm, rms_norm: how every token is normalised by itself.",
        ),
    ] = None,
    context: o.Context = None,
    device: o.Device = None,
    dtype: o.Dtype = None,
    out: o.Out = None,
    runs_dir: o.RunsDir = None,
    config: o.Config = None,
    json: o.Json = False,
) -> None:
    """Take over an autoencoder of another library (SAELens, sparsify, Gemma Scope...)."""
    given = o.given(locals(), "source", "part", "everything", "out", "runs_dir", "config", "json")
    from engine.commands.import_sae import choose, import_sae, name_of
    from engine.formats.hub_files import located
    from monosem_tui.cli.progress import ConsoleProgress
    from monosem_tui.cli.reports.import_ import report
    from monosem_tui.cli.run_lookup import runs_to_write
    from store.run.folder import runs_root

    progress = ConsoleProgress()
    path = located(source, progress)
    chosen = choose(path, part, everything=everything)
    many = len(chosen) > 1
    names = [o.filename(name_of(one, path)) for one in chosen]
    endings = [f"-{name}" if many else "" for name in names]
    folders = runs_to_write(out, runs_root(runs_dir), names, endings, resume=False)
    made = []
    for folder, one in zip(folders, chosen, strict=True):
        if many:
            progress.say(f"{one} to {folder.path}")
        made.append(import_sae(folder, one, given, progress))
    report(made, json=json, many=many)
