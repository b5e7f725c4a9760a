"""State shared by the parts of Map: the points that are shown, the part in sight, the crosshair, the widgets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.heat import default_rendering
from monosem_tui.model.map_colours import Colouring, plain
from monosem_tui.model.map_points import MapPoints, density_points
from monosem_tui.model.map_window import Window, whole
from monosem_tui.model.open_run import OpenRun
from monosem_tui.pages.map_page import MapFrame, MapMarks
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.widgets.feature_page import FeaturePage
from monosem_tui.widgets.lines_panel import LinesPanel
from monosem_tui.widgets.map_view import MapView

BESIDE = 110
"""Cells from which a feature's page stands beside the picture."""
LEAST_PAGE = 46
"""Cells of the page beside it, at least."""
STRIP, LEAST_ROWS = 5, 18
"""Lines of the card below the picture, and rows of the screen from which on it is there."""


class MapState:
    """State without keys of its own: each part changes what it is named after."""

    def __init__(self, host: MonosemScreen, run: OpenRun) -> None:
        palette = host.session.palette
        self.host, self.run = host, run
        self.shown = density_points(run.store.columns, run.store.plan.noun.many)
        self.windows: dict[str, Window] = {}
        """The part in sight, by the name of the map; the whole of one that has none."""
        self.colouring: Colouring = plain(run.store.d_sae)
        self.lit_F: NDArray[np.bool_] | None = None
        """Features that pass the filter; None without one."""
        self.marks = MapMarks((0, 0))
        self.view = MapView(palette, lambda: self.frame)
        self.page = FeaturePage(palette, default_rendering(palette.used))
        self.strip = LinesPanel(palette, STRIP)
        self.page.active, self.page.beside, self.page.can_focus = False, True, False

    @property
    def frame(self) -> MapFrame:
        """The place of the dots in their pane."""
        return MapFrame.of(self.view.size.height, self.view.size.width, axes=self.shown.axes is not None)

    @property
    def window(self) -> Window:
        """The part of the plane in sight."""
        frame = self.frame
        known = self.windows.get(self.shown.name)
        if known is None:
            return whole(self.shown.bounds, frame.rows, frame.cells, equal=self.shown.axes is None)
        return known.of_size(frame.rows, frame.cells)

    def look_at(self, window: Window | None) -> None:
        """Show another part; None shows all."""
        if window is None:
            self.windows.pop(self.shown.name, None)
        else:
            self.windows[self.shown.name] = window.kept_in(self.shown.bounds)

    def show(self, shown: MapPoints) -> None:
        """Show other points; the crosshair goes to the place of its feature."""
        self.shown = shown
        self.marks = replace(self.marks, corner=None)

    @property
    def features(self) -> NDArray[np.int64]:
        """The features that are lit, or all that are shown."""
        shown_N = self.shown.feature_N
        return shown_N if self.lit_F is None else shown_N[self.lit_F[shown_N]]

    @property
    def selecting(self) -> bool:
        """Whether a box is being drawn."""
        return self.marks.corner is not None
