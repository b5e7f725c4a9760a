"""Map: all features of the open run as points, and the card of the one under the crosshair."""

from __future__ import annotations

from collections.abc import Iterable

from textual.containers import Horizontal
from textual.widget import Widget

from monosem_tui.keys.actions import Where
from monosem_tui.model.command_line import Command, FilterBy, GoTo
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.map.card import MapCard
from monosem_tui.screens.map.colours import MapColours
from monosem_tui.screens.map.crosshair import MapCrosshair
from monosem_tui.screens.map.filter import MapFilter
from monosem_tui.screens.map.maps import MapChoice
from monosem_tui.screens.map.picture import MapPicture
from monosem_tui.screens.map.state import MapState
from monosem_tui.screens.session import Session
from monosem_tui.widgets.map_view import MapView


class MapScreen(MonosemScreen):
    """A picture of all features, with a crosshair."""

    VIEW, PLACE = "map", Where.MAP

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.state = MapState(self, session.opened)
        self.picture = MapPicture(self.state)
        self.card = MapCard(self.state)
        self.crosshair = MapCrosshair(self.state, self.picture, self.card.follow)
        self.filter = MapFilter(self.state, self.picture, self.crosshair)
        self.colours = MapColours(self.state, self.picture)
        self.maps = MapChoice(self.state, self.picture, self.crosshair, self.colours)
        self.parts = (self.filter, self.crosshair, self.picture, self.colours, self.card, self.maps)

    def body(self) -> Iterable[Widget]:
        """The picture, and the card beside or below it."""
        yield Horizontal(self.state.view, self.state.page)
        yield self.state.strip

    def on_mount(self) -> None:
        """Keys go to the picture."""
        self.set_focus(self.state.view)

    # Messages of the picture

    def on_map_view_resized(self) -> None:
        """Draw for another size."""
        self.crosshair.fit()

    def on_map_view_pointed(self, message: MapView.Pointed) -> None:
        """Put the crosshair where the mouse was pressed; twice opens the feature."""
        self.crosshair.place(*message.place)
        if message.twice:
            self.card.action_open()

    def on_map_view_dragged(self, message: MapView.Dragged) -> None:
        """Show the box that the mouse draws, and light up what is in it."""
        if message.done:
            self.filter.take_box(message.first, message.last)
        else:
            self.filter.drag(message.first, message.last)

    def on_map_view_wheeled(self, message: MapView.Wheeled) -> None:
        """Zoom around the mouse."""
        self.crosshair.zoom(message.factor, message.place)

    def obey(self, command: Command) -> None:
        """Do what was typed after `:`."""
        if isinstance(command, GoTo):
            self.crosshair.go_to(command.feature)
        elif isinstance(command, FilterBy):
            self.filter.light(command.text)
        else:
            super().obey(command)
