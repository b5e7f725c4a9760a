"""A pane of lines whose cells depend on its width."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.strip import Strip

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Line, line
from monosem_tui.widgets.line_view import LineView


class Padded(LineView):
    """Rows filled with blanks up to the width they were last laid out for."""

    def __init__(self) -> None:
        super().__init__(Palette())
        self.rows, self.cells = 3, 0
        self.painted: dict[int, str] = {}

    def head(self, _y: int) -> Line:
        return line("head")

    def row(self, number: int) -> Line:
        return line(f"{number}".ljust(self.cells))

    def resized(self) -> None:
        self.cells = self.size.width

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        self.painted[y] = strip.text
        return strip


class PaddedApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Padded()


async def test_lines_cut_at_a_new_width_are_painted_whole() -> None:
    app = PaddedApp()
    async with app.run_test(size=(40, 6)) as pilot:
        await pilot.pause()
        await pilot.resize_terminal(20, 6)
        await pilot.pause()
        view = app.query_one(Padded)
        assert [view.painted[y].rstrip() for y in range(4)] == ["head", "0", "1", "2"]
