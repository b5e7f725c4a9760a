"""Lines of which some cells run an action when they are clicked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from monosem_tui.draw.spans import Line, line, width_of


class Spot(NamedTuple):
    """Cells `start` to `stop` (exclusive) of a line, and the id of the action that a click there runs."""

    start: int
    stop: int
    action: str


class SpottedLine(NamedTuple):
    """A line and its spots."""

    spans: Line
    spots: tuple[Spot, ...] = ()

    def action_at(self, x: int) -> str:
        """Return the id of the action at a cell; empty where there is none."""
        return next((spot.action for spot in self.spots if spot.start <= x < spot.stop), "")

    def after(self, left: Line) -> SpottedLine:
        """Return the line behind another."""
        by = width_of(left)
        moved = tuple(Spot(spot.start + by, spot.stop + by, spot.action) for spot in self.spots)
        return SpottedLine(line(*left, *self.spans), moved)


def spotted(parts: Iterable[tuple[Line, str]]) -> SpottedLine:
    """Join parts of a line; a click on one that has the id of an action runs it."""
    spans, spots, at = list(line()), [], 0
    for part, action in parts:
        size = width_of(part)
        if action:
            spots.append(Spot(at, at + size, action))
        spans += part
        at += size
    return SpottedLine(line(*spans), tuple(spots))
