"""The lookup in the app: words that find features, runs, recipes and documents, their previews, and going there."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot

from monosem_tui.draw.palette import Palette
from monosem_tui.keys.actions import Where
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.live.screen import LiveScreen
from monosem_tui.screens.lookup import ThingLookup
from store.live.recipe import Recipe
from store.live.saved_recipes import keep_recipe
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp
from tests.tui.live_app import pretend
from tests.tui.screens import browse_screen, screen_text, style_digest, until


@pytest.fixture
def own(sample: Sample, tmp_path: Path) -> Iterator[OpenRun]:
    """The sample's run among others, to be written to."""
    shutil.copytree(sample.run.path, tmp_path / "runs" / "other [b]run")
    run = open_run(Path(shutil.copytree(sample.run.path, tmp_path / "runs" / "own")))
    keep_recipe(run.editor.notes, "boats", Recipe(prompt="once the \x1b[31msea"))
    yield run
    run.store.close()


async def looked_up(pilot: Pilot[None], text: str) -> list[str]:
    """Wait until the panel answers a text with all that there is, and its preview is there; return its lines."""
    await until(pilot, lambda: answers(pilot, text))
    await pilot.app.workers.wait_for_complete()
    await pilot.pause(0.05)
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    lines = screen_text(pilot).splitlines()
    first = next(number for number, line in enumerate(lines) if "━ go to" in line)
    return lines[first:-1]


def answers(pilot: Pilot[None], text: str) -> bool:
    screen = cast(MonosemScreen, pilot.app.screen)
    part = next(part for part in screen.parts if isinstance(part, ThingLookup))
    return part._answered == text and not part._reading


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 50)])
@pytest.mark.parametrize("colors", [0, 256])
async def test_things_are_found_from_any_screen(
    size: tuple[int, int], colors: int, make_app: MakeApp, own: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not colors:
        monkeypatch.setenv("NO_COLOR", "1")
    async with make_app(own, Palette(colors=colors)).run_test(size=size) as pilot:
        await pilot.press("4", "ctrl+p", *"boats")
        lines = await looked_up(pilot, "boats")
        assert lines[1].startswith("▌ 0        water, boats, the sea")
        assert "recipe   boats  once the ⟨0x1B⟩[31msea" in lines[2]
        assert any("sea" in line for line in lines[-2:])  # the strongest example
        assert "max 9.0 · 1 in 6.1" in lines[-1]
        if colors:
            assert "heat 5" in style_digest(pilot, Palette())
        await pilot.press("enter")
        await until(pilot, lambda: browse_screen(pilot).VIEW == "browse")
        await until(pilot, lambda: browse_screen(pilot).pane.state.page.card is not None)
        assert browse_screen(pilot).pane.state.feature == 0
        assert browse_screen(pilot).pane.here is Where.PAGE


async def test_a_number_a_document_a_recipe_and_a_run(
    make_app: MakeApp, own: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app(own).run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p", *"17")
        assert (await looked_up(pilot, "17"))[1].startswith("▌ 17 ")
        await pilot.press("escape", "ctrl+p", *"document")
        lines = await looked_up(pilot, "document")
        row = next(line for line in lines[1:] if line.startswith(("▌ document", "  document")))
        number = row.split("document")[1].split()[0]
        await pilot.press("backspace", *["ctrl+u"], *f"document {number}")
        lines = await looked_up(pilot, f"document {number}")
        assert lines[1].startswith(f"▌ document {number}  ")
        assert "48 tokens" in lines[-1]
        await pilot.press("enter")
        screen = browse_screen(pilot)
        await until(pilot, lambda: screen.pane.here is Where.DOCUMENT)
        assert f"document {number} · 48 tokens" in screen_text(pilot)

        await pilot.press("ctrl+p", *"once")
        lines = await looked_up(pilot, "once")
        assert lines[1].startswith("▌ recipe   boats")
        await pilot.press("enter")
        await until(pilot, lambda: "recipes in the notes: 1" in screen_text(pilot))
        assert cast(LiveScreen, pilot.app.screen).recipes.here is Where.RECIPES

        await pilot.press("ctrl+p", *"other")
        lines = await looked_up(pilot, "other")
        row = next(n for n, line in enumerate(lines) if "other [b]run" in line)
        await pilot.press(*["down"] * (row - 1))
        await looked_up(pilot, "other")
        assert "EV 0.910 · L0 4.0" in screen_text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "other [b]run" in screen_text(pilot).splitlines()[0])


async def test_keys_of_one_packet_are_about_what_was_typed(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await pilot.press("ctrl+p", *"zzzz")
        assert "nothing has these words" in "\n".join(await looked_up(pilot, "zzzz"))
        await pilot.press("enter")
        assert not browse_screen(pilot).line.typing
        await pilot.press("ctrl+p", *"3", "enter")
        await until(pilot, lambda: browse_screen(pilot).pane.state.feature == 3)
