"""The health of a run: a page that scrolls, with a cursor on groups of features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import events
from textual.message import Message

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line, line, rule
from monosem_tui.model.run_health import Chapter, Densities, Group
from monosem_tui.model.training_watch import Training
from monosem_tui.pages.health_page import chapter_lines, density_lines, group_line, quality
from monosem_tui.pages.training_page import training_lines
from monosem_tui.widgets.scroll_view import LEAST, ScrolledView
from store.run.counted_noun import TOKEN, CountedNoun

if TYPE_CHECKING:
    from monosem_tui.pages.place_terms import Explained


class HealthView(ScrolledView):
    """Numbers, densities and their groups, curves, then everything that is on record."""

    class Chosen(Message):
        """The group under the cursor was clicked twice."""

    def __init__(self, palette: Palette, name: str) -> None:
        super().__init__(palette)
        self._name = name
        self._figures: Sequence[str] = ()
        self._densities: Densities | None = None
        self._training = Training()
        self._chapters: Sequence[Chapter] = ()
        self._lines: list[Line] = []
        self._groups_at = 0
        """The line of the first group."""
        self.cursor = 0
        """Index of the group under the cursor, from 0."""

    @property
    def group(self) -> Group | None:
        """The group under the cursor; None where that is not on the screen."""
        return self._densities.groups[self.cursor] if self._densities and self._in_sight(self.cursor) else None

    @property
    def found(self) -> Densities | None:
        """The densities that are shown."""
        return self._densities

    def show(
        self,
        figures: Sequence[str],
        densities: Densities | None,
        training: Training,
        chapters: Sequence[Chapter],
        noun: CountedNoun = TOKEN,
    ) -> None:
        """Show a run; the cursor begins on the first group that has features."""
        if self._densities is None and densities is not None:
            filled = [number for number, group in enumerate(densities.groups) if len(group)]
            self.cursor = filled[0] if filled else 0
        self._figures, self._densities, self._training, self._chapters = figures, densities, training, chapters
        self._noun = noun
        self._lay_out()

    def action_move(self, rows: int) -> None:
        """Go to another group; beyond the first and the last, and where none is in sight, scroll a line."""
        wanted = self.cursor + rows
        groups = self._densities.groups if self._densities else ()
        if self._in_sight(self.cursor) and 0 <= wanted < len(groups):
            self.cursor = wanted
            self._lay_out()
            line_number = self._groups_at + wanted
            if not self._in_sight(wanted):
                self.jump(line_number if rows < 0 else line_number - self.room + 1)
            self.post_message(self.Moved())
        else:
            self.jump(self.first + rows)

    def resized(self) -> None:
        """Lay out for the new width."""
        self._lay_out()
        self.post_message(self.Moved())

    def on_click(self, event: events.Click) -> None:
        """Go to the clicked group; a second click shows it."""
        number = event.y - self.HEAD + self.first - self._groups_at
        if event.y >= self.HEAD and self._densities and 0 <= number < len(self._densities.groups):
            self.cursor = number
            self._lay_out()
            self.post_message(self.Moved())
            if event.chain == 2:
                self.post_message(self.Chosen())

    def explained(self) -> Explained:
        """Return the term of the group under the cursor, and those of quality."""
        from monosem_tui.pages.place_terms import Explained, group_term
        from monosem_tui.terms.quality import QUALITY

        group = self.group
        return Explained(group_term(group.title, group.note) if group is not None else None, QUALITY)

    def head(self, _y: int) -> Line:
        """Return a rule with the run's name."""
        return rule(f"health of {self._name}", self.size.width, focused=True)

    def row(self, number: int) -> Line:
        """Return one line."""
        return self._lines[number]

    def _in_sight(self, group: int) -> bool:
        return self.first <= self._groups_at + group < self.first + self.room

    def _lay_out(self) -> None:
        cells = max(LEAST, self.size.width - 2)
        lines = [*quality(self._figures, cells), ()]
        found = self._densities
        if found is not None:
            lines += density_lines(found, cells)
            self._groups_at = len(lines)
            lines += [group_line(g, found, cells, cursor=n == self.cursor) for n, g in enumerate(found.groups)]
            lines.append(())
        n_features = found.n_features if found is not None else 0
        curves = training_lines(self._training, n_features, cells, self._noun)
        lines += [*curves, ()] if curves else []
        for chapter in self._chapters:
            lines += [*chapter_lines(chapter, cells), ()]
        self._lines = [line(" ", *spans) for spans in lines[:-1]]
        self.rows = len(self._lines)
        self.jump(self.first)
        self.refresh()
