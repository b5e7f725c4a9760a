"""A pair's page as lines: both features, their figures, and the same passages in the heat of each."""

from __future__ import annotations

import math

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, count, share
from monosem_tui.draw.safe_text import cut, fit
from monosem_tui.draw.sheet import Key, Sheet, Stop, joined, plain
from monosem_tui.draw.spans import Line, Role, Span, crop, line, spread, width_of, wrap
from monosem_tui.model.feature_card import ShownExample
from monosem_tui.model.pair_card import (
    BOTH,
    ONLY_FIRST,
    ONLY_SECOND,
    PairCard,
    PairedFeature,
    PairStatistics,
    ShownPassage,
)
from monosem_tui.pages.pair_rows import BESIDE, MUTUAL, decimal
from monosem_tui.pages.passage import Frame, frame, passage, token_at

VALUE = 6
LETTERS = ("A", "B")
BLANK = line(" " * (1 + VALUE + 2))
"""Stands where a row has no value."""
BETWEEN = "  │ "


def pair_title(card: PairCard) -> Line:
    """Return `stories 412 ⇄ gemma 1033`."""
    first, second = card.features
    mark = MUTUAL if card.statistics.mutual else "→"
    return line(
        f"{first.run} ",
        Span(str(first.feature), Role.HEADING),
        f" {mark} {second.run} ",
        Span(str(second.feature), Role.HEADING),
    )


def pair_sheet(card: PairCard, cells: int, rendering: Rendering) -> Sheet:
    """Return the page with a stop for each passage; from BESIDE cells both columns stand side by side."""
    parts = [plain([*_features(card, cells), *_statistics(card, cells)])]
    where = _frame(card, cells)
    for name in (BOTH, ONLY_FIRST, ONLY_SECOND):
        parts += [plain([()]), _section(card, name, cells, rendering, where)]
    return joined(parts)


def pair_token(
    card: PairCard, stop: Stop, rendering: Rendering, row: int, column: int
) -> tuple[int, ShownExample, int] | None:
    """Return at a cell of the page which of the two features, its example and the token; None where there is none.

    Args:
        card: the pair.
        stop: a passage's.
        rendering: how activations are drawn.
        row: line of the page.
        column: cell of it.
    """
    half, line_number = (stop.cells - len(BETWEEN)) // 2, row - stop.row
    if stop.cells >= BESIDE:
        number = int(column >= half + len(BETWEEN))
        column -= number * (half + len(BETWEEN))
    else:
        number = max(0, line_number - 1) if rendering is Rendering.RULER else line_number
    example = card.sections[stop.key.section][stop.key.target].examples[number]
    token = token_at(example, rendering, _frame(card, stop.cells), column - width_of(BLANK))
    return None if token is None else (number, example, token)


