"""Habits of vim, less and lazygit: counts, z, q, ctrl+c, ctrl+o; and the mouse on whatever looks as if it could be
clicked."""

from __future__ import annotations

from typing import cast

import pytest
from textual.pilot import Pilot

from monosem_tui.draw.safe_text import width
from monosem_tui.draw.spans import Role, text_of, width_of
from monosem_tui.draw.typed_text import place_at, typed_text
from monosem_tui.keys.counts import STEPS, counted
from monosem_tui.keys.table import ACTIONS
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.browse import BrowseScreen
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, settle, until

LONG = 20.0
"""Seconds for which keys are held back, where nothing but the next key is to end that."""


def cursor(pilot: Pilot[None]) -> int:
    return browse_screen(pilot).pane.state.listing.cursor


def view(pilot: Pilot[None]) -> str:
    return cast(MonosemScreen, pilot.app.screen).VIEW


def footer(pilot: Pilot[None]) -> str:
    return screen_text(pilot).splitlines()[-1]


# Numbers before a key


async def test_a_number_before_a_motion_counts(make_app: MakeApp) -> None:
    async with make_app(pause=LONG).run_test(size=(80, 24)) as pilot:
        await press(pilot, "5", "j")
        assert (cursor(pilot), view(pilot)) == (5, "browse")
        await press(pilot, "3", "k")
        assert cursor(pilot) == 2
        await press(pilot, "4", "2")
        assert "42…" in footer(pilot)
        await press(pilot, "G")
        assert cursor(pilot) == 41
        await press(pilot, "9", "9", "j")
        assert cursor(pilot) == 45
        await press(pilot, "1", "0", "g", "enter", "8", "j")
        state = browse_screen(pilot).pane.state
        assert (state.listing.cursor, state.page.first) == (9, 8)
        await press(pilot, "g", "3", "n")
        assert state.page.stop is not None
        assert state.page._stops.index(state.page.stop) == 2


async def test_escape_drops_a_number(make_app: MakeApp) -> None:
    async with make_app(pause=LONG).run_test(size=(80, 24)) as pilot:
        await press(pilot, "3", "escape", "j")
        assert (cursor(pilot), view(pilot)) == (1, "browse")


async def test_a_digit_alone_shows_a_screen(make_app: MakeApp) -> None:
    async with make_app(pause=0.05).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("4")
        await until(pilot, lambda: view(pilot) == "health")


async def test_a_digit_before_another_key_shows_its_screen_at_once(make_app: MakeApp) -> None:
    """Keys of one packet find the screen that the first of them shows."""
    async with make_app(pause=LONG).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("4", "question_mark")
        assert view(pilot) == "health"
        assert "? keys · esc closes" in screen_text(pilot)


async def test_a_digit_where_nothing_moves_waits_for_nothing(make_app: MakeApp) -> None:
    async with make_app(pause=LONG).run_test(size=(80, 24)) as pilot:
        await press(pilot, "2")
        assert "2…" in footer(pilot)
        await pilot.press("escape", "slash", "q", "q", "q", "enter", "4")
        await until(pilot, lambda: view(pilot) == "health")


def test_steps_are_methods_of_actions() -> None:
    methods = {action.name.partition("(")[0] for action in ACTIONS}
    assert methods >= STEPS
    assert [counted(action, 3) for action in ACTIONS if action.id == "goto"] == [None]
    named = {action.id: one.name for action in ACTIONS if (one := counted(action, 3))}
    assert (named["list.next"], named["list.last"], named["inspect.left"]) == ("move(3)", "entry(3)", "look(-3, 0)")


@pytest.mark.parametrize(("key", "first"), [("z", 10), ("t", 20), ("b", 1)])
async def test_z_moves_the_row_to_the_middle_the_top_or_the_bottom(key: str, first: int, make_app: MakeApp) -> None:
    async with make_app(pause=LONG).run_test(size=(80, 24)) as pilot:
        listing = browse_screen(pilot).pane.state.listing
        await press(pilot, "2", "1", "G", "z", key)
        assert (listing.cursor, listing.first) == (20, first)


async def test_z_alone_zooms(make_app: MakeApp) -> None:
    async with make_app(pause=0.05).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("z")
        await until(pilot, lambda: browse_screen(pilot).pane.state.panes.zoomed == "list")


async def test_jumps_are_undone_one_by_one(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "j", "G", "g", "ctrl+o")
        assert cursor(pilot) == 45
        await press(pilot, "ctrl+o")
        assert cursor(pilot) == 1
        await press(pilot, "ctrl+o")
        assert "no jump to go back from" in footer(pilot)


# q and ctrl+c


