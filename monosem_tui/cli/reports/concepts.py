"""Output of `monosem eval` about concepts of the planted corpus."""

from __future__ import annotations

from typing import Any

from monosem_tui.cli import output
from monosem_tui.draw.numbers import count, known

GAIN = 0.05
"""Gain in F1 of a set over its best feature from which a concept counts as split."""

COLUMNS = (
    output.Column("kind"),
    output.Column("concept"),
    *output.right("tokens", "F1", "of up to 5"),
    output.Column("features", shrinks=True),
    *output.right("neurons", "of up to 5", "random", "of up to 5"),
)


def report(evaluation: dict[str, Any]) -> None:
    """Print a table of concepts by kind, the means, and which concepts are split over several features."""
    concepts = evaluation.get("concepts")
    if not concepts:
        return
    output.emit_text("")
    output.emit_table(COLUMNS, [_row(one) for one in sorted(concepts, key=_order)])
    output.emit_text("")
    for mean in evaluation["concept_means"]:
        output.emit_text(_mean(mean))
    split = [one for one in concepts if (one["f1_set"] or 0) - (one["f1"] or 0) >= GAIN]
    if split:
        output.emit_text(f"split over several features: {', '.join(_split(one) for one in split)}")


def _order(concept: dict[str, Any]) -> tuple[str, float]:
    return concept["kind"], -(concept["f1_set"] or 0.0)


def _row(concept: dict[str, Any]) -> list[str]:
    features = " ".join(str(feature) for feature in concept["features"])
    return [
        concept["kind"],
        concept["name"],
        count(concept["occurrences"]),
        _figure(concept["f1"]),
        _figure(concept["f1_set"]),
        features,
        *(_figure(concept[name]) for name in ("f1_neuron", "f1_neuron_set", "f1_random", "f1_random_set")),
    ]


def _mean(mean: dict[str, Any]) -> str:
    if not mean["concepts"]:
        return f"{mean['kind']:6} no concept has {mean['least']} tokens"
    return (
        f"{mean['kind']:6} mean F1 of {mean['concepts']} with {mean['least']} tokens or more: "
        f"{_figure(mean['f1'])} one feature, {_figure(mean['f1_set'])} up to five; "
        f"neurons {_figure(mean['f1_neuron'])}, {_figure(mean['f1_neuron_set'])}; "
        f"random model {_figure(mean['f1_random'])}, {_figure(mean['f1_random_set'])}"
    )


def _split(concept: dict[str, Any]) -> str:
    return f"{concept['name']} ({len(concept['features'])}: {_figure(concept['f1'])} to {_figure(concept['f1_set'])})"


def _figure(value: float | None) -> str:
    return known(value, ".3f", "–")
