"""The picture: drawn within few bytes while keys come, and whole once they rest; exported as SVG."""

from __future__ import annotations

from dataclasses import replace

from textual.timer import Timer

from monosem_tui.draw.cell_grid import ends
from monosem_tui.draw.numbers import count, fixed
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.pages.map_page import map_page
from monosem_tui.pages.map_picture import QUICK, WHOLE, DotPicture
from monosem_tui.screens.map.state import MapState
from monosem_tui.screens.output_files import write
from monosem_tui.screens.part import ScreenPart


class MapPicture(ScreenPart):
    """Draws the state."""

    def __init__(self, state: MapState) -> None:
        self._state, self._host = state, state.host
        self._picture: DotPicture | None = None
        self._timer: Timer | None = None
        self.filter_text = ""
        """The filter that lights features up, for the title."""

    @property
    def dots(self) -> DotPicture:
        """The picture of the dots as they are shown now, or are to be."""
        return self._picture or self._dots(WHOLE)

    def _dots(self, most: int) -> DotPicture:
        state = self._state
        used = self._host.session.palette.used
        return DotPicture(state.shown, state.window, state.colouring, state.lit_F, used, most)

    def redraw(self) -> None:
        """Draw everything as it is now."""
        self._stop()
        self._picture = self._dots(WHOLE)
        self.redraw_marks()

    def step(self) -> None:
        """Draw the new part of the plane in few bytes, and all of it once the keys rest."""
        self._stop()
        before, frame = self._picture, self._state.frame
        self._picture = self._dots(QUICK)
        if before is not None and (before.window.rows, before.window.cells) == (frame.rows, frame.cells):
            self._picture = replace(self._picture, before_Y=ends(before.grid))
        self.redraw_marks()
        if not self._picture.is_exact:
            self._timer = self._host.set_timer(self._host.session.tuning.rest, self.redraw)

    def redraw_marks(self) -> None:
        """Draw what stands on the dots."""
        state = self._state
        if not state.view.size.width or not state.view.size.height:
            return
        grid = map_page(self.title(), self.dots, state.frame, state.marks, focused=True)
        state.view.show(grid)

    def title(self) -> str:
        """Return `map graph · 4 089 features · trustworthiness .58 · /max<5: 120 lit`."""
        state = self._state
        shown, found = state.shown, state.shown.map
        parts = [
            f"map {shown.name}" if shown.name else "density and maximum",
            f"{count(len(shown.feature_N))} features",
        ]
        if found is not None:
            parts.append(f"trustworthiness {fixed(found.summary.trustworthiness, 2)}")
        if state.lit_F is not None:
            parts.insert(1, f"/{cut(printable(self.filter_text), 40)}: {count(len(state.features))} lit")
        return " · ".join(parts)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def suspended(self) -> None:
        """Draw nothing while another screen is shown."""
        self._stop()

    def resumed(self) -> None:
        """Colours and notes may have changed."""
        self.redraw()

    def action_export_map(self) -> None:
        """Write the picture as SVG, all of it with its colours."""
        from monosem_tui.export.map_svg import map_svg
        from monosem_tui.export.page_files import file_name

        state, name = self._state, self._state.run.name
        title = f"{name}: {self.title()}"
        file = file_name(name, f"map-{state.shown.name or 'density'}", "picture")
        self._host.tell(write(file, lambda: map_svg(title, state.shown, state.colouring, state.lit_F)))
