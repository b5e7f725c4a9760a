"""Terms explained in a panel: the one under the cursor in full, others of its pane in a line each."""

from __future__ import annotations

from collections.abc import Sequence

from monosem_tui.draw.safe_text import fit, width
from monosem_tui.draw.spans import Line, Role, Span, crop, line, ruled, wrap
from monosem_tui.terms.term import Term

LABEL = 10
"""Cells of a word such as `computed`."""
LEAST_ROWS, MOST_ROWS = 6, 16
LONGEST_NAME = 20


def panel_rows(height: int) -> int:
    """Return the lines of the panel on a screen of some height: the same whatever it explains, so nothing moves."""
    return max(LEAST_ROWS, min(height // 2 - 1, MOST_ROWS))


def explanation_lines(term: Term | None, others: Sequence[Term], cells: int, rows: int, hint: str = "") -> list[Line]:
    """Return exactly `rows` lines: a rule, the term in full, and as many of the others as there is room for.

    Args:
        term: what the cursor is on; None where it is on nothing that is a term.
        others: what else the pane shows, in its order.
        cells: width.
        rows: lines.
        hint: how one goes from one to the next, where one can.
    """
    title = line(Span("─ ", Role.DIM), Span(term.title if term else "what is here", Role.BOLD))
    title = line(*title, Span(f" · {term.phrase}" if term and term.phrase else "", Role.DIM), " ")
    lines = [ruled(title, cells, line(Span(f" {hint}? keys · esc closes ─", Role.DIM)))]
    if term is not None:
        lines += _full(term, cells)
    rest = [one for one in others if one is not term]
    size = min(LONGEST_NAME, max((width(one.title) for one in rest), default=0))
    short = [_short(one, size, cells) for one in rest]
    if term is not None and len(lines) + 1 < rows and short:
        lines.append(())
    return [*lines, *short, *[()] * rows][:rows]


def _full(term: Term, cells: int) -> list[Line]:
    named = [("computed", term.formula), ("unit", term.unit), ("typical", term.typical), ("source", term.source)]
    lines = [line(" ", *row) for row in wrap(_words(term.meaning), cells - 2, " ")]
    for label, text in named:
        if text:
            lines += _under(label, text, cells)
    return lines


def _words(text: str) -> list[Line]:
    return [line(word) for word in text.split()]


def _under(label: str, text: str, cells: int) -> list[Line]:
    """Return a text beside its dim label, its further lines under its first."""
    rows = wrap(_words(text), cells - LABEL - 2, " ")
    heads = [label, *[""] * (len(rows) - 1)]
    return [line(" ", Span(fit(head, LABEL), Role.DIM), *row) for head, row in zip(heads, rows, strict=True)]


def _short(term: Term, size: int, cells: int) -> Line:
    return crop(line(" ", Span(fit(term.title, size), Role.BOLD), "  ", term.meaning), cells)
