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

    ids = tuple(features or ())
    given = [name for name, value in {"ID": ids, "--filter": filter, "--all": every or None}.items() if value]
    _refuse(asked, given, one=len(ids) == 1, rule=rule, threshold=threshold, dry_run=dry_run)
    source = find_source(run, runs_root(runs_dir), make=make)
    place = source.place
    if source.neurons:
        if rule is not None or filter is not None:
            what = "--rule" if rule is not None else "--filter"
            raise MonosemError(f"{what} is for features", "`monosem find RUN:neurons --rule RULE` measures a rule.")
        reports.report_neurons(source, ids, every, asked, json=json)
        return
    if rule is not None:
        reports.measure(place, ids[0], rule, threshold, asked, json=json)
    elif asked.by_model:
        from monosem_tui.cli.reports import model_explanations

        wanted, settings = reports.wanted_features(place, ids, filter, every), author.changed(seed=asked.seed)
        if dry_run:
            model_explanations.plan(place, wanted, settings, json=json)
        else:
            model_explanations.report(place, wanted, asked.by, settings, again=asked.again, json=json)
    else:
        reports.report(place, ids, filter, every, asked, json=json)


def _refuse(
    asked: ExplainSettings,
    given: list[str],
    *,
    one: bool,
    rule: str | None,
    threshold: float | None,
    dry_run: bool,
) -> None:
    """Refuse flags that do not go together.

    Args:
        asked: the author.
        given: the ways in which features were named.
        one: whether one feature was named by its number.
        rule: the rule to measure.
        threshold: its threshold.
        dry_run: whether calls are only to be counted.

    Raises:
        MonosemError: which, and what to give instead.
    """
    from store.files.errors import MonosemError

    asked.check_author()
    if rule is not None and (not one or len(given) != 1):
        raise MonosemError("--rule is measured for one feature", "monosem explain RUN ID --rule RULE")
    if threshold is not None and rule is None:
        raise MonosemError("--threshold goes with --rule")
    if len(given) > 1:
        raise MonosemError(f"{' and '.join(given)} exclude each other", "Give one of them; none measures kinds only.")
    if dry_run and not asked.by_model:
        raise MonosemError("--dry-run is for models, which cost money", "Rules cost some seconds: leave it out.")
    if asked.by_model and not given:
        raise MonosemError("which features? A model is asked about each of them", "Give ID, --filter EXPR or --all.")
