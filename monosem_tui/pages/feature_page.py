"""A feature's page as lines, at any width from about 40 cells; the terminal app draws them, `y` copies them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, count, share
from monosem_tui.draw.safe_text import cut, fit, width
from monosem_tui.draw.sheet import EXPLAINED, HEAD, NAME, ROWS, Key, Sheet, Stop, beside, flowed, joined, plain
from monosem_tui.draw.spans import Line, Role, Span, line, text_of, wrap
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.feature_stats import Figures, quantile_words
from monosem_tui.pages.feature_charts import along, charts, histogram_strip, log_bins
from monosem_tui.pages.feature_examples import example_sections
from monosem_tui.pages.feature_relations import effects, neighbours, relations
from monosem_tui.terms.feature_page import DENSITY, EXPLANATION, KIND, MAX, MEAN, MEDIAN, NORM
from monosem_tui.terms.term import Term

COPY_CELLS = 120
TALL = 36
"""Rows of a pane from which its lists have all of their parts."""
ALL_ROWS = 5
LEAST_BESIDE = 92
"""Cells of a page from which a side panel stands beside the examples."""


@dataclass(frozen=True)
class PageLook:
    """How a page is drawn."""

    rendering: Rendering
    """How activations are drawn on text."""
    log: bool = False
    """Whether the histogram shows logarithms of counts."""
    rows: int = 0
    """Rows of the pane; 0 where it is not one of the app's."""
    side: bool = False
    """Whether a side panel may stand at the right, where there is room."""


def page(card: FeatureCard, figures: Figures | None, cells: int, rendering: Rendering) -> list[Line]:
    """Return all lines below the title, for files and pipes: every plot and figure that is known."""
    look = PageLook(rendering)
    plots = charts(figures, cells) if figures else plain([])
    return joined(_parts(card, figures, cells, look, (), [histogram_strip(card, cells, log=False), plots])).lines


def sheet(
    card: FeatureCard, figures: Figures | None, cells: int, look: PageLook, *, trail: Sequence[Line] = ()
) -> Sheet:
    """Return a page with the stops that a cursor can go to.

    The strongest examples come first, then logit effects and neighbours, so that all three fit a screen of 24 rows;
    weaker examples follow. On a wide page all but the examples stands in a panel at their right.

    Args:
        card: the feature.
        figures: what is known beyond it.
        cells: width.
        look: how it is drawn.
        trail: lines under the numbers.
    """
    if look.side and cells >= LEAST_BESIDE:
        from monosem_tui.pages.feature_side import SIDE_GAP, side_cells, side_panel  # the first screen is there sooner

        left = cells - side_cells(cells) - SIDE_GAP
        parts = [
            *_head(card, figures, left, trail, ROWS),
            *_dead(card, left),
            *example_sections(card, left, look.rendering)[1:],
        ]
        panel = side_panel(card, figures, side_cells(cells), log=look.log)
        return beside(joined(parts), panel, left + SIDE_GAP)
    plots = [histogram_strip(card, cells, log=look.log)]
    if figures:
        plots += [*([log_bins(figures, cells)] if look.log else []), along(figures, cells)]
    return joined(_parts(card, figures, cells, look, trail, plots))


def _parts(
    card: FeatureCard,
    figures: Figures | None,
    cells: int,
    look: PageLook,
    trail: Sequence[Line],
    plots: Sequence[Sheet],
) -> list[Sheet]:
    """Return the parts of a page in one column."""
    rows = ALL_ROWS if look.rows >= TALL else ROWS
    related = [plain([()]), effects(card, cells, rows), neighbours(card, cells, rows)]
    related += [relations(figures, cells, rows)] if figures else []
    sections = example_sections(card, cells, look.rendering)
    first, others = sections[:2], sections[2:]
    return [*_head(card, figures, cells, trail), *(_dead(card, cells) or plots), *first, *related, *others]


def _head(card: FeatureCard, figures: Figures | None, cells: int, trail: Sequence[Line], rows: int = 1) -> list[Sheet]:
    """Return numbers, the less important as far as they fit some rows, history, comment and explanations."""
    numbers = _numbers(card, cells, quantile_words(figures) if figures else [], rows)
    return [numbers, plain([*trail, *_comment(card, cells)]), *_explanations(card, cells), plain([()])]


def title(card: FeatureCard) -> Line:
    """Return number and label, or where it has none its top token, dim."""
    said = Span(card.label, Role.MARK) if card.label else Span(card.token, Role.DIM)
    return line(Span(str(card.feature), Role.HEADING), "  " if said.text else "", said)


def badges(card: FeatureCard) -> Line:
    """Return the marks for bookmark and tags."""
    return line(Span(" ".join(["★"] * card.bookmark + [f"#{tag}" for tag in card.tags]), Role.MARK))


def as_text(card: FeatureCard, figures: Figures | None = None) -> str:
    """Return the page as plain text, `COPY_CELLS` wide, activations as marks."""
    lines = [
        line("feature ", *title(card), " " * 2, *badges(card)),
        *page(card, figures, COPY_CELLS, Rendering.MARKS),
    ]
    return "".join(text_of(spans).rstrip() + "\n" for spans in lines)


def _numbers(card: FeatureCard, cells: int, quantiles: Sequence[str], rows: int) -> Sheet:
    """Return density, maximum and the rest; the less important as far as they fit some rows."""
    if card.dead:
        return flowed([_number(f"norm {card.norm:.2f}", NORM)], cells, " · ")
    parts = [
        _number(f"fires on {share(card.density)} of {card.noun.many} ({count(card.count)})", DENSITY),
        _number(f"max {activation(card.max)}", MAX),
        _number(f"mean {activation(card.mean)}", MEAN),
    ]
    parts += [_number(f"{card.kind} feature", KIND)] if card.kind else []
    found = flowed(parts, cells, " · ")
    for more in (*(_number(words, MEDIAN) for words in quantiles), _number(f"norm {card.norm:.2f}", NORM)):
        wider = flowed([*parts, more], cells, " · ")
        if len(wider.lines) > rows:
            break
        parts, found = [*parts, more], wider
    return found


def _number(words: str, term: Term) -> tuple[Line, Key, Term]:
    return line(words), Key(term.title, HEAD), term


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
        found.append(Sheet(lines, [Stop(Key(EXPLAINED, number), 0, len(lines), 0, cells, EXPLANATION)]))
    return found


def _dead(card: FeatureCard, cells: int) -> list[Sheet]:
    """Return a sentence in place of the plots of a dead feature."""
    if not card.dead:
        return []
    said = (
        f"Dead: it fires on none of the {count(card.n_counted)} {card.noun.many} of the index. "
        f"{'What it would do to the next token, and what' if card.raises else 'What'} lies near it, is known all the "
        "same."
    )
    return [plain(wrap([line(word) for word in said.split()], cells, " "))]
