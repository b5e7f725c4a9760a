"""The screen as text, and waiting for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from rich.style import Style
from textual.pilot import Pilot

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Role
from monosem_tui.screens.browse import BrowseScreen
from tests.patience import PATIENCE

GOLDENS = Path(__file__).parent / "goldens"
MEANINGFUL = [role for role in Role if role.name.startswith("HEAT")] + [Role.CURSOR, Role.CARET, Role.UNDER, Role.PEAK]
MEANINGFUL += [role for role in Role if role.name.startswith(("HUE", "INK", "CURSOR_"))]
MEANINGFUL += [Role.ERROR, Role.MARK, Role.PLUS, Role.MINUS]
"""Roles whose look says something that the text does not."""
Look = tuple[int | None, int | None, bool, bool, bool, bool]


def browse_screen(pilot: Pilot[None]) -> BrowseScreen:
    """The screen under test."""
    return cast(BrowseScreen, pilot.app.screen)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, and wait until the page has followed."""
    await pilot.press(*keys)
    await settle(pilot)


async def settle(pilot: Pilot[None]) -> None:
    """Wait until the page shows all of the feature under the cursor, and the list its examples, where they stand."""
    screen = browse_screen(pilot)
    state = screen.pane.state

    def settled() -> bool:
        card, figures = state.page.card, state.page.figures
        shown = card.feature if card else None
        whole = card is not None and (card.dead or (figures is not None and figures.drift is not None))
        here = (shown == state.feature and whole) or (shown is None and state.page.rows > 1)
        listed = not state.listing.display or not state.listing.lacking()
        return listed and (here or not state.page.display)

    await _meanwhile(pilot, settled)


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait for something that comes by itself, then until it is drawn."""
    await _meanwhile(pilot, holds)
    await pilot.pause()


async def _meanwhile(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    await pilot.pause(0.01)
    while not holds():
        assert time.monotonic() < deadline, screen_text(pilot)
        await pilot.pause(0.01)


async def go(pilot: Pilot[None], *keys: str) -> BrowseScreen:
    """Press keys one by one, waiting for what each of them has read."""
    for key in keys:
        await press(pilot, key)
        await pilot.app.workers.wait_for_complete()
        await settle(pilot)
    return browse_screen(pilot)


def screen_text(pilot: Pilot[None]) -> str:
    """The screen as plain text. The only place that reads Textual's compositor."""
    strips = pilot.app.screen._compositor.render_strips()
    return "".join(f"{strip.text.rstrip()}\n" for strip in strips)


def style_digest(pilot: Pilot[None], palette: Palette) -> str:
    """Styles that carry meaning: `line column+cells role`."""
    roles = {_look(palette.style(role)): role.value for role in reversed(MEANINGFUL)}
    for role in (Role.PLAIN, Role.DIM, Role.BOLD):
        roles.pop(_look(palette.style(role)), None)
    found = []
    for y, strip in enumerate(pilot.app.screen._compositor.render_strips()):
        x = 0
        for segment in strip:
            role = roles.get(_look(segment.style or Style()))
            if role and (role != "caret" or segment.text.strip() == ""):
                found.append(f"{y:2d} {x:3d}+{segment.cell_length} {role}\n")
            x += segment.cell_length
    return "".join(found)


def _look(style: Style) -> Look:
    def number(color: Any) -> int | None:
        return None if color is None or color.is_default else color.number

    shown = style.bold, style.dim, style.underline, style.reverse
    bold, dim, underline, reverse = map(bool, shown)
    return number(style.color), number(style.bgcolor), bold, dim, underline, reverse


def assert_golden(name: str, found: str) -> None:
    """Compare with goldens/NAME.txt; with UPDATE_GOLDENS=1, write it."""
    path = GOLDENS / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDENS") == "1":
        GOLDENS.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert path.is_file(), f"{path} is missing: UPDATE_GOLDENS=1 writes it"
    assert found == path.read_text(encoding="utf-8")
