"""The list of runs, with a cursor on one of them."""

from __future__ import annotations

from pathlib import Path

from monosem_tui.draw.numbers import count
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.draw.spans import Line, Role, Span, crop, line, rule
from monosem_tui.model.run_order import RunOrdering, arranged
from monosem_tui.model.runs_watch import RunState
from monosem_tui.pages.run_rows import run_columns, run_header, run_lines
from monosem_tui.pages.welcome_page import welcome_lines
from monosem_tui.widgets.cursor_list import CursorList

NEWEST = RunOrdering()
"""All runs, the newest first."""


class RunList(CursorList):
    """Runs, the newest first; some of them over several lines."""

    def __init__(self, palette: Palette, root: Path) -> None:
        super().__init__(palette)
        self._root = root
        self.states: tuple[RunState, ...] = ()
        """The listed runs."""
        self.ordering = RunOrdering()
        self.total = 0
        """Runs that there are, those left out by the filter among them."""
        self.opened: Path | None = None
        """Folder of the run whose features the other screens show; its row has a mark."""
        self.marked: frozenset[Path] = frozenset()
        """Folders of the runs that are marked."""
        self._lines: list[Line] = []
        self._starts: list[int] = []
        """The first line of each run."""
        self.looked = False
        """Whether the folder has been read."""

    @property
    def entries(self) -> int:
        """Number of runs."""
        return len(self.states)

    @property
    def chosen(self) -> RunState | None:
        """The run under the cursor."""
        return self.states[self.cursor] if self.states else None

    def show(self, states: tuple[RunState, ...], opened: Path | None, ordering: RunOrdering = NEWEST) -> None:
        """Show runs as they are now; the cursor stays with its run, or goes to one that was opened since.

        Args:
            states: all runs, the newest first.
            opened: folder of the one whose features the other screens show.
            ordering: filter and sort.
        """
        self.total, self.ordering, states = len(states), ordering, arranged(states, ordering)
        kept = self.chosen.path if self.chosen and opened == self.opened else opened
        self.states, self.opened, self.looked = states, opened, True
        places = [number for number, state in enumerate(states) if kept is not None and _same(state.path, kept)]
        self.cursor = places[0] if places else min(self.cursor, max(0, len(states) - 1))
        self.redraw()

    def go_to(self, folder: Path) -> bool:
        """Put the cursor on the run in a folder; False where it is not in the list."""
        places = [number for number, state in enumerate(self.states) if _same(state.path, folder)]
        self.cursor = places[0] if places else self.cursor
        self.redraw()
        return bool(places)

    def entry_at(self, row: int) -> int | None:
        """Return the number of the run that stands on a row, the last one that begins there or above."""
        above = [number for number, start in enumerate(self._starts) if start <= row]
        return above[-1] if above and row < self.rows else None

    @property
    def row_of_cursor(self) -> int:
        """The first line of the run under the cursor."""
        return self._starts[self.cursor] if self._starts else 0

    def action_turn(self, screens: float) -> None:
        """Move the cursor by as many runs as begin in a share of the visible lines."""
        if self._starts:
            target = self._starts[self.cursor] + int(self.room * screens)
            self.go(self.entry_at(min(target, self.rows - 1)) or 0)

    def resized(self) -> None:
        """Lay out for the new width."""
        self.redraw()

    def head(self, y: int) -> Line:
        """Return the folder, then the names of the columns."""
        cells = self.size.width
        if y == 1:
            return crop(run_header(run_columns(cells), self.ordering), cells) if self.total else ()
        n, root = self.total, printable(str(self._root))
        where = root if self._root.is_absolute() else f"./{root}"
        found = f"{count(n)} run{'s' * (n != 1)} in" if n else "no runs yet in" if self.looked else "reading"
        if self.ordering.text:
            found = f"{count(len(self.states))} of {found} {where}"
            return rule(cut(f"{found} · /{printable(self.ordering.text)}", cells - 4), cells, focused=True)
        return rule(cut(f"{found} {where}", cells - 4), cells, focused=True)

    def row(self, number: int) -> Line:
        """Return one line."""
        return self._lines[number]

    def redraw(self) -> None:
        """Lay the runs out, the cursor in sight."""
        cells = self.size.width
        where = run_columns(cells)
        self._lines, self._starts = [], []
        for number, state in enumerate(self.states):
            self._starts.append(len(self._lines))
            opened = self.opened is not None and _same(state.path, self.opened)
            marked = state.path in self.marked
            self._lines += run_lines(state, where, cells, cursor=number == self.cursor, opened=opened, marked=marked)
        if not self.total and self.looked:
            self._lines = welcome_lines(cells)
        elif not self.states and self.looked:
            self._lines = [(), line(Span(" no run has these words; esc shows all", Role.DIM))]
        self.rows = len(self._lines)
        self._keep_cursor_visible()
        self.refresh()

    def _keep_cursor_visible(self) -> None:
        if not self._starts:
            return
        start = self._starts[self.cursor]
        ends = [*self._starts[1:], self.rows]
        if start < self.first:
            self.jump(start)
        elif ends[self.cursor] > self.first + self.room:
            self.jump(min(start, ends[self.cursor] - self.room))
        else:
            self.jump(self.first)


def _same(one: Path, other: Path) -> bool:
    return one == other or one.resolve() == other.resolve()
