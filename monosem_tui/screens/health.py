"""The run as a whole: densities, quality, curves of its training, settings and provenance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from textual import work
from textual.message import Message
from textual.widget import Widget

from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.run_health import HealthWatch, chapters, densities, figures
from monosem_tui.screens.feature_order import Selection
from monosem_tui.screens.file_watch import WatchingScreen
from monosem_tui.screens.session import FeaturesChosen, Session
from monosem_tui.widgets.health_view import HealthView
from store.files.errors import MonosemError

PAUSE = 2.0
"""Seconds between looks at the files of a run that is at work."""


class HealthSeen(Message):
    """The run's files have been looked at."""

    def __init__(self, changed: bool, error: MonosemError | None) -> None:
        super().__init__()
        self.changed, self.error = changed, error


class HealthScreen(WatchingScreen):
    """One page, followed while a training goes on."""

    VIEW, PLACE = "health", Where.HEALTH

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        if session.run is None:
            raise ValueError("the health of no run")
        self.run = session.run
        self.health = HealthView(session.palette, self.run.name)
        self._watch = HealthWatch(self.run)

    def body(self) -> Iterable[Widget]:
        """The page."""
        yield self.health

    def on_mount(self) -> None:
        """Keys go to the page."""
        self.set_focus(self.health)
        self._show()

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        return not self.health.group if need is Need.GROUP else super().lacks(need)

    @work(thread=True, exclusive=True, group="watch", exit_on_error=False)
    def look(self) -> None:
        """Read what was added, away from the keys."""
        error = None
        try:
            changed = self._watch.poll()
        except MonosemError as found:
            changed, error = False, found
        self.post_message(HealthSeen(changed, error))

    def on_health_seen(self, message: HealthSeen) -> None:
        """Show it, and look again in a while if more may come."""
        if message.error is not None:
            self.tell(message.error.what)
        elif message.changed:
            self.run = replace(self.run, record=self._watch.record)
            self._show()
            self.retell()
        if self._watch.working:
            self.look_again(PAUSE)

    def _show(self) -> None:
        try:
            found = densities(self.run.store)
        except MonosemError as error:
            found = None
            self.tell(error.what)
        self.health.show(figures(self.run), found, self._watch.training, chapters(self.run))

    def position(self) -> str:
        """Which lines are on the screen."""
        view = self.health
        return f"lines {view.first + 1}–{min(view.rows, view.first + view.room)} of {view.rows}"

    def on_health_view_moved(self) -> None:
        """The bottom line says where one is."""
        self.retell()

    def on_health_view_chosen(self) -> None:
        """A group was clicked twice."""
        if self.health.group:
            self.action_show()

    def action_show(self) -> None:
        """Show the features of the group under the cursor."""
        group = self.health.group
        if group is not None:
            title = group.title if group.title in ("dead", "ultra-low") else f"density {group.title}"
            self.post_message(FeaturesChosen(Selection(f"{title}: {count(len(group))}", group.ids, self.VIEW)))
