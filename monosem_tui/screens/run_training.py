"""The training of the run under the cursor, in place of the list of runs: followed while it is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from monosem_tui.draw.safe_text import printable
from monosem_tui.keys.actions import Where
from monosem_tui.model.training_watch import TrainingWatch
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.file_watch import FileWatch
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.widgets.run_list import RunList
from monosem_tui.widgets.training_view import TrainingView
from store.files.errors import MonosemError
from store.run.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


class RunTraining(ScreenPart):
    """Opens and closes the page."""

    def __init__(self, host: MonosemScreen, runs: RunList, view: TrainingView, closed: Callable[[], object]) -> None:
        """Prepare.

        Args:
            host: the screen.
            runs: the list that the page takes the place of.
            view: the page.
            closed: called when the list is shown again.
        """
        self._host, self._runs, self._view, self._closed = host, runs, view, closed
        self._watch: TrainingWatch | None = None
        self._name = ""
        self._files = FileWatch(host, self._poll, self._take, "training")
        view.display = False

    @property
    def open(self) -> bool:
        """Whether the page is shown."""
        return bool(self._view.display)

    @property
    def here(self) -> Where | None:
        """The page, if it is open."""
        return Where.TRAINING if self.open else None

    def position(self) -> str:
        """Return the visible lines."""
        return self._view.position() if self.open else ""

    def follow(self, path: Path) -> None:
        """Show the training in a folder.

        Raises:
            MonosemError: run.json is missing or damaged.
        """
        self._watch, self._name = TrainingWatch(path, RunFolder(path).record()), path.name
        self._watch.poll()
        self._show(shown=True)
        self._draw()
        self._files.look()

    def _poll(self) -> bool:
        return self._watch is not None and self._watch.poll()

    def _take(self, changed: bool | MonosemError) -> None:
        """Show what was read, and look again in a while if more may come."""
        if not self.open or self._watch is None:
            return
        if isinstance(changed, MonosemError):
            self._host.tell(changed.what)
        elif changed:
            self._draw()
            self._host.retell()
        if self._watch.working:
            self._files.look_later(self._host.session.tuning.training)

    def _draw(self) -> None:
        watch = self._watch
        if watch is not None and watch.record is not None:
            name, spec = printable(self._name), watch.record.spec
            self._view.show(watch, " · ".join(filter(None, (f"training of {name}", printable(spec.title())))))

    def _show(self, *, shown: bool) -> None:
        self._view.display, self._runs.display = shown, not shown
        self._host.set_focus(self._view if shown else self._runs)
        self._host.retell()

    def _close(self) -> None:
        self._watch = None
        self._files.suspended()
        self._show(shown=False)
        self._closed()

    def way_back(self) -> Way | None:
        """Show the list again."""
        return self._close if self.open else None

    def cover(self) -> Way | None:
        """Show the list again."""
        return self.way_back()

    def resumed(self) -> None:
        """Look at once, if it is shown."""
        if self.open:
            self._files.look()

    def suspended(self) -> None:
        """Look no more."""
        self._files.suspended()
