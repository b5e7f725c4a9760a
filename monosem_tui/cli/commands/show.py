"""`monosem show`."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o


def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or name, or a features.h5.")],
    feature: Annotated[
        int | None, typer.Argument(metavar="ID", help="A feature's number; without it, the run's summary.")
    ] = None,
    top: Annotated[
        int, typer.Option("--top", metavar="N", min=1, help="Strongest examples, or features, to show.")
    ] = 10,
    width: Annotated[
        int | None, typer.Option("--width", metavar="N", min=40, help="Columns to lay out for; else the terminal's.")
    ] = None,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Print a feature's page, or a run's summary."""
    from monosem_tui.cli import output
    from monosem_tui.cli.places import find_place
    from monosem_tui.cli.reports import feature as page
    from monosem_tui.cli.reports import summary
    from store.run import runs_root

    place = find_place(run, runs_root(runs_dir))
    columns = width or output.page_width()
    if feature is not None:
        page.report(place, feature, top=top, width=columns, json=json)
    else:
        summary.report(place, top=top, width=columns, json=json)
