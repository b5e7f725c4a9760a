"""Explanations and kinds on the page and in the list: `E` looks for a feature's rule, and first measures all kinds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from monosem_tui.draw.safe_text import printable
from monosem_tui.model.feature_explanations import explained
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
        self._measuring = False
        """Whether kinds are being measured."""
        self._seen = self._now()

    def _now(self) -> tuple[object, ...]:
        """Return what differs once explanations or kinds have been added."""
        run = self._state.run
        return run.explanations.revision, run.kept_kinds.stamp

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
        if (now := self._now()) != self._seen:
            self._seen = now
            self._state.listing.take_notes()
            self.show()

    def show(self) -> None:
        """Put the present explanations and the kind onto the page."""
        page = self._state.page
        if page.card is not None:
            found = explained(page.card, self._state.run)
            if (found.explanations, found.kind) != (page.card.explanations, page.card.kind):
                page.show(found, page.figures)

    def action_explain(self) -> None:
        """Look for the rule that explains the feature, and measure kinds unless they are known: in other processes."""
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
        run = self._state.run
        if run.store.merged and not self._measuring and run.kinds is None:
            self._measuring = True
            self._host.away(self._measured, lambda _: self.look())

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

    def _measured(self) -> None:
        from store.rules.rule_process import RuleWorker

        worker = RuleWorker(self._state.run.path, 0)
        try:
            worker.measure_kinds()
        finally:
            worker.close()
            self._measuring = False

    def _take(self, found: Explanation | MonosemError) -> None:
        self._asked = None
        if isinstance(found, MonosemError):
            self._host.tell(" · ".join(part for part in (found.what, found.hint) if part))
            return
        self.look()
        self._host.tell(f"{found.feature}: {printable(found.text)}")
