"""Choice of a page's examples: amount of text, intervals, one per document, random ones."""

from __future__ import annotations

from dataclasses import replace

from monosem_tui.model.example_choice import ExampleChoice
from monosem_tui.model.session_state import ExamplesMemory, Memory
from monosem_tui.screens.feature.page import PageReader
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.part import ScreenPart
from store.query.examples import RANDOM


class ExampleControls(ScreenPart):
    """Changes the choice of examples, and has the page read again."""

    def __init__(self, state: PaneState, reader: PageReader) -> None:
        self._state, self._reader = state, reader
        self._drawn = False
        """Whether the random examples are to be scrolled to when the page is there."""

    def remembered(self, memory: Memory) -> Memory:
        """Keep how examples are shown."""
        choice = self._state.choice
        kept = ExamplesMemory(
            intervals=choice.intervals,
            by_value=choice.by_value,
            one_per_document=choice.one_per_document,
            extent=choice.extent,
        )
        return replace(memory, examples=kept)

    def reveal(self) -> None:
        """Scroll to the random examples, if they are what was asked for."""
        if self._drawn:
            self._drawn = False
            self._state.page.reveal(RANDOM)

    def _choose(self, choice: ExampleChoice, said: str) -> None:
        self._state.choice = choice
        self._reader.reread()
        self._state.host.tell(said)

    def action_widen_text(self, steps: int) -> None:
        """Show more or less text around each example."""
        choice = self._state.choice
        wider = choice.wider(steps)
        most = ": as much as there is room for" if wider == choice and steps > 0 else ""
        self._choose(wider, f"examples with {wider.text.name}{most}")

    def action_intervals(self) -> None:
        """Show 4 intervals, or 12, by rank or by value."""
        choice = self._state.choice.other_intervals()
        self._choose(choice, f"{choice.intervals} intervals {choice.measure}")

    def action_one(self) -> None:
        """Show one example per document, or one per context."""
        choice = replace(self._state.choice, one_per_document=not self._state.choice.one_per_document)
        self._choose(choice, f"one example a {choice.unit}")

    def action_draw(self) -> None:
        """Draw other random examples."""
        self._drawn = True
        choice = replace(self._state.choice, seed=self._state.choice.seed + 1)
        self._choose(choice, f"random examples of seed {choice.seed}")
