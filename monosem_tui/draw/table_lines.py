"""A table as lines: its first column is text, the others are numbers; one too wide is continued below."""

from __future__ import annotations

from collections.abc import Sequence

from monosem_tui.draw.safe_text import fit, width
from monosem_tui.draw.spans import Line, Role, Span, line

GAP = 2
FIRST = 0.5
"""Most of the width that the first column takes."""


def table_lines(columns: Sequence[str], rows: Sequence[Sequence[str]], cells: int) -> list[Line]:
    """Return a head and the rows of a table; columns that do not fit follow below, each row with its first cell.

    Args:
        columns: titles; printable.
        rows: as many cells as there are columns; printable.
        cells: width of the lines.
    """
    widths = [max(width(row[n]) for row in (columns, *rows)) for n in range(len(columns))]
    first = min(widths[0], int(cells * FIRST))
    lines: list[Line] = []
    for part in _parts(widths[1:], cells - first):
        if lines:
            lines.append(())
        lines.append(_row(columns, part, widths, first, Role.DIM))
        lines += [_row(row, part, widths, first, Role.PLAIN) for row in rows]
    return lines


def _parts(widths: Sequence[int], cells: int) -> list[list[int]]:
    """Deal the columns after the first to as many parts as they need; a part has one column at least."""
    parts: list[list[int]] = [[]]
    used = 0
    for number, size in enumerate(widths, 1):
        if parts[-1] and used + GAP + size > cells:
            parts.append([])
            used = 0
        parts[-1].append(number)
        used += GAP + size
    return parts


def _row(row: Sequence[str], part: Sequence[int], widths: Sequence[int], first: int, role: Role) -> Line:
    numbers = "".join(" " * GAP + fit(row[n], widths[n], ">") for n in part)
    return line(Span(fit(row[0], first), role), Span(numbers, role))
