"""What a feature fires on, as lines: tokens and n-grams with their share of its activation and their lift."""

from __future__ import annotations

from dataclasses import dataclass

from monosem_tui.draw.numbers import activation, count, share
from monosem_tui.draw.safe_text import cut, fit, printable
from monosem_tui.draw.spans import Line, Role, Span, line, wrap
from monosem_tui.draw.token_text import dotted
from store.index.reader import FeatureStore
from store.query.ngrams import FiringNgrams, Ngram, firing_ngrams

MOST = 8
"""N-grams of each kind."""
NAME, BETWEEN, LONGEST = 8, "   ", 28
NAMES = {"token": "token", "bigram": "two", "trigram": "three", "before": "before", "after": "after"}
"""By the names of `store.query.ngrams.WINDOWS`: n-grams that end on the token it fires on, and the tokens beside it."""


@dataclass(frozen=True)
class Fires:
    """What a feature fires on, ready to be laid out at any width."""

    feature: int
    n_active: int
    rows: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """Of each window its name, and its n-grams as text and figures."""


def read_fires(store: FeatureStore, feature: int) -> Fires:
    """Read it; this looks at every place where the feature fires, and at the whole corpus for chance.

    Raises:
        MonosemError: it never fires, or the store cannot be read.
    """
    found: FiringNgrams = firing_ngrams(store, feature, top=MOST)
    rows = ((NAMES[name], tuple(_shown(store, one) for one in ngrams)) for name, ngrams in found.windows.items())
    return Fires(feature, found.n_active, tuple(rows))


def _shown(store: FeatureStore, one: Ngram) -> tuple[str, str]:
    text = dotted(printable(store.vocabulary.text(one.tokens)))
    lift = activation(one.lift) if one.lift < 9.95 else count(round(one.lift))
    return cut(text, LONGEST), f" {share(one.share)} ×{lift}"


def fires_lines(fires: Fires, cells: int) -> list[Line]:
    """A line a window, as many n-grams on it as fit."""
    drawn = []
    for name, ngrams in fires.rows:
        parts = [line(text, Span(figures, Role.DIM)) for text, figures in ngrams]
        if parts:
            drawn.append(line(Span(fit(name, NAME), Role.HEADING), *wrap(parts, cells - NAME, BETWEEN)[0]))
    return drawn
