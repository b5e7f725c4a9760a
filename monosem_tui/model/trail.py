"""The features one has followed from one to the next, as a browser keeps the pages one has visited."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from monosem_tui.draw.safe_text import fit
from monosem_tui.draw.sheet import NAME, Key
from monosem_tui.draw.spans import Line, Role, Span, crop, crop_left, line, width_of

LONGEST = 100
"""Visits kept; those before are forgotten."""
ARROW = " › "


class Visit(NamedTuple):
    """A page, and where on it one was."""

    feature: int
    first: int = 0
    """The first line on the screen."""
    chosen: Key | None = None


@dataclass(frozen=True)
class Trail:
    """Where one is, and the pages before and behind it."""

    feature: int
    past: tuple[Visit, ...] = ()
    future: tuple[Visit, ...] = ()
    """The next one first."""

    def follow(self, here: Visit, feature: int) -> Trail:
        """On to a feature; what was ahead is forgotten."""
        return Trail(feature, (*self.past, here)[-LONGEST:])

    def back(self, here: Visit) -> tuple[Trail, Visit]:
        """To the page before; there must be one."""
        visit = self.past[-1]
        return Trail(visit.feature, self.past[:-1], (here, *self.future)), visit

    def forward(self, here: Visit) -> tuple[Trail, Visit]:
        """To the page that one has come back from; there must be one."""
        visit = self.future[0]
        return Trail(visit.feature, (*self.past, here), self.future[1:]), visit


def trail_lines(trail: Trail | None, outside: str, cells: int) -> list[Line]:
    """`history 17 › 88 › 412`, and why the list does not have the feature; nothing where there is nothing to say."""
    lines: list[Line] = []
    if trail is not None and (trail.past or trail.future):
        name = Span(fit("history", NAME), Role.DIM)
        before = "".join(f"{visit.feature}{ARROW}" for visit in trail.past)
        behind = "".join(f"{ARROW}{visit.feature}" for visit in trail.future)
        here = Span(str(trail.feature), Role.BOLD)
        room = cells - NAME - width_of([here])
        left = line(Span(before, Role.DIM))
        lines.append(line(name, *(left if width_of(left) <= room else crop_left(left, room)), here))
        lines[0] = crop(line(*lines[0], Span(behind, Role.DIM)), cells)
    if outside:
        lines.append(crop(line(Span(outside, Role.WARNING)), cells))
    return lines
