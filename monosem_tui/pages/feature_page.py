"""A feature's page as lines, at any width from about 40 cells; the terminal app draws them, `y` copies them."""

from __future__ import annotations

from collections.abc import Sequence

from monosem_tui.draw.bars import bar, fitted, sparkline
from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, cosine, count, share, signed
from monosem_tui.draw.safe_text import cut, fit, width
from monosem_tui.draw.sheet import BETWEEN, EXPLAINED, NAME, NEAR, TWIN, Key, Sheet, Stop, joined, named, plain
from monosem_tui.draw.spans import Line, Role, Span, crop, line, spread, text_of, width_of, wrap
from monosem_tui.model.feature_card import FeatureCard, Neighbour, ShownSection
from monosem_tui.model.feature_stats import LABEL, STRIP_END
from monosem_tui.pages.passage import block, frame, passage
from store.query.examples import RANDOM, TOP

VALUE = 6
"""Cells of the activation left of an example."""
EFFECT_BAR = 5
LONGEST_TOKEN = 16
COPY_CELLS = 120
NOTHING = Sheet([], [])


def page(
    card: FeatureCard,
    cells: int,
    rendering: Rendering,
    *,
    log: bool,
    charts: Sequence[Line] = (),
    relations: Sequence[Line] = (),
) -> list[Line]:
    """Return all lines below the title, with `charts` under the histogram and `relations` under the neighbours."""
    return sheet(card, cells, rendering, log=log, charts=charts, relations=plain(relations)).lines


def sheet(
    card: FeatureCard,
    cells: int,
    rendering: Rendering,
    *,
    log: bool,
    trail: Sequence[Line] = (),
    quantiles: Sequence[str] = (),
    charts: Sequence[Line] = (),
    relations: Sheet = NOTHING,
) -> Sheet:
    """Return a page with the stops that a cursor can go to.

    The strongest examples come first, then logit effects and neighbours, so that all three fit a screen of 24 rows;
    weaker examples follow.

    Args:
        card: the feature.
        cells: width.
        rendering: how activations are drawn.
        log: whether the histogram shows logarithms of counts.
        trail: lines under the numbers.
        quantiles: phrases added to the line of numbers as far as they fit.
        charts: lines under the histogram.
        relations: lines and stops under the neighbours.
    """
    parts = [plain([*_numbers(card, cells, quantiles), *trail, *_comment(card, cells)])]
    parts += [*_explanations(card, cells), plain([()])]
    if card.dead:
        parts.append(plain(wrap([line(word) for word in _dead(card).split()], cells, " ")))
    else:
        parts.append(plain([*_histogram(card, cells, log=log), *charts]))
    related = [plain([()]), _relations(card, cells), relations]
    for number, section in enumerate(card.sections):
        parts += [plain([()]), _section(section, card, cells, rendering)]
        if number == 0:
            parts += related
    return joined(parts if card.sections else [*parts, *related])


def title(card: FeatureCard) -> Line:
    """Return number and label."""
    return line(Span(str(card.feature), Role.HEADING), "  " if card.label else "", Span(card.label, Role.MARK))


def badges(card: FeatureCard) -> Line:
    """Return the marks for bookmark and tags."""
    return line(Span(" ".join(["★"] * card.bookmark + [f"#{tag}" for tag in card.tags]), Role.MARK))


def as_text(card: FeatureCard, charts: Sequence[Line] = (), relations: Sequence[Line] = ()) -> str:
    """Return the page as plain text, `COPY_CELLS` wide, activations as marks."""
    lines = [
        line("feature ", *title(card), " " * 2, *badges(card)),
        *page(card, COPY_CELLS, Rendering.MARKS, log=False, charts=charts, relations=relations),
    ]
    return "".join(text_of(spans).rstrip() + "\n" for spans in lines)


def _numbers(card: FeatureCard, cells: int, more: Sequence[str]) -> list[Line]:
    if card.dead:
        parts = [f"norm {card.norm:.2f}"]
    else:
        parts = [
            f"fires on {share(card.density)} of {card.noun.many} ({count(card.count)})",
            f"max {activation(card.max)}",
            f"mean {activation(card.mean)}",
        ]
        parts += [f"{card.kind} feature"] if card.kind else []
        more = [*more, f"norm {card.norm:.2f}"]
    rows = wrap([line(part) for part in parts], cells, " · ")
    while len(rows) == 1 and more and width_of(wrap([rows[0], line(more[0])], cells * 2, " · ")[0]) <= cells:
        rows, more = [line(*rows[0], Span(" · ", Role.DIM), more[0])], more[1:]
    return rows


def _comment(card: FeatureCard, cells: int) -> list[Line]:
    return wrap([line(cut(word, cells)) for word in card.comment.split()], cells, " ")


def _explanations(card: FeatureCard, cells: int) -> list[Sheet]:
    """Return a stop for each explanation: author, text and figures, on two lines where they do not fit one."""
    found = []
    for number, one in enumerate(card.explanations):
        author = fit(one.author.upper(), NAME) if width(one.author) < NAME else f"{cut(one.author, cells // 3)}  "
        words = [line(cut(word, cells)) for word in one.text.split()]
        figures = line(Span(one.figures, Role.DIM))
        rows = wrap([*words, *([figures] if one.figures else [])], cells - width(author), " ")
        heads = [line(Span(author, Role.HEADING)), *[line(" " * width(author))] * (len(rows) - 1)]
        lines = [line(*head, *spans) for head, spans in zip(heads, rows, strict=True)]
        found.append(Sheet(lines, [Stop(Key(EXPLAINED, number), 0, len(lines), 0, width(author.rstrip()))]))
    return found


