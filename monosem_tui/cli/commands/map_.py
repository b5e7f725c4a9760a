"""`monosem map`: lay the features of a run out in the plane, so that similar ones lie together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.map import MapSettings


def map_(
    run: o.RunOrIndex,
    *,
    asked: Annotated[
        MapSettings, o.Flags("layout by name neighbours min_dist epochs seed", from_file=False, defaults=True)
    ],
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Also draw the map as SVG, with its legend.")
    ] = None,
    color: Annotated[
        str, typer.Option("--color", metavar="WHAT", help="--svg: cluster, kind, density, max, label, tag or plain.")
    ] = "cluster",
    filter: Annotated[
        str | None, typer.Option("--filter", metavar="EXPR", help="--svg: light up what passes a filter of `show`.")
    ] = None,
    overwrite: o.Overwrite = False,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Lay features out in the plane by their decoder directions, find clusters of them and name them."""
    from monosem_tui.cli.reports.map import report
    from monosem_tui.cli.run_lookup import find_place
    from store.run.folder import runs_root

    place = find_place(run, runs_root(runs_dir))
    report(place, asked, svg=svg, color=color, filter=filter, overwrite=overwrite, json=json)
