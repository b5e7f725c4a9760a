"""`monosem explain`: explain features, and measure how well each explanation holds."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.explain import ExplainSettings


def explain(
    run: o.RunOrIndex,
    features: Annotated[
        list[int] | None, typer.Argument(metavar="[ID]...", min=0, help="Numbers of features.", show_default=False)
    ] = None,
    *,
    filter: Annotated[
        str | None, typer.Option("--filter", metavar="EXPR", help="Explain the features that pass a filter of `show`.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Explain every feature that fires.")] = False,
    rule: Annotated[
        str | None,
        typer.Option("--rule", metavar="RULE", help="Measure this rule for one feature instead of looking for one."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option("--threshold", metavar="X", help="--rule: the least activation that counts as firing."),
    ] = None,
    asked: Annotated[ExplainSettings, o.Flags("by again seed processes", from_file=False, defaults=True)],
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Explain features by rules, measured on documents that the rules were not chosen on."""
    from monosem_tui.cli.reports import explain as reports
    from monosem_tui.cli.run_lookup import find_place
    from store.files.errors import MonosemError
    from store.run.folder import runs_root

    if asked.by != "rules":
        raise MonosemError(f"there is no author {asked.by}", "`by=rules` needs no model.")
    place = find_place(run, runs_root(runs_dir))
    given = [name for name, value in {"ID": features, "--filter": filter, "--all": every or None}.items() if value]
    if rule is not None:
        if len(features or ()) != 1 or len(given) != 1:
            raise MonosemError("--rule is measured for one feature", "monosem explain RUN ID --rule RULE")
        reports.measure(place, (features or [0])[0], rule, threshold, asked, json=json)
        return
    if threshold is not None:
        raise MonosemError("--threshold goes with --rule")
    if len(given) > 1:
        raise MonosemError(f"{' and '.join(given)} exclude each other", "Give one of them; none measures kinds only.")
    reports.report(place, tuple(features or ()), filter, every, asked, json=json)