def _dead(card: FeatureCard) -> str:
    return (
        f"Dead: it fires on none of the {count(card.n_counted)} {card.noun.many} of the index. "
        f"{'What it would do to the next token, and what' if card.raises else 'What'} lies near it, is known all the "
        "same."
    )


def _histogram(card: FeatureCard, cells: int, *, log: bool) -> list[Line]:
    columns = fitted(card.histogram.counts, cells - LABEL - STRIP_END)
    chart = line(
        Span(fit("activation  0", LABEL), Role.DIM),
        sparkline(columns, log),
        Span(f" {activation(card.max)}", Role.DIM),
    )
    whole = line(f"{share(1 - card.density)} at zero", Span(" · log" if log else "", Role.DIM))
    for words in (whole, line(Span("log" if log else "", Role.DIM))):
        if words and width_of(chart) + len(BETWEEN) + width_of(words) <= cells:
            return [line(*chart, BETWEEN, *words)]
    return [crop(chart, cells)]


def section_words(section: ShownSection, card: FeatureCard) -> tuple[str, str]:
    """Return a section's title and description: `TOP`, `the strongest 8 of 3 187, one a context`, and its marks."""
    n, outliers = len(section.examples), any(example.outlier for example in section.examples)
    marks = f"; ! an outlier {card.noun.one}" if outliers else ""
    if section.title == TOP:
        return section.title.upper(), f"the strongest {n} of {count(card.count)}, one a {section.unit}{marks}"
    if section.title == RANDOM:
        how = "the strongest first" if section.seed is None else f"seed {section.seed}"
        return section.title.upper(), f"{n} of {count(card.count)} drawn at random, {how}{marks}"
    last = section.first_rank + section.n_entries
    return section.title, f"{n} of ranks {count(section.first_rank + 1)} to {count(last)}{marks}"


def _section(section: ShownSection, card: FeatureCard, cells: int, rendering: Rendering) -> Sheet:
    name, words = section_words(section, card)
    found = Sheet([spread(line(Span(name, Role.HEADING)), line(Span(words, Role.DIM)), cells)], [])
    roles = max((width(example.role) for example in section.examples), default=0)
    first = VALUE + (1 + roles if roles else 0)
    where = frame(section.examples, cells - first - 2)
    for example in section.examples:
        if card.choice.text.lines == 1:
            lines = [line(" ", *spans) for spans in passage(example, card.max, rendering, where)]
        else:
            lines = block(example, card.max, rendering, cells - first - 1, card.choice.text.lines)
        key = Key(section.title, example.place)
        found.stops.append(Stop(key, len(found.lines), len(lines), 0, VALUE))
        head = line(fit(activation(example.act), VALUE, ">"), "!" if example.outlier else " ")
        if roles:
            head = line(*head, Span(fit(example.role, roles), Role.DIM), " ")
        heads = [head, *[line(" " * (first + 1))] * (len(lines) - 1)]
        found.lines.extend(line(*start, *spans) for start, spans in zip(heads, lines, strict=True))
    return found


def _relations(card: FeatureCard, cells: int) -> Sheet:
    near = named(NEAR, [_neighbour(n) for n in card.near], cells, [n.feature for n in card.near])
    if card.twin is not None:
        near = joined([_twin(card.twin, cells), near])
    effects = [*card.raises, *card.lowers]
    if not effects:
        nothing = line(Span(fit("RAISES", NAME), Role.HEADING), card.without_effects)
        return joined([plain([nothing]), near])
    top = max(abs(value) for _, value in effects)
    sizes = tuple(max(width(text) for text in column) for column in zip(*map(_words, effects), strict=True))
    raises, lowers = ([_effect(e, top, sizes) for e in side] for side in (card.raises, card.lowers))
    return joined([named("RAISES", raises, cells), named("LOWERS", lowers, cells), near])


def _twin(twin: Neighbour, cells: int) -> Sheet:
    name = cut(twin.name, 20)
    words = Span(" the other sign of the same latent", Role.DIM)
    return named(TWIN, [line(str(twin.feature), " " if name else "", name, words)], cells, [twin.feature])


def _words(effect: tuple[str, float]) -> tuple[str, str]:
    token, value = effect
    return cut(token, LONGEST_TOKEN), signed(value)


def _effect(effect: tuple[str, float], top: float, sizes: tuple[int, ...]) -> Line:
    """Return a token, its effect and a bar, padded to columns."""
    token, value = (fit(text, size) for text, size in zip(_words(effect), sizes, strict=True))
    role = Role.PLUS if effect[1] >= 0 else Role.MINUS
    return line(token, " ", Span(f"{value} {fit(bar(abs(effect[1]) / (top or 1), EFFECT_BAR), EFFECT_BAR)}", role))


def _neighbour(near: Neighbour) -> Line:
    name = cut(near.name, 20)
    return line(str(near.feature), " " if name else "", name, " ", Span(cosine(near.cosine), Role.DIM))
