"""`monosem find`: find the features that track a regular expression or labelled text."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from monosem_tui.cli import options as o


def find(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder or name, or a features.h5.")],
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
    feature: Annotated[
        int | None, typer.Option("--feature", metavar="ID", min=0, help="Describe what one feature fires on instead.")
    ] = None,
    tokens: Annotated[bool, typer.Option("--tokens", help="Match single tokens' strings, not the text.")] = False,
    last: Annotated[
        bool, typer.Option("--last", help="Of each match ask for its last token only, where it is complete.")
    ] = False,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="Choose features and thresholds on half of the contexts, measure on the rest."),
    ] = False,
    together: Annotated[
        int, typer.Option("--set", metavar="N", min=0, help="Features to combine at most; 0 for none.")
    ] = 5,
    by: Annotated[Literal["f1", "auroc"], typer.Option("--by", help="What features are ranked by.")] = "f1",
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Features, or n-grams, to show.")] = 10,
    runs_dir: o.RunsDir = None,
    json: o.Json = False,
) -> None:
    """Find the features that track a regular expression or labelled text."""
    from monosem_tui.cli.reports import find as reports
    from monosem_tui.cli.reports import ngrams
    from monosem_tui.cli.run_lookup import find_place
    from store.files.errors import MonosemError
    from store.query.find import FindOptions
    from store.query.pattern_search import Inquiry
    from store.run.folder import runs_root

    asked = [
        name
        for name, value in (("PATTERN", pattern), ("--labels", labels), ("--feature", feature))
        if value is not None
    ]
    if len(asked) != 1:
        raise MonosemError(
            f"{' and '.join(asked)} exclude each other" if asked else "nothing to find was given",
            "Give one of PATTERN, --labels FILE and --feature ID.",
        )
    if (tokens or last) and pattern is None:
        raise MonosemError(f"{'--tokens' if tokens else '--last'} is for a PATTERN", "Leave it out.")
    place = find_place(run, runs_root(runs_dir))
    if feature is not None:
        ngrams.report(place, feature, top=top, json=json)
    elif labels is not None:
        options = FindOptions(top=top, most=together, held_out=held_out, by=by)
        reports.report_labels(place, labels, options, json=json)
    else:
        inquiry = Inquiry(pattern or "", tokens, last, held_out, by, top, together)
        reports.report_pattern(place, inquiry, json=json)
