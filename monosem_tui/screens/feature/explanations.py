"""Explanations on the page and in the list: `E` looks for the rule of a feature, enter makes a suggestion its label."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from monosem_tui.draw.safe_text import printable
from monosem_tui.model.feature_explanations import shown_explanations
from monosem_tui.screens.feature.state import PaneState
from monosem_tui.screens.part import ScreenPart
from store.files.errors import MonosemError

if TYPE_CHECKING:
    from store.notes.explanations import Explanation
    from store.rules.rule_process import RuleWorker


class ExplanationControl(ScreenPart):
    """Has features explained in a process of its own, and shows explanations as they arrive, from here or elsewhere."""

    def __init__(self, state: PaneState) -> None:
        self._state, self._host = state, state.host
        self._worker: RuleWorker | None = None
        self._asked: int | None = None
        self._revision = state.run.explanations.revision

    def started(self) -> None:
        """Begin to look for the explanations of other terminals."""
        self._host.set_interval(self._host.session.tuning.notes, self.look)

    def resumed(self) -> None:
        """Features may have been explained on another screen."""
        self.look()

    def look(self) -> None:
        """Show what has been added; draw nothing if nothing was."""
        if not self._host.is_current:
            return
        try:
            self._state.run.explanations.follow()
        except MonosemError as error:
            self._host.tell(error.what)
            return
        if self._state.run.explanations.revision != self._revision:
            self._revision = self._state.run.explanations.revision
            self._state.listing.take_notes()
            self.show()

    def show(self) -> None:
        """Put the present explanations onto the page."""
        page = self._state.page
        if page.card is not None:
            found = shown_explanations(self._state.run.explanations, page.card.feature)
            if found != page.card.explanations:
                page.show(replace(page.card, explanations=found), page.figures)

    def action_explain(self) -> None:
        """Look for the rule that explains the feature, in a process of its own."""
        feature = self._state.feature
        if feature is None:
            return
        if self._asked is not None:
            self._host.tell(f"still looking for the rule of {self._asked}")
            return
        self._asked = feature
        first = "; the first takes some seconds" if self._worker is None else ""
        self._host.tell(f"looking for the rule of {feature}{first}")
        self._host.away(partial(self._explained, feature), self._take, fail=self._take)

    def _explained(self, feature: int) -> Explanation:
        from store.rules.rule_process import RuleWorker

        run = self._state.run
        if self._worker is None:
            self._worker = RuleWorker(run.path, 0)
        try:
            found = self._worker.explanation(feature)
        except MonosemError:
            self._worker.close()
            self._worker = None
            raise
        run.explanations.append([found])
        return found

    def _take(self, found: Explanation | MonosemError) -> None:
        self._asked = None
        if isinstance(found, MonosemError):
            self._host.tell(" · ".join(part for part in (found.what, found.hint) if part))
            return
        self.look()
        self._host.tell(f"{found.feature}: {printable(found.text)}")