@pytest.mark.parametrize("keys", [["question_mark"], ["enter"], ["f"], ["enter", "n", "enter"]], ids="".join)
async def test_q_closes_what_is_open_before_it_quits(keys: list[str], make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        before = screen_text(pilot)
        for key in keys:
            await press(pilot, key)
            await pilot.app.workers.wait_for_complete()
            await settle(pilot)
        for _ in range(keys.count("enter") or 1):
            assert screen_text(pilot) != before
            await press(pilot, "q")
            assert app.is_running
        assert screen_text(pilot) == before
        await pilot.press("q")
        await pilot.pause()
    assert not app.is_running
    assert app.return_code in (None, 0)


async def test_q_quits_beside_a_page(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "tab", "q")
    assert not app.is_running


async def test_ctrl_c_quits_at_the_second_time(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "ctrl+c")
        assert "ctrl+c again quits" in footer(pilot)
        await press(pilot, "j", "ctrl+c")
        assert app.is_running
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert not app.is_running


# The mouse


async def click_on(pilot: Pilot[None], row: int, text: str, times: int = 1) -> None:
    """Click on a text in a row of the screen."""
    lines = screen_text(pilot).splitlines()
    await pilot.click(offset=(lines[row].index(text), row % len(lines)), times=times)
    await pilot.pause()


async def test_screens_and_keys_can_be_clicked(make_app: MakeApp) -> None:
    async with make_app(pause=LONG).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await click_on(pilot, 0, "4 Health")
        await until(pilot, lambda: view(pilot) == "health")
        await click_on(pilot, 0, "1 Browse")
        await until(pilot, lambda: view(pilot) == "browse")
        await click_on(pilot, -1, "filter")
        assert browse_screen(pilot).line.typing
        await pilot.press("s", "e", "a")
        await click_on(pilot, -1, "keep")
        assert browse_screen(pilot).order.ordering.text == "sea"
        await press(pilot, "slash")
        await click_on(pilot, 0, "4 Health")
        await until(pilot, lambda: view(pilot) == "health")
        await click_on(pilot, 0, "1 Browse")
        await until(pilot, lambda: view(pilot) == "browse")
        assert not browse_screen(pilot).line.typing
        await press(pilot, "e")
        await click_on(pilot, -1, "back")
        assert browse_screen(pilot).dispatch.question is None


async def test_a_click_in_the_line_moves_its_cursor(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "slash", *"boat")
        await click_on(pilot, -1, "at")
        await pilot.press("u")
        assert browse_screen(pilot).input.text == "bouat"


async def test_a_command_can_be_clicked(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "ctrl+p", *"health")
        row = next(n for n, line in enumerate(screen_text(pilot).splitlines()) if "Health: the run" in line)
        await click_on(pilot, row, "Health: the run")
        await until(pilot, lambda: view(pilot) == "health")


async def test_the_wall_is_dragged(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        pane = browse_screen(pilot).pane
        assert pane.wall == 48
        await pilot.mouse_down(offset=(48, 9))
        await pilot.hover(offset=(60, 9))
        await pilot.mouse_up(offset=(60, 9))
        await until(pilot, lambda: pane.wall == 60)
        assert pane.state.panes.front == "list"  # the keys stay where they were
        await pilot.click(offset=(60, 9), times=2)
        await until(pilot, lambda: pane.wall == 48)


async def test_a_click_follows_a_feature(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = cast(BrowseScreen, pilot.app.screen)
        await settle(pilot)
        near = next(stop for stop in screen.pane.state.page._sheet.stops if stop.key.feature is not None)
        page = screen.pane.state.page
        row = near.row - page.first + page.HEAD
        await pilot.click(page, offset=(near.column + 3, row))
        await settle(pilot)
        assert screen.pane.state.feature == near.key.feature


# A long text in the line


@pytest.mark.parametrize("text", ["density>1e-4 max<5 label:water", "日本語のテキスト" * 3, "a\n\tb" * 9, ""])
@pytest.mark.parametrize("cells", [8, 20, 60])
def test_the_caret_is_always_in_sight(text: str, cells: int) -> None:
    for at in range(len(text) + 1):
        shown, hidden = typed_text(text[:at], text[at:], cells)
        assert width_of(shown) == cells
        carets = [span.text for span in shown if span.role is Role.CARET]
        assert len(carets) == 1
        if at < len(text) and width(text[at]):
            assert carets[0].startswith(text[at]) or not text[at].isprintable()
        if hidden:
            assert text_of(shown).startswith("…")


def test_what_stands_at_a_cell() -> None:
    assert [place_at("a日b", cell) for cell in range(6)] == [0, 1, 1, 2, 3, 3]
