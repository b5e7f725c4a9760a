"""The history of features followed, as in a web browser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from monosem_tui.draw.sheet import Key
from monosem_tui.draw.spans import Line, Role, Span, crop, crop_left, line, width_of

LONGEST = 100
"""Most visits kept."""
HISTORY = "history "
ARROW = " › "


class Visit(NamedTuple):
    """A page and the position on it."""

    feature: int
    first: int = 0
    """First visible line."""
    chosen: Key | None = None


@dataclass(frozen=True)
class Trail:
    """The pages before and after the present one."""

    feature: int
    past: tuple[Visit, ...] = ()
    future: tuple[Visit, ...] = ()
    """Pages after the present one, nearest first."""

    def follow(self, here: Visit, feature: int) -> Trail:
        """Follow a feature; the pages after the present one are dropped."""
        return Trail(feature, (*self.past, here)[-LONGEST:])

    def back(self, here: Visit) -> tuple[Trail, Visit]:
        """Go to the page before, which must exist."""
        visit = self.past[-1]
        return Trail(visit.feature, self.past[:-1], (here, *self.future)), visit

    def forward(self, here: Visit) -> tuple[Trail, Visit]:
        """Go to the next page, which must exist."""
        visit = self.future[0]
        return Trail(visit.feature, (*self.past, here), self.future[1:]), visit


def trail_lines(trail: Trail | None, outside: str, cells: int) -> list[Line]:
    """Return `history 17 › 88 › 412` and the reason why the list lacks the feature, as far as they apply."""
    lines: list[Line] = []
    if trail is not None and (trail.past or trail.future):
        name = Span(HISTORY, Role.DIM)
        before = "".join(f"{visit.feature}{ARROW}" for visit in trail.past)
        behind = "".join(f"{ARROW}{visit.feature}" for visit in trail.future)
        here = Span(str(trail.feature), Role.BOLD)
        room = cells - len(HISTORY) - width_of([here])
        left = line(Span(before, Role.DIM))
        lines.append(line(name, *(left if width_of(left) <= room else crop_left(left, room)), here))
        lines[0] = crop(line(*lines[0], Span(behind, Role.DIM)), cells)
    if outside:
        lines.append(crop(line(Span(outside, Role.BOLD)), cells))
    return lines