def _frame(card: PairCard, cells: int) -> Frame:
    """Return the frame of all passages."""
    shown = [example for passages in card.sections.values() for one in passages for example in one.examples]
    room = _text_cells(cells)
    return frame(shown, room) if shown else Frame(room, room // 2)


def _text_cells(cells: int) -> int:
    half = (cells - len(BETWEEN)) // 2 if cells >= BESIDE else cells
    return half - width_of(BLANK)


def _features(card: PairCard, cells: int) -> list[Line]:
    """Return both features: one below the other, or side by side."""
    if cells < BESIDE:
        return [one for number in (0, 1) for one in _feature(card.features[number], LETTERS[number], cells)]
    half = (cells - len(BETWEEN)) // 2
    columns = [_feature(card.features[number], LETTERS[number], half) for number in (0, 1)]
    return [_beside(one, other, half) for one, other in zip(*columns, strict=True)]


def _feature(one: PairedFeature, letter: str, cells: int) -> list[Line]:
    name = one.label or one.suggestion
    head = line(
        Span(f"{letter} ", Role.HEADING),
        f"{one.run} ",
        Span(str(one.feature), Role.HEADING),
        "  ",
        Span(name or one.token, Role.BOLD if one.label else Role.PLAIN),
    )
    figures = (
        f"fires on {share(one.density)} of tokens · on {count(one.units)} shared units · max {activation(one.top)}"
    )
    return [crop(head, cells), crop(line("  ", Span(figures, Role.DIM)), cells)]


def _statistics(card: PairCard, cells: int) -> list[Line]:
    told = card.statistics
    parts = [
        line(Span("r ", Role.DIM), Span(decimal(told.r), Role.BOLD)),
        *_cosines(told),
        line("mutual" if told.mutual else Span("not mutual", Role.DIM)),
        line(Span("B covers of A ", Role.DIM), share(told.coverage)),
        line(Span("A covers of B ", Role.DIM), share(told.covered)),
        line(Span("Jaccard ", Role.DIM), decimal(told.jaccard)),
        line(Span("measured on ", Role.DIM), count(told.joint), Span(" joint units", Role.DIM)),
    ]
    return [line("  ", *one) for one in wrap(parts, cells - 2, " · ")]


def _cosines(told: PairStatistics) -> list[Line]:
    """Return the cosines of the directions, where both are in one space."""
    named = (("cosine ", told.cosine), ("of encoders ", told.encoder_cosine))
    return [line(Span(name, Role.DIM), decimal(value)) for name, value in named if not math.isnan(value)]


def _section(card: PairCard, name: str, cells: int, rendering: Rendering, where: Frame) -> Sheet:
    shown, n = card.sections[name], card.counts[name]
    found = Sheet([_heading(card, name, n, len(shown), cells)], [])
    for number, one in enumerate(shown):
        lines = _passage(card, one, cells, rendering, where)
        found.stops.append(Stop(Key(name, number), len(found.lines), len(lines), 0, cells))
        found.lines.extend(lines)
    return found


def _heading(card: PairCard, name: str, n: int, shown: int, cells: int) -> Line:
    unit = card.statistics.unit
    titles = {BOTH: "BOTH FIRE", ONLY_FIRST: "ONLY A FIRES", ONLY_SECOND: "ONLY B FIRES"}
    words = f"on {count(n)} {'words' if unit == 'word' else 'units'}"
    words += f"; the strongest {shown}, one a document" if shown else ""
    return spread(line(Span(titles[name], Role.HEADING)), line(Span(words, Role.DIM)), cells)


def _passage(card: PairCard, one: ShownPassage, cells: int, rendering: Rendering, where: Frame) -> list[Line]:
    """Return a passage twice, each time in the heat of one of the two; with rulers, one text above both."""
    heads = [_value(act, letter) for act, letter in zip(one.acts, LETTERS, strict=True)]
    drawn = [
        passage(example, feature.top, rendering, where)
        for example, feature in zip(one.examples, card.features, strict=True)
    ]
    if cells >= BESIDE:
        half = (cells - len(BETWEEN)) // 2
        left, right = (
            [line(*(head if number == 0 else BLANK), *spans) for number, spans in enumerate(lines)]
            for head, lines in zip(heads, drawn, strict=True)
        )
        return [_beside(mine, theirs, half) for mine, theirs in zip(left, right, strict=True)]
    if rendering is Rendering.RULER:
        rulers = [line(*head, *lines[1]) for head, lines in zip(heads, drawn, strict=True)]
        return [line(*BLANK, *drawn[0][0]), *rulers]
    return [line(*head, *lines[0]) for head, lines in zip(heads, drawn, strict=True)]


def _value(act: float, letter: str) -> Line:
    said = activation(act) if act > 0 else "–"
    return line(Span(f"{letter}{fit(cut(said, VALUE), VALUE, '>')}  "))


def _beside(left: Line, right: Line, half: int) -> Line:
    return line(*left, " " * max(0, half - width_of(left)), Span(BETWEEN, Role.DIM), *right)
