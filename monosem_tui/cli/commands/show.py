"""`monosem show`: print a feature's page, a list of features, or a run's summary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from monosem_tui.cli import options as o
from store.settings.features import ExampleSettings

Feature = Annotated[int | None, typer.Argument(metavar="ID", help="A feature's number; without it, the run's summary.")]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="EXPR",
        help="List the features that pass, e.g. 'density>1e-4 !dead label:water token:\" sea\">50%'.",
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="KEY",
        help="List features by density, max, mean, norm, id, match, which the filter measures, or what token, ngram, "
        "position or context explains of the variance; -KEY reverses. Dead ones are last.",
    ),
]
Width = Annotated[
    int | None,
    typer.Option("--width", metavar="N", min=40, max=10_000, help="Columns to lay out for; else the terminal's."),
]
Format = Annotated[
    Literal["text", "markdown", "html", "json", "svg"] | None,
    typer.Option(
        "--format", metavar="FORMAT", help="A feature's page as text, markdown, html or json, or its plots as svg."
    ),
]
To = Annotated[
    Path | None,
    typer.Option("--output", metavar="FILE", help="Write the page to a new FILE, or RUN-ID.md in a folder."),
]


def show(
    run: o.RunOrIndex,
    feature: Feature = None,
    *,
    top: Annotated[int, o.option_of(ExampleSettings, "top", int, default=10)] = 10,
    filter: Filter = None,
    sort: Sort = None,
    examples: Annotated[
        ExampleSettings,
        o.Flags("intervals each random seed one_per_document before after", from_file=False, defaults=True),
    ],
    width: Width = None,
    format: Format = None,
    to: To = None,
    overwrite: o.Overwrite = False,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Print a feature's page, a list of features, or a run's summary."""
    from monosem_tui.cli import output
    from monosem_tui.cli.reports import feature as page
    from monosem_tui.cli.reports import feature_table, summary
    from monosem_tui.cli.run_lookup import find_place
    from store.files.errors import MonosemError
    from store.run.folder import runs_root

    if feature is None and (format is not None or to is not None):
        raise MonosemError("--format and --output are about a feature's page", "Its number goes after RUN.")
    if json and format not in (None, "json"):
        raise MonosemError(f"--json and --format {format} at once")
    place = find_place(run, runs_root(runs_dir))
    columns = width or output.page_width()
    if filter is not None or sort is not None:
        if feature is not None:
            raise MonosemError("--filter and --sort list features", "Leave out either them or the feature's number.")
        feature_table.report(place, filter or "", sort, top=top, width=columns, json=json)
    elif feature is not None:
        form = "json" if json else None if format == "text" else format
        choice = examples.changed(top=top)
        page.report(place, feature, choice=choice, width=columns, form=form, to=to, overwrite=overwrite)
    else:
        summary.report(place, top=top, width=columns, json=json)
