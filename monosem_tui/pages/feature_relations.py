"""Relations of a feature on its page: logit effects, similar features, companions, turns, neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from monosem_tui.draw.bars import bar
from monosem_tui.draw.numbers import activation, cosine, count, share, signed
from monosem_tui.draw.safe_text import cut, fit, width
from monosem_tui.draw.sheet import HEAD, NAME, ROWS, Key, Sheet, Stop, beside, explained, joined, named, plain
from monosem_tui.draw.spans import Line, Role, Span, crop, line, spread, width_of
from monosem_tui.model.feature_card import FeatureCard, Neighbour
from monosem_tui.model.feature_stats import Figures
from monosem_tui.pages.feature_charts import WAITING, logit_strip
from monosem_tui.terms.feature_page import (
    FIRES_WITH,
    LOGIT_HISTOGRAM,
    NEURONS,
    PROMOTES,
    ROLES,
    SIMILAR,
    SUPPRESSES,
    TWIN,
)
from monosem_tui.terms.term import Term

if TYPE_CHECKING:
    from store.query.cofiring import Companion

EFFECT_BAR = 4
LONGEST_TOKEN, LONGEST_NAME = 16, 20
LISTED = 8
"""Features of a list in the side panel, one a row."""
Effect = tuple[str, float]
"""A token as shown, and its logit effect."""


def effects(card: FeatureCard, cells: int, rows: int = ROWS) -> Sheet:
    """Return the tokens that a feature promotes and suppresses, in the colours of plus and minus."""
    both = [*card.raises, *card.lowers]
    if not both:
        heading = Span(fit(PROMOTES.title, NAME), Role.HEADING)
        return explained([crop(line(heading, card.without_effects), cells)], PROMOTES, cells=len(PROMOTES.title))
    top = max(abs(value) for _, value in both)
    sizes = tuple(max(width(text) for text in column) for column in zip(*map(_words, both), strict=True))
    sides = ((PROMOTES, card.raises), (SUPPRESSES, card.lowers))
    return joined(
        named(term, [_effect(e, top, sizes, EFFECT_BAR) for e in side], cells, (), rows) for term, side in sides
    )


def _words(effect: Effect) -> tuple[str, str]:
    token, value = effect
    return cut(token, LONGEST_TOKEN), signed(value)


def _effect(effect: Effect, top: float, sizes: Sequence[int], cells: int) -> Line:
    """Return a token, its effect and a bar, padded to columns."""
    token, value = (fit(cut(text, size), size) for text, size in zip(_words(effect), sizes, strict=True))
    drawn = fit(bar(abs(effect[1]) / (top or 1), cells), cells)
    return line(token, " ", Span(f"{value} {drawn}", Role.PLUS if effect[1] >= 0 else Role.MINUS))


def neighbours(card: FeatureCard, cells: int, rows: int = ROWS) -> Sheet:
    """Return the twin and the features with similar decoders."""
    near = named(SIMILAR, [_neighbour(n) for n in card.near], cells, [n.feature for n in card.near], rows)
    return near if card.twin is None else joined([_twin(card.twin, cells), near])


def _twin(twin: Neighbour, cells: int) -> Sheet:
    name = cut(twin.name, LONGEST_NAME)
    return named(TWIN, [line(str(twin.feature), " " if name else "", name)], cells, [twin.feature])


def _neighbour(near: Neighbour) -> Line:
    name = cut(near.name, LONGEST_NAME)
    return line(str(near.feature), " " if name else "", name, " ", Span(cosine(near.cosine), Role.DIM))


def relations(figures: Figures, cells: int, rows: int = ROWS) -> Sheet:
    """Return companions, turns, logits of all tokens and neurons, as far as known.

    Companions that are being read have as many lines as they may take.
    """
    parts = [_companions(figures, cells, rows)]
    if figures.roles:
        parts.append(turns(figures, cells))
    if figures.logits is not None:
        n = int(figures.logits.counts.sum())
        words = line(Span(f"{count(n)} tokens, log of counts", Role.DIM))
        parts.append(named(LOGIT_HISTOGRAM, [logit_strip(figures.logits, cells - NAME), words], cells))
    return joined([*parts, neurons(figures, cells)])


def turns(figures: Figures, cells: int) -> Sheet:
    """Return the shares of a feature's activation in the turns of conversations."""
    return named(ROLES, [line(f"{name} ", Span(share(value), Role.DIM)) for name, value in figures.roles], cells)


