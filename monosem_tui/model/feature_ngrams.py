"""The n-grams a feature fires on, with their share of its activation and their lift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monosem_tui.draw.numbers import activation, count, share
from monosem_tui.draw.safe_text import cut, fit, printable
from monosem_tui.draw.spans import Line, Role, Span, line, wrap
from monosem_tui.draw.token_text import dotted
from store.index.reader import FeatureStore

if TYPE_CHECKING:
    from store.query.ngrams import Ngram

MOST = 8
"""Most n-grams shown per kind."""
NAME, BETWEEN, LONGEST = 14, "   ", 28
NAMES = {
    "token": "1-gram",
    "bigram": "2-gram",
    "trigram": "3-gram",
    "before": "token before",
    "after": "token after",
}
"""Titles of `store.query.ngrams.WINDOWS`: n-grams that end on an active token, and the tokens beside it."""


@dataclass(frozen=True)
class Fires:
    """The n-grams of one feature, ready to be laid out at any width."""

    feature: int
    n_active: int
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """Per window its title and its n-grams, each as text and figures."""


def read_fires(store: FeatureStore, feature: int) -> Fires:
    """Read a feature's n-grams: all its postings, and the whole corpus for the chance level.

    Raises:
        MonosemError: the feature is dead, or the store cannot be read.
    """
    from store.query.ngrams import firing_ngrams

    found = firing_ngrams(store, feature, top=MOST)
    rows = ((NAMES[name], tuple(_shown(store, one) for one in ngrams)) for name, ngrams in found.windows.items())
    return Fires(feature, found.n_active, tuple(rows))


def _shown(store: FeatureStore, one: Ngram) -> tuple[str, str]:
    text = dotted(printable(store.vocabulary.text(one.tokens)))
    lift = activation(one.lift) if one.lift < 9.95 else count(round(one.lift))
    return cut(text, LONGEST), f" {share(one.share)} ×{lift}"


def fires_lines(fires: Fires, cells: int) -> list[Line]:
    """Return one line per window with as many n-grams as fit."""
    drawn = []
    for name, ngrams in fires.rows:
        parts = [line(text, Span(figures, Role.DIM)) for text, figures in ngrams]
        if parts:
            drawn.append(line(Span(fit(name, NAME), Role.HEADING), *wrap(parts, cells - NAME, BETWEEN)[0]))
    return drawn
