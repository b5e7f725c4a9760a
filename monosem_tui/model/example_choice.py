"""The choice of examples on a page, of text around each, and where documents are cut."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

FEW, MANY = 4, 12
"""Numbers of intervals to choose from; Towards Monosemanticity has 12."""


class Extent(NamedTuple):
    """The text shown around an example."""

    lines: int
    before: int
    """Tokens before the peak: as many as the widest terminals can show."""
    after: int
    name: str


EXTENTS = (
    Extent(1, 8, 4, "8 tokens before, 4 behind"),
    Extent(1, 60, 40, "a line"),
    Extent(3, 180, 120, "3 lines"),
    Extent(8, 480, 320, "8 lines"),
)
LINE = 1
"""Default extent, as an index into EXTENTS."""


class Cuts(NamedTuple):
    """Where a document is cut into stretches."""

    size: int = 1024
    """Tokens read at once."""
    look: int = 128
    """Tokens after the wanted end of a stretch that are searched for a better place to cut."""


CUTS = Cuts()
"""Default cuts."""


@dataclass(frozen=True)
class ExampleChoice:
    """The examples wanted on a page."""

    intervals: int = FEW
    by_value: bool = False
    """Whether intervals are equal in activation, not in ranks."""
    one_per_document: bool = False
    extent: int = LINE
    """Index into EXTENTS."""
    seed: int = 0
    """Seed of the random examples."""

    @property
    def text(self) -> Extent:
        """The text shown around each example."""
        return EXTENTS[self.extent]

    @property
    def measure(self) -> str:
        """The measure in which intervals are equal, in words."""
        return "by value, from 0 to the maximum" if self.by_value else "by rank, of equally many activations"

    @property
    def unit(self) -> str:
        """The unit that appears once per section: a context or a document."""
        return "document" if self.one_per_document else "context"

    def other_intervals(self) -> ExampleChoice:
        """Return the next of 4 and 12 intervals by rank, then 4 and 12 by value."""
        if self.intervals != MANY:
            return replace(self, intervals=MANY)
        return replace(self, intervals=FEW, by_value=not self.by_value)

    def wider(self, steps: int) -> ExampleChoice:
        """Show more or less text around each example, within the limits."""
        return replace(self, extent=max(0, min(self.extent + steps, len(EXTENTS) - 1)))


USUAL = ExampleChoice()
"""Default choice."""


def sound(intervals: int, by_value: bool, one_per_document: bool, extent: int) -> ExampleChoice:
    """Return a choice from remembered values, out-of-range ones replaced by defaults."""
    return ExampleChoice(MANY if intervals == MANY else FEW, by_value, one_per_document, LINE).wider(extent - LINE)
