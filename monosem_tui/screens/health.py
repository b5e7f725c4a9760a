"""The run as a whole: densities, quality, curves of its training, settings and provenance."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from textual.widget import Widget

from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Need, Where
from monosem_tui.model.run_health import chapters, densities, figures
from monosem_tui.model.training_watch import TrainingWatch
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.catalogue import Selection
from monosem_tui.screens.file_watch import FileWatch
from monosem_tui.screens.output_files import write_each
from monosem_tui.screens.session import FeaturesChosen, Session
from monosem_tui.widgets.health_view import HealthView
from store.files.errors import MonosemError


class HealthScreen(MonosemScreen):
    """One page, followed while a training goes on."""

    VIEW, PLACE = "health", Where.HEALTH

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.run = session.opened
        self.health = HealthView(session.palette, self.run.name)
        self._watch = TrainingWatch(self.run.path, self.run.record)
        self.files = FileWatch(self, self._watch.poll, self._take)
        self.parts = (self.files,)
        self.needs[Need.GROUP] = lambda: bool(self.health.group)

    def body(self) -> Iterable[Widget]:
        """The page."""
        yield self.health

    def on_mount(self) -> None:
        """Keys go to the page."""
        self.set_focus(self.health)
        self._show()

    def _take(self, changed: bool | MonosemError) -> None:
        """Show what was read, and look again in a while if more may come."""
        if isinstance(changed, MonosemError):
            self.tell(changed.what)
        elif changed:
            self.run = replace(self.run, record=self._watch.record)
            self._show()
            self.retell()
        if self._watch.working:
            self.files.look_later(self.session.tuning.health)

    def _show(self) -> None:
        try:
            found = densities(self.run.store)
        except MonosemError as error:
            found = None
            self.tell(error.what)
        self.health.show(figures(self.run), found, self._watch.training, chapters(self.run), self.run.store.plan.noun)

    def action_plots(self) -> None:
        """Write the plots to files in the working directory."""
        from monosem_tui.export.page_files import file_name
        from monosem_tui.export.plots import run_plots

        found = self.health.found
        if found is not None:
            plots = run_plots(found, self._watch.training, self.run.store.plan.noun)
            self.tell(write_each({file_name(self.run.name, name, "picture"): plot for name, plot in plots.items()}))

    def position(self) -> str:
        """Return the visible lines."""
        return self.health.position()

    def on_scrolled_view_moved(self) -> None:
        """Show the position in the bottom line."""
        self.retell()

    def on_health_view_chosen(self) -> None:
        """Open the group that was clicked twice."""
        if self.health.group:
            self.action_show()

    def action_show(self) -> None:
        """Show the features of the group under the cursor."""
        group = self.health.group
        if group is not None:
            title = group.title if group.title in ("dead", "ultra-low") else f"density {group.title}"
            self.post_message(FeaturesChosen(Selection(f"{title}: {count(len(group))}", group.ids, self.VIEW)))
