"""A clamp sweep as lines: for each strength KL, perplexity and the beginning of its text."""

from __future__ import annotations

from monosem_tui.draw.bars import bar
from monosem_tui.draw.numbers import activation, known
from monosem_tui.draw.safe_text import fit, width
from monosem_tui.draw.spans import Line, Role, Span, crop, line
from monosem_tui.draw.token_rows import flow
from monosem_tui.draw.token_text import display_tokens
from store.files.errors import MonosemError
from store.index.vocabulary import Vocabulary
from store.live.clamp import parse_clamp
from store.live.model_outputs import ClampSweep, mean, perplexity

BAR = 10
ROOMY = 76
"""Least cells for bars."""
MOST_ROWS = 4
"""Rows of each text."""


def sweep_title(sweep: ClampSweep) -> str:
    """Return the title, with the perplexity of the base text."""
    base = perplexity(sweep.base.logprobs)
    return f"sweep · perplexity of base {_number(base)} · esc back to the text"


def sweep_lines(sweep: ClampSweep, vocabulary: Vocabulary, cells: int, room: int) -> list[Line]:
    """Return the sweep in exactly `room` lines."""
    levels = [mean(one.kl) for one in sweep.strengths]
    top = max((level for level in levels if level is not None), default=0.0)
    rows = max(0, min(MOST_ROWS, room // max(1, len(sweep.strengths)) - 1))
    long = BAR if cells >= ROOMY else 0
    lines: list[Line] = []
    for one, level in zip(sweep.strengths, levels, strict=True):
        drawn = bar((level or 0.0) / top if top > 0 else 0.0, long)
        texts = display_tokens(vocabulary.tokens(one.text.tokens))
        spans = [
            Span(f" {fit(_words(one.clamp), 28)}", Role.BOLD),
            Span(f"  KL {_number(level):>5}  "),
            Span(drawn + " " * (long - width(drawn)), Role.DIM),
            Span(f"  perplexity {_number(perplexity(one.own_logprobs)):>6}"),
        ]
        if not rows:
            spans.append(Span("".join(["  ", *texts])))
        lines.append(crop(line(*spans), cells))
        lines += [crop(line(" ", *(Span(p.text) for p in row)), cells) for row in flow(texts, cells - 2)[:rows]]
    return (lines + [()] * room)[:room]


def _words(clamp: str) -> str:
    try:
        return parse_clamp(clamp).in_words()
    except MonosemError:
        return clamp


def _number(value: float | None) -> str:
    return known(value, activation, "–")
