"""The top line: what is open, and the screens there are."""

from __future__ import annotations

from monosem_tui.actions import VIEWS
from monosem_tui.text.opened import OpenRun, headline
from monosem_tui.text.spans import Line, Role, Span, line, width_of

SHORTEST = 16
"""Cells that the run's name keeps beside the screens' titles."""


def header(run: OpenRun | None, present: str, cells: int) -> Line:
    """`stories · … · EV 0.941 · L0 16.0          [1]Browse 4 Health 5 Runs`; the titles go where it is narrow."""
    right = tabs(present, titles=True)
    if cells < width_of(right) + SHORTEST:
        right = tabs(present, titles=False)
    left = headline(run, cells - width_of(right) - 1)
    gap = cells - width_of(left) - width_of(right)
    return line(*left, " " * gap, *right) if gap > 0 else left


def tabs(present: str, *, titles: bool) -> Line:
    """The screens with their keys, the present one bracketed."""
    parts: list[Span | str] = []
    for view in VIEWS:
        here = view.name == present
        title = (view.title if here else f" {view.title}") if titles else ""
        text = f"[{view.key}]{title}" if here else f"{view.key}{title}"
        parts += [" ", Span(text, Role.BOLD if here else Role.DIM)]
    return line(*parts, " ")
