"""The list of pairs: a rule, the figures as a whole, the names of the columns, then an entry per pair or branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.message import Message

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line, Role, Span, crop, in_role, line, rule, wrap
from monosem_tui.model.comparisons import HeldComparison
from monosem_tui.model.pair_catalogue import PairCatalogue
from monosem_tui.pages.pair_rows import (
    BESIDE,
    PairFeature,
    PairFigures,
    RunShare,
    TextColumns,
    branch_line,
    listed_pair,
    pair_header,
    pair_lines,
    partner_lines,
    root_line,
    shared_lines,
    summary_line,
)
from monosem_tui.widgets.cursor_list import CursorList
from store.comparison.figures import NO_PARTNER

EXPLANATION = 12
"""Lines for the reason why the list is empty."""
Described = Callable[[HeldComparison | None, int], PairFeature]
"""Returns a feature of the other run of a comparison, or of the open run for None, as far as it is known."""


class PairList(CursorList):
    """Entries of one line or two, with a cursor that is always on the screen."""

    HEAD = 3

    class Turned(Message):
        """Other entries are on the screen."""

    def __init__(self, palette: Palette, catalogue: PairCatalogue, name: str, described: Described) -> None:
        """Prepare an empty list.

        Args:
            palette: styles.
            catalogue: the pairs.
            name: name of the open run.
            described: what is known of a feature.
        """
        super().__init__(palette)
        self._catalogue, self._run_name, self._described = catalogue, name, described
        self.trouble = ""
        """A sentence about what is wrong with the other run, in place of the figures as a whole."""
        self.rendering, self.named = Rendering.BACKGROUND, False
        """How activations are drawn, and whether any feature has a label or an explanation."""

    # Entries

    @property
    def entries(self) -> int:
        """Number of entries."""
        return len(self._catalogue.rows)

    @property
    def chosen(self) -> int | None:
        """The row of the table under the cursor; None in an empty list."""
        rows = self._catalogue.rows
        return int(rows[self.cursor]) if len(rows) else None

    @property
    def _tall(self) -> int:
        """Lines of an entry."""
        return 1 if self._catalogue.table.root_N is not None or self.size.width >= BESIDE else 2

    @property
    def in_sight(self) -> list[int]:
        """The rows of the table that are on the screen."""
        first, last = self.first // self._tall, -(-(self.first + self.room) // self._tall)
        found: list[int] = self._catalogue.rows[first:last].tolist()
        return found

    def rearrange(self, row: int | None) -> None:
        """Show what the catalogue holds now, the cursor on a row of the table if it is there."""
        rows = self._catalogue.rows.tolist()
        self.cursor = rows.index(row) if row in rows else 0
        self.redraw()
        self.post_message(self.Highlighted())
        self.post_message(self.Turned())

    def entry_at(self, row: int) -> int | None:
        """Return the entry that stands on a row."""
        number = row // self._tall
        return number if number < self.entries else None

    @property
    def row_of_cursor(self) -> int:
        """The first line of the entry under the cursor."""
        return self.cursor * self._tall

    # Scrolling

    def redraw(self) -> None:
        """Draw the rows that differ, the cursor among them."""
        self.rows = self.entries * self._tall or EXPLANATION
        self._keep_cursor_visible()
        self.refresh()

    def action_turn(self, screens: float) -> None:
        """Move the cursor by as many entries as fill a share of the screen."""
        step = max(1, abs(self.step(screens)) // self._tall)
        self.go(self.cursor + (step if screens > 0 else -step))

    def _keep_cursor_visible(self) -> None:
        if not self.display:
            return  # it has no height now; it gets one, and a resize event, when it is shown
        start, tall = self.cursor * self._tall, self._tall
        if not self.first <= start <= self.first + self.room - tall:
            self.jump(start - self.room // 2 // tall * tall)
        else:
            self.jump(self.first)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Keep the cursor on the screen when a mouse wheel scrolls."""
        super().watch_scroll_y(old_value, new_value)
        tall = self._tall
        self.go(min(max(self.cursor, -(-self.first // tall)), (self.first + self.room) // tall - 1))
        self.post_message(self.Turned())

    def resized(self) -> None:
        """Lay the entries out for the new width."""
        self.redraw()
        self.post_message(self.Turned())

    # Lines

    def head(self, y: int) -> Line:
        """Return the title, the figures as a whole or what is wrong, then the names of the columns."""
        cells, catalogue, chosen = self.size.width, self._catalogue, self._catalogue.chosen
        if y == 0:
            title = catalogue.title() if catalogue.held else f"{self._run_name} with other runs"
            return rule(title, cells, Role.DIM, focused=self.active)
        if y == 1 and self.trouble:
            return crop(line(" ", Span(self.trouble, Role.ERROR)), cells)
        if not catalogue.held:
            return ()
        if y == 1:
            return (
                summary_line(chosen.told(theirs=not catalogue.view.mine), cells) if chosen else self._all_summary(cells)
            )
        ordering = catalogue.ordering
        return pair_header(
            self._sides(chosen),
            cells,
            tree=catalogue.table.root_N is not None,
            sort=ordering.sort,
            descending=ordering.descending,
        )

    def _all_summary(self, cells: int) -> Line:
        view, held = self._catalogue.view, self._catalogue.held
        if view.feature is not None:
            name = self._described(None, view.feature)
            said = name.label or name.suggestion or name.token
            return crop(line(" ", Span(f"{view.feature}  {said}", Role.DIM)), cells)
        said = "r is the least of " + ", ".join(one.name for one in held)
        return crop(line(" ", Span(said, Role.DIM)), cells)

    def _sides(self, chosen: HeldComparison | None) -> Sequence[str]:
        if chosen is None:
            return [self._run_name] if self._catalogue.view.feature is None else ["best partner"]
        names = [self._run_name, chosen.name]
        return names if self._catalogue.table.first_is_mine else names[::-1]

    def row(self, number: int) -> Line:
        """Return one line of an entry."""
        if not self.entries:
            return dict(enumerate(self._explanation())).get(number, ())
        entry, at = divmod(number, self._tall)
        lines = self._entry(int(self._catalogue.rows[entry]))
        marked = listed_pair(lines, cursor=entry == self.cursor, focus=self.active)
        return crop(marked[at], self.size.width) if at < len(marked) else ()

    def _explanation(self) -> list[Line]:
        found: list[Line] = []
        for text in self._catalogue.nothing():
            wrapped = wrap([line(word) for word in text.split()], self.size.width - 2, " ")
            found += [line(" ", *in_role(spans, Role.DIM)) for spans in wrapped or [()]]
        return found

    def _entry(self, row: int) -> list[Line]:
        """Return the lines of a row of the table."""
        catalogue, cells = self._catalogue, self.size.width
        table, view = catalogue.table, catalogue.view
        held = catalogue.held[int(table.held_N[row])]
        mine, theirs = (None, held) if table.first_is_mine else (held, None)
        where = TextColumns(self._digits(held), self.named, self.rendering)
        figures = PairFigures(
            float(table.r_N[row]), float(table.cosine_N[row]), int(table.n_N[row]), bool(table.mutual_N[row])
        )
        second = int(table.second_N[row])
        partner = self._described(theirs, second) if second != NO_PARTNER else None
        if table.within_N is not None and table.covers_N is not None and partner is not None:
            shares = float(table.within_N[row]), float(table.covers_N[row])
            return [branch_line(figures, *shares, partner, cells, where)]
        if view.feature is not None:
            return partner_lines(figures, held.name, partner, cells, where)
        first = self._described(mine, int(table.first_N[row]))
        if table.root_N is not None:
            return [root_line(first, self._branches(row), cells, where)]
        if table.each_NH is not None:
            runs = [RunShare(one.name, r) for one, r in zip(catalogue.held, table.each_NH[row].tolist(), strict=True)]
            return shared_lines(figures, first, runs, cells, where)
        return pair_lines(figures, first, partner, cells, where)

    def _branches(self, row: int) -> int:
        """Return how many branches follow a root."""
        roots = self._catalogue.table.root_N
        assert roots is not None
        later = roots[row + 1 :].argmax() if roots[row + 1 :].any() else len(roots) - row - 1
        return int(later)

    @staticmethod
    def _digits(held: HeldComparison) -> int:
        return max(4, *(len(str(side.features - 1)) for side in held.comparison.summary.sides))
