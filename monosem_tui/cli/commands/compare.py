"""`monosem compare`: the dictionaries of several runs on the text that they share."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.compare import CompareSettings


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN RUN...",
            help="Two or more: runs' folders or names, features.h5 files, or RUN:neurons, :random, :seed.",
        ),
    ],
    *,
    asked: Annotated[
        CompareSettings,
        o.Flags(
            "data tokens model_pass device unit value least shifts baselines resamplings memory jobs seed",
            from_file=False,
        ),
    ],
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=0, help="Features to show, the best matched first.")
    ] = 10,
    tree: Annotated[
        bool, typer.Option("--tree", help="Print which features of smaller dictionaries become which of larger ones.")
    ] = False,
    make: o.Make = False,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Compare the features of runs on the text that they share: best partners, how many are shared, and by chance."""
    from monosem_tui.cli.reports.compare import report
    from monosem_tui.cli.sources import find_source
    from store.run.folder import runs_root

    sources = [find_source(run, runs_root(runs_dir), make=make) for run in runs]
    report(sources, asked, top=top, tree=tree, json=json)
