"""The help panel: the keys that work now, above the bottom line."""

from __future__ import annotations

from monosem_tui.draw.spans import Line, Role, Span, rule
from monosem_tui.keys.actions import Action, entries
from monosem_tui.widgets.lines_panel import LinesPanel

Listed = list[tuple[Action, bool]]
"""Actions, and for each whether it does something now."""


class KeysPanel(LinesPanel):
    """Keys in as many columns as fit, as high as needed."""

    def show_keys(self, title: str, actions: Listed, cells: int, rows: int) -> None:
        """Show actions in `cells` cells; where they need more than `rows` lines, those that do something now."""
        drawn = lines(title, actions, cells)
        if len(drawn) > rows:
            drawn = lines(title, [(action, does) for action, does in actions if does], cells)[:rows]
        self.stand(drawn)


def lines(title: str, actions: Listed, cells: int) -> list[Line]:
    """Return a rule with a title, then keys and what they do; an action that does nothing now is dim."""
    listed, does = entries(action for action, _ in actions), dict(actions)
    keys = max(len(entry.keys) for entry in listed) + 2
    size = keys + max(len(entry.description) for entry in listed) + 2
    n_rows = -(-len(listed) // max(1, (cells + 1) // size))
    drawn = [rule(title, cells)]
    for number in range(n_rows):
        parts = [Span(" ")]
        for entry in listed[number::n_rows]:
            on = any(does[action] for action in entry.actions)
            parts.append(Span(entry.keys.ljust(keys), Role.BOLD if on else Role.DIM))
            parts.append(Span(entry.description.ljust(size - keys), Role.PLAIN if on else Role.DIM))
        parts[-1] = Span(parts[-1].text.rstrip(), parts[-1].role)
        drawn.append(tuple(parts))
    return drawn
