"""The feature list: any number of features, of which only the rows on the screen exist."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.bars import decades
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Line, Role, in_role, line, rule, wrap
from monosem_tui.model.feature_card import top_token
from monosem_tui.model.feature_explanations import suggestion
from monosem_tui.model.open_run import OpenRun
from monosem_tui.pages.feature_rows import Columns, Row, columns, header, row
from monosem_tui.widgets.cursor_list import CursorList
from store.files.errors import MonosemError
from store.notes.note_file import FeatureNotes
from store.settings.feature_kinds import SHARES

UNKNOWN = "?"
EXPLANATION = 8
"""Lines for the reason why the list is empty."""
NO_NOTES = FeatureNotes()


class FeatureList(CursorList):
    """One row per feature of `order`, with a cursor that is always on the screen."""

    def __init__(self, run: OpenRun, palette: Palette) -> None:
        super().__init__(palette)
        self.take_run(run)
        self.order: NDArray[np.int64] = np.zeros(0, np.int64)
        """The features shown, in order."""
        self._title, self._empty = "", list[str]()
        self._sort, self._descending = "", True

    def take_run(self, run: OpenRun) -> None:
        """Take the numbers of another state of the run; `rearrange` shows them."""
        self._run = run
        self._table = run.store.columns
        self._lowest = 1 / max(1, run.store.n_counted)
        self._highest = float(self._table.density_F.max(initial=0.0))
        self._labels = self._has_labels()

    @property
    def entries(self) -> int:
        """Number of features."""
        return len(self.order)

    @property
    def feature(self) -> int | None:
        """The feature under the cursor; None in an empty list."""
        return int(self.order[self.cursor]) if len(self.order) else None

    def rearrange(
        self,
        order: NDArray[np.int64],
        *,
        title: str,
        empty: list[str],
        sort: str,
        descending: bool,
        feature: int | None,
    ) -> None:
        """Show other features, or the same otherwise.

        Args:
            order: their numbers.
            title: for the line at the top.
            empty: sentences for an empty list.
            sort: the column they are sorted by.
            descending: whether from large to small.
            feature: where the cursor goes; to the first row where the list does not have it.
        """
        before = self.feature
        self.order, self._title, self._empty = order, title, empty
        self._sort, self._descending = sort, descending
        found = np.flatnonzero(order == feature) if feature is not None else np.zeros(0, np.int64)
        self.cursor = int(found[0]) if len(found) else 0
        self.rows = len(order) or EXPLANATION
        self.redraw()
        if self.feature != before:
            self.post_message(self.Highlighted())

    def take_notes(self) -> None:
        """Draw rows whose notes have changed; the first label of all makes room for a column."""
        self._labels = self._has_labels()
        self.refresh()

    def _has_labels(self) -> bool:
        return bool(self._run.explanations.features) or any(note.label for note in self._run.notes.values())

    def entry_at(self, row: int) -> int | None:
        """Return the place of the feature that stands on a row."""
        return row if row < len(self.order) else None

    def redraw(self) -> None:
        """Draw the rows that differ, the cursor among them."""
        self._keep_cursor_visible()
        self.refresh()

    def action_turn(self, screens: float) -> None:
        """Scroll by a share of the visible rows; the cursor stays where it is on the screen."""
        target = self.cursor + self.step(screens)
        self.jump(self.first + self.step(screens))
        self.go(target)

    def _keep_cursor_visible(self) -> None:
        """Scroll where the cursor has left the screen: by half of it, so that the next steps repaint two rows each."""
        if not self.display:
            return  # it has no height now; it gets one, and a resize event, when it is shown
        if not self.first <= self.cursor < self.first + self.room:
            self.jump(self.cursor - self.room // 2)
        elif self.first > max(0, self.rows - self.room):
            self.jump(self.first)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Keep the cursor on the screen when a mouse wheel scrolls."""
        super().watch_scroll_y(old_value, new_value)
        self.go(min(max(self.cursor, self.first), self.first + self.room - 1))

    def resized(self) -> None:
        """Keep the cursor visible."""
        self._keep_cursor_visible()

    def head(self, y: int) -> Line:
        """Return the title rule, then the names of the columns."""
        width = self.size.width
        if y == 1:
            return header(self._columns(), self._sort, descending=self._descending)
        return rule(self._title, width, Role.DIM, focused=self.active)

    def row(self, number: int) -> Line:
        """Return the row of a feature."""
        if not len(self.order):
            return dict(enumerate(self._explanation())).get(number, ())
        feature = int(self.order[number])
        run = self._run
        note = run.notes.get(feature, NO_NOTES)
        where, table = self._columns(), self._table
        by_name = {"max": table.max_F, "mean": table.mean_F, "norm": table.decoder_norm_F}
        kinds = run.kinds
        by_name |= {name: kinds.share(name) for name in SHARES} if kinds else {}
        density = float(table.density_F[feature])
        entry = Row(
            feature=feature,
            density=density,
            bar=decades(density, self._lowest, self._highest),
            values=tuple(float(by_name[name][feature]) for name in where.values),
            token=self._token(feature),
            label=printable(note.label),
            bookmark=note.bookmark,
            suggestion="" if note.label else suggestion(run.explanations, feature),
            kind=run.kind(feature) if where.kind else "",
        )
        return row(entry, where, cursor=number == self.cursor, focus=self.active)

    def _explanation(self) -> list[Line]:
        cells = self.size.width - 2
        wrapped = [wrap([line(word) for word in text.split()], cells, " ") for text in self._empty]
        return [line(" ", *in_role(spans, Role.DIM)) for part in wrapped for spans in part]

    def _token(self, feature: int) -> str:
        try:
            return top_token(self._run.store, feature)
        except MonosemError as error:  # numbers and labels are there all the same
            self.complain_once(error)
            return UNKNOWN

    def _columns(self) -> Columns:
        digits = len(str(self._run.store.d_sae - 1))
        return columns(self.size.width, digits, self._sort, labels=self._labels, kinds=self._run.kinds is not None)
