"""The answer to a pattern: what was asked, what matches, what the best features cover together, a row per feature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Line, Role, Span, line, rule_span, ruled
from monosem_tui.draw.token_text import display_token
from monosem_tui.model.open_run import OpenRun
from monosem_tui.pages.ranking_page import RankColumns, matches_line, rank_columns, rank_header, rank_row, together_line
from monosem_tui.widgets.feature_list import NO_NOTES, FeatureList
from store.query.find import Found
from store.query.pattern_search import Inquiry, Report


@dataclass(frozen=True)
class SearchAnswer:
    """A question and its answer, which may be incomplete."""

    inquiry: Inquiry
    report: Report | None = None
    state: str = ""
    """Progress, for the end of the title."""


class FeatureRanking(FeatureList):
    """Features in the order of an answer."""

    HEAD = 4

    def __init__(self, run: OpenRun, palette: Palette) -> None:
        super().__init__(run, palette)
        self.answer = SearchAnswer(Inquiry(""))
        """The answer that is shown."""

    def show(self, answer: SearchAnswer, nothing: list[str]) -> None:
        """Show an answer; the cursor stays on its feature, or at the top.

        Args:
            answer: what to show.
            nothing: sentences for an answer without features.
        """
        self.answer = answer
        found = self._found
        ids = [one.choice.feature for one in found.results] if found else []
        feature = self.feature if self.cursor else None
        self.rearrange(np.array(ids, np.int64), title="", empty=nothing, sort="", descending=True, feature=feature)

    @property
    def _found(self) -> Found | None:
        return self.answer.report.found if self.answer.report else None

    def key_at(self, cell: int) -> str:  # noqa: ARG002
        """Return no column: the answer is in the order of one figure."""
        return ""

    def head(self, y: int) -> Line:
        """Return the question, the tokens that match, the set, then the names of the columns."""
        cells, found, inquiry = self.size.width, self._found, self.answer.inquiry
        if y == 0:
            return self._question(cells)
        if found is None:
            return ()
        if y == 1:
            return line(" ", *self._matches(found, inquiry, cells - 2))
        if y == 2:
            return line(" ", *together_line(found, cells - 2))
        return rank_header(self.row_columns(), inquiry.by)

    def row_columns(self) -> RankColumns:
        """Return the columns."""
        return rank_columns(self.size.width, len(str(self._run.store.d_sae - 1)))

    def lay(self, number: int) -> Line:
        """Return the row of a feature of the answer."""
        assert self._found is not None, "an answer that is not there ranks no features"
        score = self._found.results[number]
        feature = score.choice.feature
        bookmark = self._run.notes.get(feature, NO_NOTES).bookmark
        return rank_row(score, self.words(feature), self.row_columns(), bookmark=bookmark)

    def _question(self, cells: int) -> Line:
        inquiry, role = self.answer.inquiry, Role.ACCENT if self.active else Role.DIM
        many = self._run.store.plan.noun.many
        how = f" · in {many}" * inquiry.tokens + f" · last {many}" * inquiry.last + " · held out" * inquiry.held_out
        how += " · without outliers" * inquiry.ordinary
        pattern = printable(inquiry.pattern) or "find"
        left = line(rule_span(1, focused=self.active), " ", Span(pattern, role), Span(f"{how} ", Role.DIM))
        right = line(Span(f" {self.answer.state} ", Role.DIM), rule_span(1, focused=self.active))
        return ruled(left, cells, right if self.answer.state else (), focused=self.active)

    def _matches(self, found: Found, inquiry: Inquiry, cells: int) -> Line:
        report, vocabulary, noun = self.answer.report, self._run.store.vocabulary, self._run.store.plan.noun
        words = [(display_token(vocabulary.token(i)), n) for i, n in report.words] if report else []
        return matches_line(found, words, cells, last=inquiry.last, held_out=inquiry.held_out, noun=noun)
