"""The bottom line: the keys that do something now, and the position."""

from __future__ import annotations

from monosem_tui.draw.spans import Line, Role, Span, line, width_of
from monosem_tui.keys.actions import Action

BACK, HELP, QUIT = "back", "help", "quit"
"""Actions whose hints come last. The first two stay when it is narrow, and the third where nothing can be closed."""


def hints(actions: list[Action], right: str, cells: int) -> Line:
    """Return a line with the hints of as many actions as fit, and `right` at its end."""
    end = line(Span(right, Role.DIM), " ")
    said = {action.id: action.hint for action in actions if action.hint}
    last = [said.pop(name) for name in (BACK, HELP) if name in said]
    quits = [said.pop(QUIT)] if QUIT in said else []
    others = list(said.values())
    if BACK not in {action.id for action in actions}:
        last, quits = last + quits, []
    for texts in ([*others, *last, *quits], *([*others[:n], *last] for n in range(len(others), -1, -1))):
        parts: list[Span] = []
        for text in texts:
            key, _, word = text.partition(" ")
            parts += [Span("  " if parts else " "), Span(key, Role.BOLD), Span(f" {word}", Role.DIM)]
        gap = cells - width_of(parts) - width_of(end)
        if gap >= 2:
            return line(*parts, " " * gap, *end)
    return end
