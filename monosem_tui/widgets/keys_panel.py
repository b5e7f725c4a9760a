"""The help panel above the bottom line: what the cursor is on, explained, or the keys that work now."""

from __future__ import annotations

from collections.abc import Iterable

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line, Role, Span, line, rule
from monosem_tui.keys.actions import Action, entries
from monosem_tui.widgets.lines_panel import LinesPanel

Listed = list[tuple[Action, bool]]
"""Actions, and for each whether it does something now."""
GROUP = 6
"""Cells of a purpose left of its keys."""


class KeysPanel(LinesPanel):
    """An explanation of constant height, or keys in as many columns as fit, as high as needed."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self.explaining = False
        """Whether it explains, not lists keys."""

    def turn(self) -> None:
        """Go on from nothing to the explanation, from that to the keys, from those to nothing."""
        self.display, self.explaining = not self.display or self.explaining, not self.display

    def show_keys(self, title: str, actions: Listed, cells: int, rows: int) -> None:
        """Show actions in `cells` cells; where they need more than `rows` lines, those that do something now."""
        drawn = lines(title, actions, cells)
        if len(drawn) > rows:
            drawn = lines(title, [(action, does) for action, does in actions if does], cells)[:rows]
        self.stand(drawn)


def lines(title: str, actions: Listed, cells: int) -> list[Line]:
    """Return a rule with a title, then keys and what they do by purpose; an action that does nothing now is dim."""
    from monosem_tui.keys.purposes import Purpose, purpose  # the first screen is there sooner

    groups = [(one, entries(action for action, _ in actions if purpose(action) is one)) for one in Purpose]
    every = [entry for _, listed in groups for entry in listed]
    keys = max(len(entry.keys) for entry in every) + 2
    size = keys + max(len(entry.description) for entry in every) + 2
    columns = max(1, (cells - GROUP) // size)
    does = dict(actions)
    drawn = [rule(title, cells)]
    for one, listed in groups:
        n_rows = -(-len(listed) // columns)
        for number in range(n_rows):
            parts = [Span(f" {one.value if number == 0 else '':<{GROUP - 1}}", Role.DIM)]
            for entry in listed[number::n_rows]:
                parts += _entry(entry.keys, entry.description, entry.actions, does, keys, size)
            parts[-1] = Span(parts[-1].text.rstrip(), parts[-1].role)
            drawn.append(line(*parts))
    return drawn


def _entry(
    keys: str, description: str, actions: Iterable[Action], does: dict[Action, bool], key_cells: int, cells: int
) -> list[Span]:
    on = any(does[action] for action in actions)
    return [
        Span(keys.ljust(key_cells), Role.BOLD if on else Role.DIM),
        Span(description.ljust(cells - key_cells), Role.PLAIN if on else Role.DIM),
    ]
