"""The bottom line: which keys do something here, and where one is."""

from __future__ import annotations

from monosem_tui.actions import Action
from monosem_tui.text.spans import Line, Role, Span, line, width_of

ESSENTIAL = ("back", "help", "quit")
"""Actions whose hints stay when it is narrow."""


def hints(actions: list[Action], right: str, cells: int) -> Line:
    """The footer of some actions, as many as fit, with `right` at its end."""
    end = line(Span(right, Role.DIM), " ")
    optional = [action.hint for action in actions if action.hint and action.id not in ESSENTIAL]
    kept = [action.hint for action in actions if action.hint and action.id in ESSENTIAL]
    for n in range(len(optional), -1, -1):
        parts: list[Span] = []
        for text in optional[:n] + kept:
            key, _, word = text.partition(" ")
            parts += [Span("  " if parts else " "), Span(key, Role.BOLD), Span(f" {word}", Role.DIM)]
        gap = cells - width_of(parts) - width_of(end)
        if gap >= 2:
            return line(*parts, " " * gap, *end)
    return end
