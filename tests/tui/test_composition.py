"""Screens are composed of parts, not inherited; every key has one owner; the keys follow the focus."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

import monosem_tui
from monosem_tui.app import SCREENS
from monosem_tui.draw.spans import Role
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.screens.feature.pane import FeaturePane
from monosem_tui.screens.find import FindScreen
from tests.tui.conftest import MakeApp
from tests.tui.screens import press, screen_text, settle

SOURCES = Path(inspect.getfile(monosem_tui)).parent


def depth(kind: type) -> int:
    """Classes of ours from a screen up to Textual's."""
    return len([one for one in kind.__mro__ if issubclass(one, Screen) and one.__module__.split(".")[0] != "textual"])


def handlers_called_twice(source: str) -> list[str]:
    """Calls of a base class's handler: Textual calls the handlers of all classes by itself, `on_event` excepted."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr.startswith(("on_", "_on_")) and node.attr != "on_event":
            called = node.value
            if isinstance(called, ast.Call) and isinstance(called.func, ast.Name) and called.func.id == "super":
                found.append(f"line {node.lineno}: super().{node.attr}")
    return found


def screens() -> list[type[MonosemScreen]]:
    for place in SCREENS.values():
        import_module(place.partition(":")[0])
    found, new = set[type[MonosemScreen]](), {MonosemScreen}
    while new:
        found |= new
        new = {one for kind in new for one in kind.__subclasses__()} - found
    return sorted((one for one in found if one.__module__.startswith("monosem_tui.")), key=lambda one: one.__name__)


def test_a_screen_is_two_classes_at_most() -> None:
    assert {kind.__name__ for kind in screens()} >= {place.partition(":")[2] for place in SCREENS.values()}
    assert {kind.__name__: depth(kind) for kind in screens() if depth(kind) > 2} == {}


def test_a_third_class_would_be_seen() -> None:
    class Third(BrowseScreen):
        pass

    assert (depth(MonosemScreen), depth(BrowseScreen), depth(Third)) == (1, 2, 3)


def test_no_handler_calls_its_base() -> None:
    found = {path.name: handlers_called_twice(path.read_text(encoding="utf-8")) for path in SOURCES.rglob("*.py")}
    assert {name: calls for name, calls in found.items() if calls} == {}


def test_a_handler_that_does_would_be_seen() -> None:
    source = "class A(B):\n def on_resize(self):\n  super().on_resize()\n def on_event(self, e):\n  super().on_event(e)"
    assert handlers_called_twice(source) == ["line 3: super().on_resize"]


@pytest.mark.parametrize("view", [*"123456"])
async def test_each_need_and_each_action_has_one_owner(view: str, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press(view)
        await pilot.pause()
        screen = cast(MonosemScreen, pilot.app.screen)
        assert len(set(map(id, screen.parts))) == len(screen.parts)
        tables = [screen.needs, *(part.needs for part in screen.parts)]
        for action in screen.reach:
            for need in action.needs:
                assert len([table for table in tables if need in table]) == 1, (action.id, need)
        owned = [name for one in (*screen.parts, screen) for name in own_actions(one)]
        assert sorted(owned) == sorted(set(owned))


def own_actions(owner: object) -> list[str]:
    """Actions that our own classes define."""
    ours = [kind for kind in type(owner).__mro__ if kind.__module__.startswith("monosem_tui.")]
    return [name for kind in ours for name in vars(kind) if name.startswith("action_")]


# The keys follow the focus


def pane_of(pilot: Pilot[None]) -> FeaturePane:
    return cast(BrowseScreen | FindScreen, pilot.app.screen).pane


async def shown(pilot: Pilot[None], view: str) -> FeaturePane:
    """Browse, or Find with an answer, two panes side by side."""
    await settle(pilot)
    if view == "2":
        await pilot.press("2", "slash", *"sea", "enter")
        for _ in range(3000):
            await pilot.pause(0.01)
            if len(pane_of(pilot).state.listing.order) and pane_of(pilot).state.page.card is not None:
                break
    await pilot.pause()
    return pane_of(pilot)


def footer(pilot: Pilot[None]) -> str:
    return screen_text(pilot).splitlines()[-1]


def titles(pane: FeaturePane) -> tuple[set[Any], set[Any]]:
    """Roles in the title of the list and of the page."""
    state = pane.state
    return {span.role for span in state.listing.head(0)}, {span.role for span in state.page.head(0)}


@pytest.mark.parametrize("view", ["1", "2"])
async def test_a_click_brings_the_keys_along(view: str, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        pane = await shown(pilot, view)
        state = pane.state
        assert (state.panes.front, pane.here.name) == ("list", "LIST")
        assert "j/k move" in footer(pilot)
        row = next(stop.row for stop in state.page._sheet.stops if stop.key.section == "top" and stop.key.leads)
        assert await pilot.click(state.page, offset=(8, row + 1))
        await pilot.pause()
        assert (state.panes.front, pane.here.name) == ("page", "PAGE")
        assert "j/k scroll" in footer(pilot)
        assert "lines 1–" in footer(pilot)
        assert (Role.ACCENT in titles(pane)[0], Role.ACCENT in titles(pane)[1]) == (False, True)
        assert state.page.stop is not None
        cursor = state.listing.cursor
        await pilot.press("j", "j")
        assert (state.listing.cursor, state.page.first) == (cursor, 2)
        await press(pilot, "enter") if view == "1" else await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()
        await pilot.pause()
        assert state.in_document
        await pilot.press("escape")
        await pilot.pause()
        assert (state.in_document, state.panes.front) == (False, "page")
        assert await pilot.click(state.listing, offset=(8, state.listing.HEAD + 2))
        await pilot.pause()
        assert (state.panes.front, pane.here.name, state.listing.cursor) == ("list", "LIST", 2)
        assert "j/k move" in footer(pilot)
        assert Role.ACCENT in titles(pane)[0]
        await pilot.press("j")
        assert state.listing.cursor == 3


async def test_a_click_in_a_document_too(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        pane = await shown(pilot, "1")
        await press(pilot, "enter", "n", "enter")
        await pilot.app.workers.wait_for_complete()
        await press(pilot, "tab")
        assert (pane.state.in_document, pane.here.name) == (True, "LIST")
        assert await pilot.click(pane.state.document, offset=(8, 5))
        await pilot.pause()
        assert (pane.state.in_document, pane.here.name) == (True, "DOCUMENT")
        assert "j/k scroll" in footer(pilot)