def neurons(figures: Figures, cells: int) -> Sheet:
    """Return the neurons that write nearly what the feature writes."""
    pairs = zip(figures.neurons.id.tolist(), figures.neurons.value.tolist(), strict=True)
    found = [line(str(neuron), " ", Span(cosine(value), Role.DIM)) for neuron, value in pairs]
    layer = figures.neuron_layer
    words = [line(Span(f"layer {layer}", Role.DIM))] if found and layer is not None else []
    return named(NEURONS, [*words, *found], cells)


def _companions(figures: Figures, cells: int, rows: int) -> Sheet:
    if figures.cofiring is None:
        if not len(figures.quantiles.value):
            return plain([])
        waiting = line(Span(fit(FIRES_WITH.title, NAME), Role.HEADING), Span(WAITING, Role.DIM))
        return explained([waiting, *[()] * (rows - 1)], FIRES_WITH, cells=len(FIRES_WITH.title))
    companions = figures.cofiring.companions
    parts = [line(*_companion(figures, one), Span(f" {_together(one)}", Role.DIM)) for one in companions]
    return named(FIRES_WITH, parts, cells, [companion.feature for companion in companions], rows)


def _companion(figures: Figures, companion: Companion) -> Line:
    name = cut(figures.names[companion.feature], LONGEST_NAME)
    return line(str(companion.feature), " " if name else "", name)


def _together(companion: Companion) -> str:
    """Return share of tokens and lift: `38 % ×4.2`."""
    lift = activation(companion.lift) if companion.lift < 9.95 else count(round(companion.lift))
    return f"{share(companion.share)} ×{lift}"


# One a row, for the side panel


def effect_table(card: FeatureCard, cells: int) -> Sheet:
    """Return ten promoted and ten suppressed tokens side by side."""
    if not card.raises:
        return effects(card, cells)
    half = (cells - 2) // 2
    top = max(abs(value) for _, value in (*card.raises, *card.lowers))
    value = max(width(signed(v)) for _, v in (*card.raises, *card.lowers))
    token = min(LONGEST_TOKEN, half - value - 2 - EFFECT_BAR)
    sizes, size = (token, value), half - token - value - 2
    columns = [[_effect(e, top, sizes, size) for e in side] for side in (card.raises, card.lowers)]
    heads = [line(Span(term.title, Role.HEADING)) for term in (PROMOTES, SUPPRESSES)]
    if width_of(heads[1]) + 2 + len(SUPPRESSES.phrase) <= half:
        heads[1] = spread(heads[1], line(Span(SUPPRESSES.phrase, Role.DIM)), half)
    sides = zip(heads, columns, (PROMOTES, SUPPRESSES), strict=True)
    left, right = (explained([head, *column], term, cells=len(term.title)) for head, column, term in sides)
    return beside(left, right, half + 2)


def feature_table(card: FeatureCard, figures: Figures | None, cells: int) -> Sheet:
    """Return similar features and companions, one a row, with tokens or labels."""
    near = [(n.feature, line(str(n.feature), " ", n.name), cosine(n.cosine)) for n in card.near[:LISTED]]
    parts = [_listed(SIMILAR, near, cells)]
    if card.twin is not None:
        parts.insert(0, _twin(card.twin, cells))
    if figures is None or figures.cofiring is None:
        waiting = [(HEAD, line(WAITING), "")] if figures is not None and len(figures.quantiles.value) else []
    else:
        shown = figures.cofiring.companions[:LISTED]
        waiting = [(one.feature, _companion(figures, one), _together(one)) for one in shown]
    return joined([*parts, plain([()]), _listed(FIRES_WITH, waiting, cells)])


def _listed(term: Term, rows: Sequence[tuple[int, Line, str]], cells: int) -> Sheet:
    """Return a heading with its phrase, and below it features with a figure at the right."""
    if not rows:
        return plain([])
    heading = line(Span(term.title, Role.HEADING))
    lines = [spread(heading, line(Span(term.phrase, Role.DIM)), cells)]
    stops = [Stop(Key(term.title, HEAD), 0, 1, 0, len(term.title), term)]
    for feature, name, value in rows:
        if feature != HEAD:
            stops.append(Stop(Key(term.title, feature), len(lines), 1, 0, cells, term))
        left = crop(name, cells - width(value) - 1)
        lines.append(line(*left, " " * (cells - width(value) - width_of(left)), Span(value, Role.DIM)))
    return Sheet(lines, stops)
