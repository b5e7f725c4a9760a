"""The other screens without colours and with sixteen: what colour says is there as text, or as another style."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from monosem_tui.draw.palette import Palette
from tests.tui.conftest import MakeApp
from tests.tui.live_app import keys, live, pretend, write
from tests.tui.screens import assert_golden, press, screen_text, style_digest, until
from tests.tui.test_find import EITHER, answered, ask
from tests.tui.test_screens import health

COLOURS = pytest.mark.parametrize("colors", [0, 16], ids=["no-color", "16-colours"])


def looks(colors: int, monkeypatch: pytest.MonkeyPatch) -> Palette:
    if not colors:
        monkeypatch.setenv("NO_COLOR", "1")
    return Palette(colors=colors)


def golden(screen: str, pilot: Pilot[None], palette: Palette) -> None:
    if not palette.colors:
        for strip in pilot.app.screen._compositor.render_strips():
            for segment in strip:
                for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    assert color is None or color.is_default
    assert_golden(f"{screen}-{palette.colors}-colours-80x24", screen_text(pilot) + "\n" + style_digest(pilot, palette))


@COLOURS
async def test_find_and_health(colors: int, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    palette = looks(colors, monkeypatch)
    async with make_app(palette=palette).run_test(size=(80, 24)) as pilot:
        await ask(pilot, EITHER)
        await answered(pilot)
        golden("find", pilot, palette)
        await pilot.press("1")
        await health(pilot)
        golden("health", pilot, palette)


@COLOURS
async def test_live_and_inspect(colors: int, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    palette = looks(colors, monkeypatch)
    pretend(monkeypatch)
    async with make_app(palette=palette).run_test(size=(80, 24)) as pilot:
        await press(pilot, "c", "j", "c")
        await write(pilot)
        await pilot.press(*"hhhh")
        await pilot.pause()
        golden("live", pilot, palette)
        screen = await live(pilot)
        await pilot.press("i", "p", "ctrl+u", *keys("the sea and she"), "enter")
        await until(pilot, lambda: len(screen.inspection.looked.reads) == 5)
        await pilot.press("space", "l", "space", "l")
        await until(pilot, lambda: "\n─ 2  she" in screen_text(pilot))
        golden("inspect", pilot, palette)
