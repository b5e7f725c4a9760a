"""Output of `monosem find RUN --concepts LIST`: how completely a dictionary covers a list of concepts."""

from __future__ import annotations

from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.progress import ConsoleProgress
from monosem_tui.cli.reports.feature import narrate_unfinished
from monosem_tui.cli.run_lookup import Place
from monosem_tui.draw.numbers import count, share
from monosem_tui.draw.safe_text import cut, printable
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query.completeness import ENOUGH, Completeness, ConceptFigures, Decade, Detector, completeness, passes
from store.query.completeness_file import save_completeness
from store.query.concept_lists import ConceptList
from store.query.scores import wilson

NAME = 24
"""Cells of a concept's name at most."""
_COLUMNS = (
    output.Column("concept", shrinks=True),
    *output.right("tokens", "id"),
    output.Column("F1"),
    output.Column("set", shrinks=True),
    output.Column("set's F1"),
)


def report(place: Place, name: str, most: int, *, json: bool) -> None:
    """Print which concepts a feature or a set of up to `most` detects, and keep it beside the index.

    Raises:
        MonosemError: there is no such list, no index, or it has a single document.
    """
    from engine.corpus.planted.concept_patterns import named_concepts

    concepts = named_concepts(name)
    with FeatureStore.open(place.path) as store:
        found = _measured(store, concepts, most)
        if json:
            output.emit_json({"complete": store.complete, **_json(found)})
        else:
            narrate_unfinished(store)
            _print(found)
        try:
            kept = save_completeness(store, found)
        except MonosemError as error:
            output.narrate(f"not kept: {error.what}")
        else:
            if kept is not None and not json:
                output.narrate(f"kept in {kept}")


def _measured(store: FeatureStore, concepts: ConceptList, most: int) -> Completeness:
    with ConsoleProgress().task(f"{len(concepts.concepts)} concepts", passes(concepts, most), "passes") as bar:
        for step in completeness(store, concepts, most):
            if isinstance(step, Completeness):
                return step
            bar.advance(1)
    raise AssertionError("the last step is the whole")


def _print(found: Completeness) -> None:
    output.emit_table(_COLUMNS, [_row(one) for one in found.concepts if one.judged])
    output.emit_text("")
    decades = found.decades()
    if decades:
        columns = [
            output.Column("share of the tokens"),
            *output.right("concepts", "one feature", f"up to {found.most}"),
        ]
        output.emit_table(columns, [_decade(one) for one in decades])
        output.emit_text("")
    output.emit_text("\n".join(summary(found)))


def summary(found: Completeness) -> list[str]:
    """Return the completeness in lines: by one feature, by a set, and what was not judged."""
    n = len(found.judged)
    said = [
        f"completeness for {printable(found.name)}  {_share(found.found, n)} by one feature, "
        f"{_share(found.found_by_several, n)} by up to {found.most}",
        f"of {n} concepts, F1 ≥ {ENOUGH} on documents that chose nothing; {count(found.features)} features",
    ]
    if rare := len(found.concepts) - n:
        said.append(f"{rare} of the list's concepts have fewer than {found.least} tokens, or too few in a half")
    return said


def _share(part: int, whole: int) -> str:
    if not whole:
        return "none"
    low, high = wilson(part, whole)
    return f"{part} of {whole}, {100 * part / whole:.0f} % ({100 * low:.0f}–{100 * high:.0f})"


def _row(one: ConceptFigures) -> list[str]:
    best, union = one.one, one.several
    return [
        cut(output.one_line(one.concept.name), NAME),
        count(one.tokens),
        str(best.features[0]) if best else "–",
        _f1(best),
        " ".join(map(str, union.features)) if union and len(union.features) > 1 else "",
        _f1(union) if union and len(union.features) > 1 else "",
    ]


def _f1(detector: Detector | None) -> str:
    if detector is None:
        return "–"
    low, high = (f"{end:.2f}".removeprefix("0") for end in detector.tally.f1_ci)
    return f"{detector.tally.f1:.2f} {low}–{high}"


def _decade(one: Decade) -> list[str]:
    said = f"{share(10.0**one.power)} to {share(10.0 ** (one.power + 1))}"
    return [said, str(one.concepts), str(one.found), str(one.found_by_several)]


def _json(found: Completeness) -> dict[str, Any]:
    """Return the keys that programs rely on: add, never rename."""
    n = len(found.judged)
    return {
        "concepts_list": found.name,
        "d_sae": found.features,
        "counted_tokens": found.tokens,
        "least_tokens": found.least,
        "judged": n,
        "share": found.found / n if n else None,
        "share_set": found.found_by_several / n if n else None,
        "by_frequency": [
            {
                "from": 10.0**one.power,
                "to": 10.0 ** (one.power + 1),
                "concepts": one.concepts,
                "found": one.found,
                "found_set": one.found_by_several,
            }
            for one in found.decades()
        ],
        "concepts": [_concept_json(one, found) for one in found.concepts],
    }


def _concept_json(one: ConceptFigures, found: Completeness) -> dict[str, Any]:
    return {
        "concept": one.concept.name,
        "pattern": one.concept.pattern,
        "is_rule": one.concept.is_rule,
        "tokens": one.tokens,
        "frequency": one.tokens / max(1, found.tokens),
        "judged": one.judged,
        "best": _detector_json(one.one),
        "set": _detector_json(one.several),
    }


def _detector_json(detector: Detector | None) -> dict[str, Any] | None:
    if detector is None:
        return None
    tally = detector.tally
    return {
        "features": list(detector.features),
        "thresholds": list(detector.thresholds),
        "precision": tally.precision,
        "recall": tally.recall,
        "f1": tally.f1,
        "f1_ci": list(tally.f1_ci),
    }
