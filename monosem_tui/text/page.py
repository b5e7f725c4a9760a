"""A feature's page as lines, at any width from about 40 cells; the terminal app draws them, `y` copies them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monosem_tui.text.bars import bar, sparkline
from monosem_tui.text.card import FeatureCard, Neighbour, ShownSection
from monosem_tui.text.heat import Rendering
from monosem_tui.text.numbers import activation, cosine, count, share, signed
from monosem_tui.text.passage import frame, passage
from monosem_tui.text.safe import cut, fit, width
from monosem_tui.text.spans import Line, Role, Span, line, spread, text_of, wrap
from store.examples import RANDOM, TOP

VALUE = 6
"""Cells of the activation left of an example."""
NAME = 8
"""Cells of the names RAISES, LOWERS, NEAR and of `activation`'s like."""
EFFECT_BAR = 5
LONGEST_TOKEN = 16
COPY_CELLS = 120
BETWEEN = "   "


def page(
    card: FeatureCard,
    cells: int,
    rendering: Rendering,
    *,
    log: bool,
    charts: Sequence[Line] = (),
    relations: Sequence[Line] = (),
) -> list[Line]:
    """Every line of a page below its title; `charts` stand under the histogram, `relations` under the neighbours.

    The strongest examples come first, then what the feature does and its neighbours, so that all three stand on one
    screen of 24 rows; the weaker examples follow.
    """
    lines = [*_numbers(card, cells), *_comment(card, cells), ()]
    if card.dead:
        lines += wrap([line(word) for word in _dead(card).split()], cells, " ")
    else:
        lines += [*_histogram(card, cells, log=log), *charts]
    for number, section in enumerate(card.sections):
        lines += [(), *_section(section, card, cells, rendering)]
        if number == 0:
            lines += [(), *_relations(card, cells), *relations]
    return lines if card.sections else [*lines, (), *_relations(card, cells), *relations]


def title(card: FeatureCard) -> Line:
    """Number and label, the label in bold."""
    return line(Span(str(card.feature), Role.HEADING), "  " if card.label else "", Span(card.label, Role.HEADING))


def badges(card: FeatureCard) -> Line:
    """Bookmark and tags."""
    return line(" ".join(["★"] * card.bookmark + [f"#{tag}" for tag in card.tags]))


def as_text(card: FeatureCard) -> str:
    """The page as plain text, activations as marks."""
    lines = [
        line("feature ", *title(card), " " * 2, *badges(card)),
        *page(card, COPY_CELLS, Rendering.MARKS, log=False),
    ]
    return "".join(text_of(spans).rstrip() + "\n" for spans in lines)


def _numbers(card: FeatureCard, cells: int) -> list[Line]:
    if card.dead:
        parts = [f"norm {card.norm:.2f}"]
    else:
        parts = [
            f"fires on {share(card.density)} of tokens ({count(card.count)})",
            f"max {activation(card.max)}",
            f"mean {activation(card.mean)}",
            f"norm {card.norm:.2f}",
        ]
    return wrap([line(part) for part in parts], cells, " · ")


def _comment(card: FeatureCard, cells: int) -> list[Line]:
    return wrap([line(cut(word, cells)) for word in card.comment.split()], cells, " ")


def _dead(card: FeatureCard) -> str:
    return (
        f"Dead: it fires on none of the {count(card.n_counted)} tokens of the index. "
        "What it would do to the next token, and what lies near it, is known all the same."
    )


def _histogram(card: FeatureCard, cells: int, *, log: bool) -> list[Line]:
    chart = line(
        Span("activation  0 ", Role.DIM),
        sparkline(card.histogram.counts, log),
        Span(f" {activation(card.max)}", Role.DIM),
    )
    words = line(f"{share(1 - card.density)} at zero", Span(" · log" if log else "", Role.DIM))
    return wrap([chart, words], cells, BETWEEN)


def section_words(section: ShownSection, card: FeatureCard) -> tuple[str, str]:
    """A section's title, and what its examples are: `TOP`, `the strongest 8 of 3 187, one a context`."""
    n = len(section.examples)
    if section.title == TOP:
        return section.title.upper(), f"the strongest {n} of {count(card.count)}, one a {section.unit}"
    if section.title == RANDOM:
        return section.title.upper(), f"{n} of {count(card.count)} drawn at random, the strongest first"
    last = section.first_rank + section.n_entries
    return section.title, f"{n} of ranks {count(section.first_rank + 1)} to {count(last)}"


def _section(section: ShownSection, card: FeatureCard, cells: int, rendering: Rendering) -> Iterator[Line]:
    name, words = section_words(section, card)
    yield spread(line(Span(name, Role.HEADING)), line(Span(words, Role.DIM)), cells)
    where = frame(section.examples, cells - VALUE - 2)
    for example in section.examples:
        first, *rest = passage(example, card.max, rendering, where)
        yield line(fit(activation(example.act), VALUE, ">"), "  ", *first)
        for spans in rest:
            yield line(" " * (VALUE + 2), *spans)


def _relations(card: FeatureCard, cells: int) -> list[Line]:
    near = named("NEAR", [_neighbour(n) for n in card.near], cells)
    effects = [*card.raises, *card.lowers]
    if not effects:
        return [line(Span(fit("RAISES", NAME), Role.HEADING), "nothing by itself: other layers come after"), *near]
    top = max(abs(value) for _, value in effects)
    sizes = tuple(max(width(text) for text in column) for column in zip(*map(_words, effects), strict=True))
    raises, lowers = ([_effect(e, top, sizes) for e in side] for side in (card.raises, card.lowers))
    return [*named("RAISES", raises, cells), *named("LOWERS", lowers, cells), *near]


def named(name: str, parts: Sequence[Line], cells: int) -> list[Line]:
    """As many parts as fit behind a name, on one line where it is wide, on two where it is not."""
    if not parts:
        return []
    rows = wrap(parts, cells - NAME, BETWEEN)[: 1 if cells >= 90 else 2]
    heads = [fit(name, NAME), *[" " * NAME] * (len(rows) - 1)]
    return [line(Span(head, Role.HEADING), *row) for head, row in zip(heads, rows, strict=True)]


def _words(effect: tuple[str, float]) -> tuple[str, str]:
    token, value = effect
    return cut(token, LONGEST_TOKEN), signed(value)


def _effect(effect: tuple[str, float], top: float, sizes: tuple[int, ...]) -> Line:
    """A token, its effect and a bar, padded so that they stand in columns."""
    token, value = (fit(text, size) for text, size in zip(_words(effect), sizes, strict=True))
    return line(token, " ", Span(f"{value} {fit(bar(abs(effect[1]) / (top or 1), EFFECT_BAR), EFFECT_BAR)}", Role.DIM))


def _neighbour(near: Neighbour) -> Line:
    name = cut(near.name, 20)
    return line(str(near.feature), " " if name else "", name, " ", Span(cosine(near.cosine), Role.DIM))
