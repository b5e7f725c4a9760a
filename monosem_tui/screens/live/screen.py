"""The screen of Live: writing, inspecting and recipes, one page at a time, with one model."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from monosem_tui.keys.actions import Where
from monosem_tui.pages.live_contents import Shown
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.live.connection import ModelConnection
from monosem_tui.screens.live.inspection import Inspection
from monosem_tui.screens.live.recipes import RecipeShelf
from monosem_tui.screens.live.tray import ClampTray
from monosem_tui.screens.live.writer import WritingControl
from monosem_tui.screens.session import Session
from monosem_tui.widgets.live_view import CellView


class LiveScreen(MonosemScreen):
    """Three pages; the model lives in a process of its own, from the first time that it is needed."""

    VIEW, PLACE = "live", Where.LIVE

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.connection = connection = ModelConnection(self, self.redraw)
        vocabulary = connection.run.store.vocabulary
        shown = Shown(connection.talk, connection.tray, vocabulary, session.maximum, connection.label)
        self.tray = ClampTray(connection, shown)
        self.writing = WritingControl(connection, shown, self.tray, lambda: self._show(self.writing))
        self.inspection = Inspection(connection)
        self.recipes = RecipeShelf(
            connection, self.writing, lambda shown: self._show(self.recipes if shown else self.writing)
        )
        shown.recipes = self.recipes.names
        self._pages = (self.writing, self.inspection, self.recipes)
        self.parts = (*self._pages, self.tray, connection)

    def body(self) -> Iterable[Widget]:
        """The pages."""
        return (page.view for page in self._pages)

    def on_mount(self) -> None:
        """Keys go to the page."""
        self.set_focus(self.writing.view)
        self.tell()

    def redraw(self) -> None:
        """Draw the page that is shown, and the bottom line."""
        if self.connection.talk.recalled:
            self.writing.take_over()
        for page in self._pages:
            if page.view.display:
                page.redraw()
        self.retell()

    def _show(self, shown: WritingControl | Inspection | RecipeShelf) -> None:
        for page in self._pages:
            page.view.display = page is shown
        self.set_focus(shown.view)
        self.tell()
        self.redraw()

    def on_cell_view_clicked(self, event: CellView.Clicked) -> None:
        """Go to the token that was clicked."""
        if event.view is self.writing.view:
            self.writing.point(event.x, event.y)
        elif event.view is self.inspection.view:
            self.inspection.point(event.x, event.y)

    def action_inspect(self) -> None:
        """Show any text through the features, or writing again."""
        if self.inspection.view.display:
            self._show(self.writing)
        else:
            self._show(self.inspection)
            self.inspection.begin(self.writing.shown.prompt)

    def open_recipe(self, name: str) -> None:
        """Show the kept recipes, the cursor on one of them."""
        self.recipes.open_at(name)

    def open_text(self, text: str, feature: int) -> None:
        """Show a typed text through all features, painted by one of them."""
        self._show(self.inspection)
        self.inspection.paint(text, feature)

    def open_place(self, place: int, feature: int) -> None:
        """Show the document that holds a place of the corpus through all features, the cursor there on one of them."""
        self._show(self.inspection)
        self.inspection.open_place(place, feature)
