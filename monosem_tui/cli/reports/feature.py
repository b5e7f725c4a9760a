"""`monosem show RUN ID`: a feature's page."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.places import Place
from monosem_tui.text.card import (
    AFTER,
    BEFORE,
    INTERVAL_EXAMPLES,
    INTERVALS,
    FeatureCard,
    ShownSection,
    read_card,
    shown,
)
from monosem_tui.text.figures import LISTED, charts, read_figures, relations
from monosem_tui.text.heat import Rendering, default_rendering
from monosem_tui.text.page import badges, page, title
from monosem_tui.text.spans import Line, Role, Span, line, spread
from store.cofiring import cofiring
from store.drift import drift
from store.examples import Example, Section, sections
from store.histogram import Histogram, activation_histogram, log_histogram, logit_histogram, zeros
from store.notes import FeatureNotes, Notes, notes_path
from store.reader import FeatureStore, Weighted


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Which examples a page shows; see store.examples.sections."""

    top: int = 10
    intervals: int = INTERVALS
    each: int = INTERVAL_EXAMPLES
    random: int = 0
    seed: int = 0
    one_per_document: bool = False
    before: int | None = None
    """Tokens of text before the peak; None: as many as suit the form."""
    after: int | None = None

    def sections(self, store: FeatureStore, feature: int, **usual: int) -> list[Section]:
        """The examples; `usual` says what else to ask for where nobody asked for anything."""
        asked = {name: value for name, value in asdict(self).items() if value is not None}
        return sections(store, feature, **(usual | asked))


def report(place: Place, feature: int, *, choice: Choice, width: int, json: bool) -> None:
    """Print a feature's page for `width` columns.

    Raises:
        MonosemError: there is no such feature or no index, or the store is damaged.
    """
    with FeatureStore.open(place.path) as store:
        notes = read_notes(place)
        if json:
            output.emit_json(feature_json(store, notes, feature, choice))
            return
        if not store.complete:
            output.narrate(so_far(store))
        card, figures = _card(store, notes, feature, choice), read_figures(store, notes, feature)
        heading = line("feature ", *title(card))
        named = spread(heading, line(*badges(card)), width) if badges(card) else heading
        head: list[Line] = [line(Span(f"{place.name} · {store.spec.title()}", Role.DIM)), named]
        more = charts(figures, width), relations(figures, width)
        output.emit_lines([*head, *page(card, width, rendering(), log=False, charts=more[0], relations=more[1])])


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


def _card(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int, choice: Choice) -> FeatureCard:
    card = read_card(store, notes, feature)
    found = choice.sections(store, feature, before=BEFORE, after=AFTER)
    unit = "document" if choice.one_per_document else "context"
    examples = [
        ShownSection(s.title, s.first_rank, s.n_entries, [shown(store, e) for e in s.examples], unit) for s in found
    ]
    return replace(card, sections=examples)


def feature_json(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int, choice: Choice) -> dict[str, Any]:
    """What `show RUN ID --json` prints; programs rely on the keys."""
    logits, near, columns = store.logits(feature), store.neighbours(feature), store.columns
    quantiles = store.quantiles(feature)
    return {
        "feature": feature,
        "label": notes.get(feature, FeatureNotes()).label,
        "n_active": int(columns.count_F[feature]),
        "density": float(columns.density_F[feature]),
        "max": float(columns.max_F[feature]),
        "mean": float(columns.mean_F[feature]),
        "histogram": _histogram(activation_histogram(store, feature)),
        "logits": {
            "top": _effects(store, logits.top),
            "bottom": _effects(store, logits.bottom),
            "histogram": _histogram(logit_histogram(store, feature)),
        },
        "neighbours": [
            {"feature": int(i), "cosine": float(cosine)} for i, cosine in zip(near.id, near.value, strict=True)
        ],
        "examples": [
            example_json(store, example) for section in choice.sections(store, feature) for example in section.examples
        ],
        "zeros": zeros(store, feature),
        "quantiles": {"q": list(quantiles.q), "values": quantiles.value.tolist()},
        "log_histogram": _histogram(log_histogram(store, feature)),
        "cofiring": _cofiring(store, notes, feature),
        "neurons": [
            {"layer": store.spec.neuron_layer, "neuron": int(i), "cosine": float(cosine)}
            for i, cosine in zip(*store.neurons(feature), strict=True)
        ],
        "drift": _drift(store, feature),
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


def _histogram(found: Histogram | None) -> dict[str, Any] | None:
    return None if found is None else {"edges": found.edges.tolist(), "counts": found.counts.tolist()}


def _cofiring(store: FeatureStore, notes: dict[int, FeatureNotes], feature: int) -> dict[str, Any]:
    found = cofiring(store, feature, LISTED)
    return {
        "tokens": found.n_used,
        "sampled": found.sampled,
        "minimum": found.minimum,
        "features": [
            asdict(companion) | {"label": notes.get(companion.feature, FeatureNotes()).label}
            for companion in found.companions
        ],
    }


def _drift(store: FeatureStore, feature: int) -> dict[str, Any]:
    found = drift(store, feature)
    return {
        "edges": found.edges.tolist(),
        "counted": found.counted_S.tolist(),
        "counts": found.count_S.tolist(),
        "density": found.density_S.tolist(),
    }


def _effects(store: FeatureStore, effects: Weighted) -> list[dict[str, Any]]:
    tokens = store.vocabulary.strings(effects.id)
    return [{"token": token, "value": float(value)} for token, value in zip(tokens, effects.value, strict=True)]
