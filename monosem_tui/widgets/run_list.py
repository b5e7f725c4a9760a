"""The list of runs, with a cursor on one of them."""

from __future__ import annotations

from pathlib import Path

from textual import events
from textual.message import Message

from monosem_tui.draw.numbers import count
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.draw.spans import Line, Role, Span, crop, line, width_of
from monosem_tui.model.runs_watch import RunState
from monosem_tui.pages.run_rows import run_columns, run_header, run_lines
from monosem_tui.widgets.line_view import LineView

RULE = "─"


class RunList(LineView):
    """Runs, the newest first; some of them over several lines."""

    HEAD = 2

    class Highlighted(Message):
        """The cursor came to another run."""

    class Opened(Message):
        """The run under the cursor was clicked twice."""

    def __init__(self, palette: Palette, root: Path) -> None:
        super().__init__(palette)
        self._root = root
        self._states: tuple[RunState, ...] = ()
        self._opened: Path | None = None
        self._lines: list[Line] = []
        self._starts: list[int] = []
        """The first line of each run."""
        self._cursor = 0
        self._looked = False

    @property
    def cursor(self) -> int:
        """Row of the cursor, counted from 0."""
        return self._cursor

    @property
    def states(self) -> tuple[RunState, ...]:
        """The listed runs."""
        return self._states

    @property
    def chosen(self) -> RunState | None:
        """The run under the cursor."""
        return self._states[self._cursor] if self._states else None

    def show(self, states: tuple[RunState, ...], opened: Path | None) -> None:
        """Show runs as they are now; the cursor stays with its run.

        Args:
            states: the runs.
            opened: folder of the one whose features the other screens show.
        """
        kept = self.chosen.path if self.chosen else opened
        self._states, self._opened, self._looked = states, opened, True
        places = [number for number, state in enumerate(states) if kept is not None and _same(state.path, kept)]
        self._cursor = places[0] if places else min(self._cursor, max(0, len(states) - 1))
        self._lay_out()

    def go(self, number: int) -> None:
        """Move the cursor to a run, or to the nearest one."""
        number = max(0, min(number, len(self._states) - 1))
        if number != self._cursor:
            self._cursor = number
            self._lay_out()
            self.post_message(self.Highlighted())

    def action_move(self, runs: int) -> None:
        """Move the cursor up or down."""
        self.go(self._cursor + runs)

    def action_turn(self, screens: float) -> None:
        """Move the cursor by as many runs as begin in a share of the visible lines."""
        if self._starts:
            target = self._starts[self._cursor] + int(self.room * screens)
            reached = [number for number, start in enumerate(self._starts) if start <= target]
            self.go(reached[-1] if reached else 0)

    def action_end(self, side: int) -> None:
        """Go to the first or the last run."""
        self.go(len(self._states) - 1 if side > 0 else 0)

    def resized(self) -> None:
        """Lay out for the new width."""
        self._lay_out()

    def on_click(self, event: events.Click) -> None:
        """Go to the clicked run; a second click opens it."""
        at = event.y - self.HEAD + self.first
        under = [number for number, start in enumerate(self._starts) if start <= at]
        if event.y >= self.HEAD and under and at < self.rows:
            self.go(under[-1])
            if event.chain == 2:
                self.post_message(self.Opened())

    def head(self, y: int) -> Line:
        """Return the folder, then the names of the columns."""
        cells = self.size.width
        if y == 1:
            return crop(run_header(run_columns(cells)), cells)
        n, root = len(self._states), printable(str(self._root))
        where = root if self._root.is_absolute() else f"./{root}"
        found = f"{count(n)} run{'s' * (n != 1)} in" if n else "no runs yet in" if self._looked else "reading"
        title = f"{found} {where}"
        left = line(Span(f"{RULE} ", Role.DIM), Span(cut(title, cells - 4), Role.BOLD), " ")
        return line(*left, Span(RULE * (cells - width_of(left)), Role.DIM))

    def row(self, number: int) -> Line:
        """Return one line."""
        return self._lines[number]

    def _lay_out(self) -> None:
        cells = self.size.width
        where = run_columns(cells)
        self._lines, self._starts = [], []
        for number, state in enumerate(self._states):
            self._starts.append(len(self._lines))
            opened = self._opened is not None and _same(state.path, self._opened)
            self._lines += run_lines(state, where, cells, cursor=number == self._cursor, opened=opened)
        if not self._states and self._looked:
            self._lines = [(), line(Span(" none yet: `monosem demo` makes one, `monosem train` another", Role.DIM))]
        self.rows = len(self._lines)
        self._keep_cursor_visible()
        self.refresh()

    def _keep_cursor_visible(self) -> None:
        if not self._starts:
            return
        start = self._starts[self._cursor]
        ends = [*self._starts[1:], self.rows]
        if start < self.first:
            self.jump(start)
        elif ends[self._cursor] > self.first + self.room:
            self.jump(min(start, ends[self._cursor] - self.room))
        else:
            self.jump(self.first)


def _same(one: Path, other: Path) -> bool:
    return one == other or one.resolve() == other.resolve()
