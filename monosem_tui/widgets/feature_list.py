"""The feature list: any number of features, of which only the rows on the screen exist."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from textual import events
from textual.message import Message

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Line, Role, in_role, line, rule, wrap
from monosem_tui.model.feature_explanations import suggestion
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.snippets import Preview
from monosem_tui.pages.example_text import FeatureText, TextColumn, example_token
from monosem_tui.pages.feature_rows import Columns, Row, columns, head_at, header, listed, row
from monosem_tui.widgets.cursor_list import CursorList
from store.notes.note_file import FeatureNotes
from store.query.feature_order import column, differing
from store.settings.feature_kinds import SHARES

EXPLANATION = 8
"""Lines for the reason why the list is empty."""
NO_NOTES = FeatureNotes()
KEPT = 1024
"""Features of which the previews are kept; as many rows are kept as they were laid out."""


class RowColumns(Hashable, Protocol):
    """The columns of a row."""

    @property
    def text(self) -> TextColumn:
        """The column of examples, which is the last."""


class FeatureList(CursorList):
    """One row per feature of `order`, with a cursor that is always on the screen.

    Previews, the examples and histograms of its rows, are read elsewhere: a row that lacks its own asks for it.
    """

    class PreviewsWanted(Message):
        """Other rows are on the screen, whose previews may not have been read."""

    class HeadClicked(Message):
        """The name of a column was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key
            """The column it sorts by; empty where it sorts by none."""

    def __init__(self, run: OpenRun, palette: Palette) -> None:
        super().__init__(palette)
        self._previews: dict[int, Preview] = {}
        self._fresh = set[int]()
        """Features of which the preview is of this state of the run; those of the state before stay until then."""
        self._rows_laid: dict[int, Line] = {}
        self._rows_for: Hashable = None
        self._asked = False
        self.take_run(run)
        self.order: NDArray[np.int64] = np.zeros(0, np.int64)
        """The features shown, in order."""
        self._title, self._empty = "", list[str]()
        self._sort, self._descending = "", True

    def take_run(self, run: OpenRun) -> None:
        """Take the numbers of another state of the run; `rearrange` shows them."""
        self._run = run
        self._table = run.store.columns
        self._norms = differing(self._table.decoder_norm_F)
        self._outlier_led_F = np.zeros(run.store.d_sae, np.bool_)
        self._named = self._has_names()
        self._rows_laid.clear()
        self._fresh.clear()

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
        outlier_led_F: NDArray[np.bool_] | None = None,
    ) -> None:
        """Show other features, or the same otherwise.

        Args:
            order: their numbers.
            title: for the line at the top.
            empty: sentences for an empty list.
            sort: the column they are sorted by.
            descending: whether from large to small.
            feature: where the cursor goes; to the first row where the list does not have it.
            outlier_led_F: which features of the run have their maximum on an outlier token, which is marked.
        """
        before = self.feature
        self.order, self._title, self._empty = order, title, empty
        self._sort, self._descending = sort, descending
        if outlier_led_F is not None:
            self._outlier_led_F = outlier_led_F
        self._rows_laid.clear()
        found = np.flatnonzero(order == feature) if feature is not None else np.zeros(0, np.int64)
        self.cursor = int(found[0]) if len(found) else 0
        self.rows = len(order) or EXPLANATION
        self.redraw()
        if self.feature != before:
            self.post_message(self.Highlighted())

    def take_notes(self) -> None:
        """Draw rows whose notes have changed."""
        self._named = self._has_names()
        self._rows_laid.clear()
        self.refresh()

    def _has_names(self) -> bool:
        return bool(self._run.explanations.features) or any(note.label for note in self._run.notes.values())

    # Previews

    def lacking(self, screens: float = 0.0) -> list[int]:
        """Return the features in sight, and up to some screens above and below, that have no preview of this run.

        From now on rows ask again.
        """
        self._asked = False
        more = round(screens * self.room)
        near = self.order[max(0, self.first - more) : self.first + self.room + more].tolist()
        return [feature for feature in near if feature not in self._fresh]

    def take_previews(self, found: Mapping[int, Preview]) -> None:
        """Show previews of this state of the run."""
        for feature, preview in found.items():
            self._previews.pop(feature, None)
            self._previews[feature] = preview
            self._rows_laid.pop(feature, None)
        self._fresh.update(found)
        while len(self._previews) > KEPT:
            oldest = next(iter(self._previews))
            del self._previews[oldest]
            self._fresh.discard(oldest)
        self.refresh()

    def _want_previews(self) -> None:
        if not self._asked:
            self._asked = True
            self.post_message(self.PreviewsWanted())

    def _preview(self, feature: int) -> Preview | None:
        if feature not in self._fresh:
            self._want_previews()
        return self._previews.get(feature)

    # Moving

    def entry_at(self, row: int) -> int | None:
        """Return the place of the feature that stands on a row."""
        return row if row < len(self.order) else None

    def on_click(self, event: events.Click) -> None:
        """Go to the clicked feature, or ask to sort by the clicked column."""
        if event.y == self.HEAD - 1 and event.chain == 1:
            self.post_message(self.HeadClicked(self.key_at(event.x)))

    def key_at(self, cell: int) -> str:
        """Return the column whose name stands at a cell of the names; empty where it sorts by none."""
        return head_at(self._columns(), cell)

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
        self._want_previews()
        self.go(min(max(self.cursor, self.first), self.first + self.room - 1))

    def resized(self) -> None:
        """Keep the cursor visible."""
        self._keep_cursor_visible()

    # Lines

    def head(self, y: int) -> Line:
        """Return the title rule, then the names of the columns."""
        if y == self.HEAD - 1:
            return header(self._columns(), self._sort, descending=self._descending, named=self._named)
        return rule(self._title, self.size.width, Role.DIM, focused=self.active)

    def row(self, number: int) -> Line:
        """Return the row of a feature."""
        if not len(self.order):
            return dict(enumerate(self._explanation())).get(number, ())
        return listed(self._laid(number), cursor=number == self.cursor, focus=self.active, cells=self.size.width)

    def _laid(self, number: int) -> Line:
        """Return a row as it was laid out last, if nothing has changed since."""
        where, feature = self.row_columns(), int(self.order[number])
        if where != self._rows_for or len(self._rows_laid) >= KEPT:
            self._rows_laid, self._rows_for = {}, where
        known = self._rows_laid.get(feature) if feature in self._fresh else None
        if known is None:
            known = self._rows_laid[feature] = self.lay(number)
        return known

    def token_words(self, x: int, y: int) -> Line:
        """Return the token of a row's example at a cell, with the feature's activation there."""
        from monosem_tui.pages.token_words import FiringOnToken, token_line  # the first screen is there sooner

        number, column = self.entry_at(y - self.HEAD + self.first), self.row_columns().text
        if number is None or y < self.HEAD:
            return ()
        feature = int(self.order[number])
        found = example_token(self.words(feature), column, x - (self.size.width - column.cells))
        if found is None:
            return ()
        example, token = found
        fires = FiringOnToken(feature, float(example.act_T[token]), float(self._table.max_F[feature]))
        return token_line(example.tokens[token], [fires], noun=self._run.store.plan.noun.one)

    def row_columns(self) -> RowColumns:
        """Return the columns."""
        return self._columns()

    def lay(self, number: int) -> Line:
        """Return a row of `row_columns`, without the cell of the cursor's mark."""
        where = self._columns()
        return row(self._entry(int(self.order[number]), where), where)

    def _entry(self, feature: int, where: Columns) -> Row:
        run, table = self._run, self._table
        kinds = run.kinds
        shares = {name: kinds.share(name) for name in SHARES if name in where.values} if kinds else {}
        return Row(
            feature=feature,
            density=float(table.density_F[feature]),
            values=tuple(
                float(shares[name][feature] if name in shares else column(table, name)[feature])
                for name in where.values
            ),
            text=self.words(feature),
            bookmark=run.notes.get(feature, NO_NOTES).bookmark,
            kind=run.kind(feature) if where.kind else "",
            outlier=bool(self._outlier_led_F[feature]),
        )

    def words(self, feature: int) -> FeatureText:
        """Return a feature in words, as far as they are known; what is not is asked for."""
        label = printable(self._run.notes.get(feature, NO_NOTES).label)
        return FeatureText(self._preview(feature), label, "" if label else suggestion(self._run.explanations, feature))

    def _explanation(self) -> list[Line]:
        cells = self.size.width - 2
        wrapped = [wrap([line(word) for word in text.split()], cells, " ") for text in self._empty]
        return [line(" ", *in_role(spans, Role.DIM)) for part in wrapped for spans in part]

    def _columns(self) -> Columns:
        run = self._run
        return columns(
            self.size.width,
            len(str(run.store.d_sae - 1)),
            self._sort,
            kinds=run.kinds is not None,
            norms=self._norms,
            outliers=bool(self._outlier_led_F.any()),
        )
