"""Output of `monosem find RUN --feature ID`: the n-grams on which a feature is active."""

from __future__ import annotations

from typing import Any

from monosem_tui.cli import output
from monosem_tui.cli.reports.feature import narrate_unfinished, read_notes
from monosem_tui.cli.run_lookup import Place
from monosem_tui.draw.numbers import activation, count, share
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.draw.token_text import dotted
from monosem_tui.model.feature_card import feature_name
from store.index.reader import FeatureStore
from store.notes.note_file import FeatureNotes
from store.query.ngrams import FiringNgrams, Ngram, firing_ngrams

WIDE = 30
"""Most cells of an n-gram."""
_TITLES = {
    "token": "token it fires on",
    "bigram": "two tokens, it fires on the last",
    "trigram": "three tokens, it fires on the last",
    "before": "token before",
    "after": "token that follows",
}


def report(place: Place, feature: int, *, top: int, json: bool) -> None:
    """Print the n-grams that a feature fires on, `top` of each kind.

    Raises:
        MonosemError: there is no such feature or no index, or the feature never fires.
    """
    with FeatureStore.open(place.path) as store:
        found = firing_ngrams(store, feature, top=top)
        notes = read_notes(place)
        if json:
            label = notes.get(feature, FeatureNotes()).label
            output.emit_json({"feature": feature, "label": label, **_json(store, found)})
            return
        narrate_unfinished(store)
        output.emit_text(f"feature {feature}  {feature_name(store, notes, feature)}")
        output.emit_text(f"fires on {count(found.n_active)} of {count(store.n_counted)} tokens")
        for name, title in _TITLES.items():
            ngrams = found.windows[name]
            if ngrams:
                output.emit_text("")
                output.emit_table(_columns(title), [_row(store, ngram) for ngram in ngrams])


def _columns(title: str) -> tuple[output.Column, ...]:
    return (output.Column(title, shrinks=True), *output.right("activation", "lift", "fires", "of occurrences"))


def _row(store: FeatureStore, ngram: Ngram) -> list[str]:
    text = dotted(printable(store.vocabulary.text(ngram.tokens)))
    return [
        cut(text, WIDE),
        share(ngram.share),
        f"{activation(ngram.lift)}×",
        count(ngram.fired),
        f"{count(ngram.occurrences)} ({share(ngram.precision)})",
    ]


def _json(store: FeatureStore, found: FiringNgrams) -> dict[str, Any]:
    windows = {name: [_ngram_json(store, one) for one in ngrams] for name, ngrams in found.windows.items()}
    return {"n_active": found.n_active, "counted_tokens": store.n_counted, "ngrams": windows}


def _ngram_json(store: FeatureStore, ngram: Ngram) -> dict[str, Any]:
    return {
        "tokens": store.vocabulary.strings(ngram.tokens),
        "text": store.vocabulary.text(ngram.tokens),
        "fired": ngram.fired,
        "occurrences": ngram.occurrences,
        "precision": ngram.precision,
        "lift": ngram.lift,
        "share": ngram.share,
    }
