"""A feature's examples on its page, section by section."""

from __future__ import annotations

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, count, share
from monosem_tui.draw.safe_text import fit, width
from monosem_tui.draw.sheet import HEAD, Key, Sheet, Stop, plain
from monosem_tui.draw.spans import Role, Span, line, spread
from monosem_tui.model.feature_card import FeatureCard, ShownExample, ShownSection
from monosem_tui.pages.passage import block, block_token_at, frame, passage, token_at
from monosem_tui.terms import feature_page as terms
from store.query.examples import RANDOM, TOP

VALUE = 6
"""Cells of the activation left of an example."""


def example_sections(card: FeatureCard, cells: int, rendering: Rendering) -> list[Sheet]:
    """Return a blank line and a sheet for each section."""
    return [sheet for section in card.sections for sheet in (plain([()]), _section(section, card, cells, rendering))]


def section_words(section: ShownSection, card: FeatureCard) -> tuple[str, str]:
    """Return a section's title and description: `TOP`, `the strongest 8 of 3 187, one a context`, and its marks."""
    n, outliers = len(section.examples), any(example.outlier for example in section.examples)
    marks = f"; ! an outlier {card.noun.one}" if outliers else ""
    if section.title == TOP:
        return section.title.upper(), f"the strongest {n} of {count(card.count)}, one a {section.unit}{marks}"
    if section.title == RANDOM:
        how = "the strongest first" if section.seed is None else f"seed {section.seed}"
        return section.title.upper(), f"{n} of {count(card.count)} drawn at random, {how}{marks}"
    ranks = f"{n} of ranks {count(section.first_rank + 1)} to {count(section.first_rank + section.n_entries)}"
    if section.interval is None:
        return section.title, f"{ranks}{marks}"
    low, high = activation(section.interval.low), activation(section.interval.high)
    if section.interval.by_value:
        held = f"{n} of {count(section.n_entries)}, {share(section.n_entries / card.count)} of its activations"
        return f"{low} TO {high}", f"{held}{marks}"
    return section.title, f"activations {low} to {high} · {ranks}{marks}"


def example_token(
    card: FeatureCard, stop: Stop, rendering: Rendering, row: int, column: int
) -> tuple[ShownExample, int] | None:
    """Return the example of a stop and the token at a cell of the page; None where there is none.

    Args:
        card: the feature.
        stop: an example's.
        rendering: how activations are drawn.
        row: line of the page.
        column: cell of it.
    """
    section = next(one for one in card.sections if one.title == stop.key.section)
    example = next(one for one in section.examples if one.place == stop.key.place)
    first, lines = _before_text(section), card.choice.text.lines
    if lines == 1:
        where = frame(section.examples, stop.cells - first - 2)
        token = token_at(example, rendering, where, column - stop.column - first - 2)
    else:
        cells, cell = stop.cells - first - 1, column - stop.column - first - 1
        token = block_token_at(example, rendering, cells, lines, row - stop.row, cell)
    return None if token is None else (example, token)


def _role_cells(section: ShownSection) -> int:
    return max((width(example.role) for example in section.examples), default=0)


def _before_text(section: ShownSection) -> int:
    """Return the cells of activation and role, without the mark of an outlier."""
    roles = _role_cells(section)
    return VALUE + (1 + roles if roles else 0)


def _section(section: ShownSection, card: FeatureCard, cells: int, rendering: Rendering) -> Sheet:
    name, words = section_words(section, card)
    shorter = words, words.partition(" · ")[0], words.partition(",")[0]
    said = next((one for one in shorter if width(name) + width(one) + 2 <= cells), "")
    heading = spread(line(Span(name, Role.HEADING)), line(Span(said, Role.DIM)), cells)
    term = {TOP: terms.TOP, RANDOM: terms.RANDOM}.get(section.title, terms.INTERVAL)
    found = Sheet([heading], [Stop(Key(section.title, HEAD), 0, 1, 0, width(name), term)])
    roles = _role_cells(section)
    first = _before_text(section)
    where = frame(section.examples, cells - first - 2)
    for example in section.examples:
        if card.choice.text.lines == 1:
            lines = [line(" ", *spans) for spans in passage(example, card.max, rendering, where)]
        else:
            lines = block(example, card.max, rendering, cells - first - 1, card.choice.text.lines)
        key = Key(section.title, example.place)
        found.stops.append(Stop(key, len(found.lines), len(lines), 0, cells, terms.EXAMPLE))
        head = line(fit(activation(example.act), VALUE, ">"), "!" if example.outlier else " ")
        if roles:
            head = line(*head, Span(fit(example.role, roles), Role.DIM), " ")
        heads = [head, *[line(" " * (first + 1))] * (len(lines) - 1)]
        found.lines.extend(line(*start, *spans) for start, spans in zip(heads, lines, strict=True))
    return found
