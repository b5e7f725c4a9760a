"""Candidates for the token under the cursor: both distributions side by side, and what the clamps move most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from monosem_tui.draw.bars import bar
from monosem_tui.draw.numbers import MINUS, count, share
from monosem_tui.draw.safe_text import fit
from monosem_tui.draw.spans import MARK, RULE, Line, Role, Span, crop, line, rule, width_of, wrap
from monosem_tui.draw.token_text import display_token
from monosem_tui.pages.live_contents import Shown
from store.index.vocabulary import Vocabulary
from store.live.model_outputs import KEPT, NextTokens

COLUMNS = 72
"""Least cells for what is moved most beside the distributions rather than in a line below."""
LEAST, LEAST_MOVED = 1e-4, 1e-3
"""Probability of a token that is shown, and change of one that counts as moved."""
NUMBER = 9
"""Cells of a probability, with a blank before it."""
BOTH = 21
"""Cells of both probabilities of a token that is moved."""
MOST_NAME, MOST_BAR = 18, 12
WIDEST = 44
"""Cells of a distribution at most: blanks cost bytes as well, at every step of the cursor."""


class Candidate(NamedTuple):
    """A token and its probability with and without clamps."""

    token: int
    clamped: float
    own: float


def candidate_lines(shown: Shown, cells: int, most: int) -> list[Line]:
    """Return candidates for the clamped token under the cursor, at most `most` of each kind, below a title."""
    writing, at = shown.talk.writing, shown.cursor
    if at is None or at >= len(writing.clamped):
        return []
    found = writing.candidates[at]
    if found is None:
        return [crop(line(Span(f" candidates are kept for the last {count(KEPT)} tokens", Role.DIM)), cells)]
    ranked, drawn = ranking(found), writing.clamped[at].token
    if writing.kl[at] <= 0:
        alone = _distribution(ranked, drawn, shown.vocabulary, min(cells, WIDEST), most, clamped=True)
        return [rule("next token, which no clamp moves", cells), *alone]
    wide = cells >= COLUMNS
    size = min(WIDEST, (cells - 2) // 3) if wide else (cells - 1) // 2
    sizes = [size, size, cells - 2 - 2 * size] if wide else [size, cells - 1 - size]
    parts = [
        _distribution(ranked, drawn, shown.vocabulary, sizes[0], most, clamped=False),
        _distribution(ranked, drawn, shown.vocabulary, sizes[1], most, clamped=True),
    ]
    heads = ["without clamps", "clamped"]
    if wide:
        heads.append("moved most, points")
        parts.append(_moved(ranked, shown.vocabulary, sizes[2], most))
    lines = [_beside([rule(head, one) for head, one in zip(heads, sizes, strict=True)], sizes, RULE)]
    for number in range(max(map(len, parts))):
        row = [part[number] if number < len(part) else () for part in parts]
        lines.append(_beside(row, sizes, "│"))
    return lines if wide else [*lines, _moved_line(ranked, shown.vocabulary, cells)]


def ranking(found: NextTokens) -> list[Candidate]:
    """Return the candidates with their probabilities; what a model rules out has none."""
    pairs = zip(found.tokens, found.clamped, found.own, strict=True)
    return [Candidate(token, _odds(clamped), _odds(own)) for token, clamped, own in pairs]


def moved_most(ranked: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates whose probability the clamps change, the most changed first."""
    changed = [one for one in ranked if abs(one.clamped - one.own) >= LEAST_MOVED]
    return sorted(changed, key=lambda one: -abs(one.clamped - one.own))


def _odds(logprob: float) -> float:
    return math.exp(min(0.0, logprob)) if not math.isnan(logprob) else 0.0


def _distribution(
    ranked: Sequence[Candidate], drawn: int, vocabulary: Vocabulary, cells: int, most: int, *, clamped: bool
) -> list[Line]:
    """Return the most probable tokens with bars; the one that was drawn is marked."""

    def odds(one: Candidate) -> float:
        return one.clamped if clamped else one.own

    best = sorted((one for one in ranked if odds(one) >= LEAST), key=lambda one: -odds(one))[:most]
    name, long = _sizes(cells)
    lines = []
    for one in best:
        here = one.token == drawn
        drawn_bar = bar(odds(one), long)
        spans = [
            Span(MARK if here else " ", Role.ACCENT),
            Span(_name(one, vocabulary, name), Role.BOLD if here else Role.PLAIN),
            Span(f"{share(odds(one)):>{NUMBER}}"),
            Span(" " + drawn_bar if long else "", Role.DIM),
        ]
        lines.append(crop(line(*spans), cells))
    return lines


def _sizes(cells: int) -> tuple[int, int]:
    """Return the cells of a token and of its bar."""
    left = cells - NUMBER - 2
    long = max(0, min(MOST_BAR, left - 10))
    return max(4, min(MOST_NAME, left - long)), long if long > 2 else 0


def _moved(ranked: Sequence[Candidate], vocabulary: Vocabulary, cells: int, most: int) -> list[Line]:
    name = max(4, min(MOST_NAME, cells - 9 - (BOTH if cells >= BOTH + 17 else 0)))
    lines = []
    for one in moved_most(ranked)[:most]:
        change = one.clamped - one.own
        spans = [Span(" "), Span(_name(one, vocabulary, name)), Span(f"{_points(change):>7}", _sign(change))]
        spans.append(Span(f"  {share(one.own)} → {share(one.clamped)}", Role.DIM))
        lines.append(crop(line(*(spans if width_of(spans) <= cells else spans[:3])), cells))
    return lines


def _moved_line(ranked: Sequence[Candidate], vocabulary: Vocabulary, cells: int) -> Line:
    """Return what is moved most in one line, as much as fits."""
    parts = [line(Span(" moved most, points", Role.DIM))]
    for one in moved_most(ranked):
        change = one.clamped - one.own
        token = display_token(vocabulary.token(one.token), longest=12)
        parts.append(line(f" {token} ", Span(_points(change), _sign(change))))
    return wrap(parts, cells, " ")[0]


def _name(one: Candidate, vocabulary: Vocabulary, cells: int) -> str:
    return fit(display_token(vocabulary.token(one.token), longest=cells), cells)


def _points(change: float) -> str:
    """Return a change in percentage points: `+40.9`."""
    return ("+" if change >= 0 else MINUS) + f"{100 * abs(change):.1f}"


def _sign(change: float) -> Role:
    return Role.PLUS if change >= 0 else Role.MINUS


def _beside(parts: Sequence[Line], sizes: Sequence[int], wall: str) -> Line:
    spans: list[Span] = []
    for number, (part, size) in enumerate(zip(parts, sizes, strict=True)):
        padding = " " * (size - width_of(part)) if number < len(parts) - 1 else ""
        spans += [*([Span(wall, Role.DIM)] if number else []), *part, Span(padding)]
    return line(*spans)
