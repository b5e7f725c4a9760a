"""Pasted text stays text, however the line cuts it; no more is written than the cells that are repainted."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, ReflowResult
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.events import Key, Paste
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Label, Static

from monosem_tui.terminal.textual_patches import CellsUpdate, CurrentCompositor, PlainPastes
from tests.hostile_run import ALL, PAYLOADS
from tests.tui.wire_screen import WireScreen

START, END = "\x1b[200~", "\x1b[201~"


def read(parser: XTermParser, *pieces: str) -> list[Message]:
    return [event for piece in pieces for event in parser.feed(piece)]


def told(events: list[Message]) -> list[str]:
    """Keys by their names, pastes by their text."""
    assert all(isinstance(event, (Key, Paste)) for event in events)
    return [event.key if isinstance(event, Key) else f"paste {event.text}" for event in events]  # type: ignore[union-attr]


@pytest.mark.parametrize("text", [*PAYLOADS, ALL, "\x1b", "\x1b" * 40, f"{START}x", "\x1b[201", "\x1b[20q:quit\r"])
def test_no_key_comes_from_a_paste(text: str) -> None:
    wanted = "paste " + text.replace("\x1b", "").replace("\x00", "")
    assert told(read(PlainPastes(), f"j{START}{text}{END}k")) == ["j", wanted, "k"]


def test_by_itself_textual_would_press_keys() -> None:
    assert "q" in told(read(XTermParser(), f"{START}\x1b_q\x1b[x{END}"))


@given(st.data())
def test_a_line_may_cut_it_anywhere(data: st.DataObject) -> None:
    sent = f"a\x1b[A{START}\x1b[31mred\x1b[20{END}b{START}{END}\x1b[B"
    cuts = sorted(data.draw(st.lists(st.integers(1, len(sent) - 1), unique=True)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert told(read(PlainPastes(), *pieces)) == ["a", "up", "paste [31mred[20", "b", "paste ", "down"]


def test_escape_alone_does_not_wait_for_more() -> None:
    parser = PlainPastes()
    assert read(parser, "\x1b") == []
    read_on = told(read(parser, "[A"))
    assert read_on == ["up"]


WIDE = "ab日本cd"


@pytest.mark.parametrize("spans", [[(0, 3, 9)], [(0, 0, 16), (1, 2, 12)], [(1, 8, 16)], [(0, 7, 8), (1, 0, 8)]])
def test_an_update_writes_its_cells_and_no_others(spans: list[tuple[int, int, int]]) -> None:
    """Two widgets of eight cells side by side: the screen is as Textual would leave it, for fewer bytes."""
    bold, dim, plain = Style(bold=True), Style(dim=True), Style()
    left = Strip([Segment("abc", bold), Segment("def", dim), Segment("gh", plain)], 8)
    right = Strip([Segment(WIDE, plain)], 8)
    chops, ends = [{0: left, 8: right}, {0: right, 8: left}], [[8, 16]] * 2
    console = Console(force_terminal=True, color_system="256")
    written = {kind: kind(chops, spans, ends).render_segments(console) for kind in (ChopsUpdate, CellsUpdate)}
    screens = {kind: WireScreen(16, 2) for kind in written}
    for kind, screen in screens.items():
        screen.feed(written[kind].replace("\n", "").encode())
        screen.done()
    for y, line in enumerate(screens[CellsUpdate].rows):
        inside = [any(y == row and first <= x < stop for row, first, stop in spans) for x in range(16)]
        assert [cell for x, cell in enumerate(line) if not inside[x]] == [" "] * inside.count(False)
        assert [c for x, c in enumerate(line) if inside[x]] == [
            c for x, c in enumerate(screens[ChopsUpdate].rows[y]) if inside[x]
        ]
    assert len(written[CellsUpdate]) < len(written[ChopsUpdate])
    assert "\x1b[0m\x1b[" not in written[CellsUpdate]


def test_blanks_at_the_end_are_erased_where_no_style_shows() -> None:
    console = Console(force_terminal=True, color_system="256")
    dim, lit = Style(dim=True), Style(bgcolor="red")
    for style, erased in ((None, True), (Style(), True), (dim, True), (lit, False), (Style(reverse=True), False)):
        strip = Strip([Segment("sea", dim), Segment(" " * 30, style), Segment(" " * 10)], 43)
        written = CellsUpdate([{0: strip}], [(0, 0, 43)], [[43]]).render_segments(console)
        assert (" " * 20 in written) != erased
        screen = WireScreen(43, 1)
        screen.rows = [["x"] * 43]
        screen.feed(written.encode())
        assert screen.lines() == ["sea" + " " * 40]


class Recording(CurrentCompositor):
    """Keeps what is to be painted after a layout."""

    dirty: ClassVar[set[Region]] = set()

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay out."""
        found = super().reflow(parent, size)
        self.dirty.update(self._dirty_regions)
        return found


class Layers(App[None]):
    """A widget, one over its last line that comes and goes, and one below."""

    CSS = """
    Screen { layers: default over; }
    #panel { layer: over; dock: bottom; height: 2; display: none; }
    Static { height: 1fr; }
    """

    def compose(self) -> ComposeResult:
        """The widgets."""
        yield Static("below")
        yield Static("panel", id="panel")
        yield Static("last")


async def test_a_panel_that_comes_and_goes_repaints_its_own_lines() -> None:
    app = Layers()
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        app.screen._compositor.__class__ = Recording
        for shown in (True, False):
            Recording.dirty.clear()
            app.query_one("#panel").display = shown
            await pilot.pause()
            assert Recording.dirty == {Region(0, 8, 40, 2)}


async def test_after_a_full_update_nothing_is_written_twice() -> None:
    app = App[None]()
    async with app.run_test() as pilot:
        label = Label("sea")
        await app.mount(label)
        await pilot.pause()
        screen = app.screen
        screen._compositor.__class__ = CurrentCompositor
        for simplify, left in ((True, 1), (False, 0)):
            label._repaint_regions.add(Region(0, 0, 3, 1))
            screen._compositor.render_update(full=True, simplify=simplify)
            assert len(label._repaint_regions) == left
