"""Explanations of a feature, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Role, Span
from store.notes.note_file import FeatureNotes

if TYPE_CHECKING:
    from monosem_tui.model.feature_card import FeatureCard
    from monosem_tui.model.open_run import OpenRun
    from store.notes.explanations import Explanation, Explanations, Figure


@dataclass(frozen=True)
class ShownExplanation:
    """One author's explanation."""

    author: str
    text: str
    figures: str
    """`F1 0.93 .91–.95 · AUROC 0.99`; empty where nothing was measured."""
    rule: str
    """The rule it stands for; empty where there is none."""


def shown_explanations(explanations: Explanations, feature: int) -> tuple[ShownExplanation, ...]:
    """Return the explanations of a feature, the best first."""
    return tuple(_shown(one) for one in explanations.of(feature))


def explained(card: FeatureCard, run: OpenRun) -> FeatureCard:
    """Return a card with the explanations and the kind that are known now."""
    return replace(card, explanations=shown_explanations(run.explanations, card.feature), kind=run.kind(card.feature))


def said_of(notes: Mapping[int, FeatureNotes], explanations: Explanations, feature: int) -> Span | None:
    """Return a feature's label, else its best explanation, dim; None where it has neither."""
    note = notes.get(feature)
    if note is not None and note.label:
        return Span(printable(note.label), Role.MARK)
    suggested = suggestion(explanations, feature)
    return Span(suggested, Role.DIM) if suggested else None


def features_saying(notes: Mapping[int, FeatureNotes], explanations: Explanations, text: str) -> list[int]:
    """Return the features of which the label or an explanation contains a text, whatever the case, ascending."""
    needle = text.casefold()
    labelled = {feature for feature, note in notes.items() if needle in note.label.casefold()}
    return sorted(labelled.union(explanations.saying(text)))


def best_explanation(explanations: Explanations, feature: int) -> Explanation | None:
    """Return the best explanation that may stand for a feature."""
    return next((one for one in explanations.of(feature) if one.explains), None)


def suggestion(explanations: Explanations, feature: int) -> str:
    """Return the text of the best explanation that may stand for a feature; empty where there is none."""
    found = best_explanation(explanations, feature)
    return printable(found.text) if found else ""


def _shown(one: Explanation) -> ShownExplanation:
    scores = one.scores
    named = [("F1", scores.f1), ("AUROC", scores.auroc), ("r", scores.r), ("detection", scores.detection)]
    figures = " · ".join(
        f"{name} {_figure(figure, whole=name == 'F1')}" for name, figure in named if figure is not None
    )
    return ShownExplanation(printable(one.author), printable(one.text), figures, printable(one.rule or ""))


def _figure(figure: Figure, *, whole: bool) -> str:
    if not whole:
        return f"{figure.value:.2f}"
    low, high = (f"{end:.2f}".removeprefix("0") for end in (figure.low, figure.high))
    return f"{figure.value:.2f} {low}–{high}"
