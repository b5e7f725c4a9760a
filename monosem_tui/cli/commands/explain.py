"""`monosem explain`: explain features, and measure how well each explanation holds."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.explain import ExplainSettings
from store.settings.model_author import AuthorSettings


def explain(
    run: o.Source,
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
    author: Annotated[
        AuthorSettings,
        o.Flags(
            "model key_name price budget parallel patience reasoning texts controls device",
            from_file=False,
            defaults=True,
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="--by a model: count calls, tokens and money, and ask nothing.")
    ] = False,
    make: o.Make = False,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Explain features by rules or by a language model, measured on documents that the author never saw."""
    from monosem_tui.cli.reports import explain as reports
    from monosem_tui.cli.sources import find_source
    from store.files.errors import MonosemError
    from store.run.folder import runs_root

    by_model = asked.by.startswith("hf:") or "://" in asked.by
    if not by_model and asked.by != "rules":
        raise MonosemError(
            f"there is no author {asked.by}",
            "`by=rules` needs no model; `by=http://127.0.0.1:8080/v1` asks a server, `by=hf:FOLDER` a model here.",
        )
    source = find_source(run, runs_root(runs_dir), make=make)
    place = source.place
    if source.neurons:
        raise MonosemError("rules for neurons are not looked for", "`monosem find RUN:neurons` answers about neurons.")
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
    if not by_model:
        if dry_run:
            raise MonosemError("--dry-run is for models, which cost money", "Rules cost some seconds: leave it out.")
        reports.report(place, tuple(features or ()), filter, every, asked, json=json)
        return
    if not given:
        raise MonosemError("which features? A model is asked about each of them", "Give ID, --filter EXPR or --all.")
    from monosem_tui.cli.reports import model_explanations

    wanted = reports.wanted_features(place, tuple(features or ()), filter, every)
    settings = author.changed(seed=asked.seed)
    if dry_run:
        model_explanations.plan(place, wanted, settings, json=json)
    else:
        model_explanations.report(place, wanted, asked.by, settings, again=asked.again, json=json)
