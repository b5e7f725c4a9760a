"""`monosem show RUN ID`: a feature's page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.places import Place
from monosem_tui.text.card import (
    AFTER,
    BEFORE,
    INTERVAL_EXAMPLES,
    INTERVALS,
    FeatureCard,
    ShownExample,
    ShownSection,
    read_card,
)
from monosem_tui.text.heat import Rendering, default_rendering
from monosem_tui.text.page import badges, page, title
from monosem_tui.text.spans import Line, Role, Span, line, spread
from monosem_tui.text.tokens import display_tokens
from store.examples import Example, sections
from store.histogram import activation_histogram
from store.notes import FeatureNotes, Notes, notes_path
from store.reader import FeatureStore, Weighted


def report(place: Place, feature: int, *, top: int, width: int, json: bool) -> None:
    """Print a feature's page, `top` of its strongest examples on it, for `width` columns.

    Raises:
        MonosemError: there is no such feature or no index, or the store is damaged.
    """
    with FeatureStore.open(place.path) as store:
        notes = read_notes(place)
        if json:
            output.emit_json(feature_json(store, notes, feature, top))
            return
        if not store.complete:
            output.narrate(so_far(store))
        card = _card(store, notes, feature, top)
        heading = line("feature ", *title(card))
        named = spread(heading, line(*badges(card)), width) if badges(card) else heading
        head: list[Line] = [line(Span(f"{place.name} · {store.spec.title()}", Role.DIM)), named]
        output.emit_lines([*head, *page(card, width, rendering(), log=False)])


def read_notes(place: Place) -> dict[int, FeatureNotes]:
    """What people have said about the features."""
    return Notes(notes_path(place.path)).load()


def rendering() -> Rendering:
    """How activations are drawn on stdout: as colour where there is some, as marks in plain text."""
    colors = output.palette().colors
    return default_rendering(colors) if colors else Rendering.MARKS


def so_far(store: FeatureStore) -> str:
    """A sentence for an index that is still being written."""
    return f"the index is unfinished: {store.n_contexts} of {store.plan.n_contexts} contexts so far"


def shown(store: FeatureStore, example: Example) -> ShownExample:
    """An example, ready to be drawn."""
    tokens = display_tokens(store.vocabulary.tokens(example.token_T))
    return ShownExample(tokens, example.act_T, example.peak, example.context, example.position)


def _card(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int, top: int) -> FeatureCard:
    card = read_card(store, notes, feature)
    found = sections(store, feature, top=top, intervals=INTERVALS, each=INTERVAL_EXAMPLES, before=BEFORE, after=AFTER)
    examples = [ShownSection(s.title, s.first_rank, s.n_entries, [shown(store, e) for e in s.examples]) for s in found]
    return replace(card, sections=examples)


def feature_json(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int, top: int) -> dict[str, Any]:
    """What `show RUN ID --json` prints; programs rely on the keys."""
    logits, near = store.logits(feature), store.neighbours(feature)
    columns, histogram = store.columns, activation_histogram(store, feature)
    return {
        "feature": feature,
        "label": notes.get(feature, FeatureNotes()).label,
        "n_active": int(columns.count_F[feature]),
        "density": float(columns.density_F[feature]),
        "max": float(columns.max_F[feature]),
        "mean": float(columns.mean_F[feature]),
        "histogram": {"edges": histogram.edges.tolist(), "counts": histogram.counts.tolist()},
        "logits": {"top": _effects(store, logits.top), "bottom": _effects(store, logits.bottom)},
        "neighbours": [
            {"feature": int(i), "cosine": float(cosine)} for i, cosine in zip(near.id, near.value, strict=True)
        ],
        "examples": [
            example_json(store, example)
            for section in sections(store, feature, top=top)
            for example in section.examples
        ],
    }


def example_json(store: FeatureStore, example: Example) -> dict[str, Any]:
    """One example of the JSON page."""
    return {
        "interval": example.interval,
        "tokens": store.vocabulary.strings(example.token_T),
        "activations": example.act_T.tolist(),
        "peak": example.peak,
        "context": example.context,
        "position": example.position,
    }


def _effects(store: FeatureStore, effects: Weighted) -> list[dict[str, Any]]:
    tokens = store.vocabulary.strings(effects.id)
    return [{"token": token, "value": float(value)} for token, value in zip(tokens, effects.value, strict=True)]
