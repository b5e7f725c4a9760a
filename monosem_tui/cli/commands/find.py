"""`monosem find`: find the features that track a regular expression or labelled text."""

from __future__ import annotations

from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.features import FindSettings


def find(
    run: o.Source,
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", help="A regular expression (Python's) over the text of each document."),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Labelled text instead: lines of LABEL, a tab, text; or .jsonl (:FIELD) with text or document.",
        ),
    ] = None,
    rule: Annotated[
        str | None,
        typer.Option("--rule", metavar="RULE", help="A rule of `explain` instead: 'word(\"sea\") & !quote'."),
    ] = None,
    concepts: Annotated[
        str | None,
        typer.Option(
            "--concepts",
            metavar="LIST",
            help="Completeness for a list instead: planted, languages, python, punctuation, calendar, or a file of "
            "lines with a name, a tab, and a pattern or rule:RULE.",
        ),
    ] = None,
    feature: Annotated[
        int | None, typer.Option("--feature", metavar="ID", min=0, help="Describe what one feature fires on instead.")
    ] = None,
    *,
    asked: Annotated[
        FindSettings, o.Flags("tokens last held_out ordinary together role by top", from_file=False, defaults=True)
    ],
    make: o.Make = False,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Find the features that track a regular expression, a rule or labelled text."""
    from monosem_tui.cli.reports import find as reports
    from monosem_tui.cli.sources import find_source
    from store.files.errors import MonosemError
    from store.query.find import FindOptions
    from store.query.pattern_search import Inquiry
    from store.run.folder import runs_root

    ways = {"PATTERN": pattern, "--labels": labels, "--rule": rule, "--concepts": concepts, "--feature": feature}
    _refuse(asked, [name for name, value in ways.items() if value is not None])
    source = find_source(run, runs_root(runs_dir), make=make)
    place = source.place
    if source.neurons and pattern is None and rule is None:
        raise MonosemError("neurons are found by a PATTERN or by --rule", "Other questions are for features.")
    if feature is not None:
        from monosem_tui.cli.reports import ngrams

        ngrams.report(place, feature, top=asked.top, json=json)
    elif concepts is not None:
        from monosem_tui.cli.reports import completeness

        completeness.report(place, concepts, max(1, asked.together), json=json)
    elif labels is not None:
        options = FindOptions(top=asked.top, most=asked.together, held_out=asked.held_out, by=asked.by)
        reports.report_labels(place, labels, options, ordinary=asked.ordinary, json=json)
    else:
        how = asked.tokens, asked.last, asked.held_out, asked.by, asked.top, asked.together, asked.role, asked.ordinary
        asked_for = pattern if rule is None else rule
        reports.report_pattern(source, Inquiry(asked_for or "", *how, rule=rule is not None), json=json)


def _refuse(asked: FindSettings, given: list[str]) -> None:
    """Refuse what does not go together; `given` are the ways in which a question was asked.

    Raises:
        MonosemError: there is not one question, or a flag is for another.
    """
    from store.files.errors import MonosemError

    if asked.role is not None and "PATTERN" not in given and "--rule" not in given:
        given = [*given, "--role"]
    if len(given) != 1:
        raise MonosemError(
            f"{' and '.join(given)} exclude each other" if given else "nothing to find was given",
            "Give one of PATTERN, --labels FILE, --rule RULE, --concepts LIST, --feature ID and --role ROLE.",
        )
    if (asked.tokens or asked.last) and "PATTERN" not in given:
        raise MonosemError(f"`{'tokens' if asked.tokens else 'last'}` is for a PATTERN", "Leave it out.")
