"""Which examples a page shows, and how much text around each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

FEW, MANY = 4, 12
"""Quantile intervals; Towards Monosemanticity has 12."""


class Extent(NamedTuple):
    """How much text an example is shown with."""

    lines: int
    before: int
    """Tokens before the peak, as many as the widest terminals can show."""
    after: int
    name: str


EXTENTS = (
    Extent(1, 8, 4, "8 tokens before, 4 behind"),
    Extent(1, 60, 40, "a line"),
    Extent(3, 180, 120, "3 lines"),
    Extent(8, 480, 320, "8 lines"),
)
LINE = 1
"""Place in EXTENTS of what a page begins with."""


@dataclass(frozen=True)
class ExampleChoice:
    """What is asked of a page's examples."""

    intervals: int = FEW
    one_per_document: bool = False
    extent: int = LINE
    """Place in EXTENTS."""
    seed: int = 0
    """Which random examples are drawn."""

    @property
    def text(self) -> Extent:
        """How much text is shown around each."""
        return EXTENTS[self.extent]

    @property
    def unit(self) -> str:
        """What appears once in a section: a context or a document."""
        return "document" if self.one_per_document else "context"

    def other_intervals(self) -> ExampleChoice:
        """4 intervals, or 12."""
        return replace(self, intervals=FEW if self.intervals == MANY else MANY)

    def wider(self, steps: int) -> ExampleChoice:
        """More text around each example, or less; the same at either end."""
        return replace(self, extent=max(0, min(self.extent + steps, len(EXTENTS) - 1)))


USUAL = ExampleChoice()
"""What a page begins with."""


def sound(intervals: int, one_per_document: bool, extent: int) -> ExampleChoice:
    """A choice from what was kept of another sitting."""
    return ExampleChoice(MANY if intervals == MANY else FEW, one_per_document, LINE).wider(extent - LINE)
