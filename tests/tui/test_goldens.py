"""Whole screens, at the sizes that people have."""

from __future__ import annotations

from pathlib import Path

import pytest

from monosem_tui.draw.palette import Palette
from monosem_tui.model.open_run import open_run
from tests.sample_run import build_sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import assert_golden, go, press, screen_text, settle, style_digest

SIZES = ((60, 20), (80, 24), (120, 40), (200, 50))
SCENES: dict[str, tuple[str, ...]] = {
    "start": (),
    "page": ("enter", "z"),
    "filter": ("slash", "s", "e", "a"),
    "nothing": ("slash", "q", "q", "enter"),
    "help": ("question_mark",),
    "keys": ("question_mark", "question_mark"),
    "help-page": ("enter", "question_mark", "n", "n"),
    "keys-page": ("enter", "question_mark", "question_mark"),
    "dead": ("colon", "4", "7", "enter", "enter"),
    "goto": ("colon", "4"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", SCENES)
async def test_screen(scene: str, size: tuple[int, int], make_app: MakeApp) -> None:
    async with make_app().run_test(size=size) as pilot:
        await settle(pilot)
        await press(pilot, *SCENES[scene])
        assert_golden(f"{scene}-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


READING = {
    "followed": ("slash", *"boats", "enter", "enter", "}", "}", "enter", "n"),
    "document": ("enter", "n", "enter"),
    "more-text": ("enter", "+", "n", "n"),
    "page-end": ("enter", "i", "r"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", READING)
async def test_reading(scene: str, size: tuple[int, int], make_app: MakeApp) -> None:
    async with make_app().run_test(size=size) as pilot:
        await go(pilot, *READING[scene])
        assert_golden(f"{scene}-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


@pytest.mark.parametrize("colors", [0, 16])
async def test_reading_without_the_ramp(colors: int, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    if not colors:
        monkeypatch.setenv("NO_COLOR", "1")
    palette = Palette(colors=colors)
    async with make_app(palette=palette).run_test(size=(80, 24)) as pilot:
        await go(pilot, "enter", "n", "enter")
        text = screen_text(pilot)
        await go(pilot, "escape", "}")
        text += screen_text(pilot) + "\n" + style_digest(pilot, palette)
        assert_golden(f"reading-{colors}-colours-80x24", text)


@pytest.mark.parametrize("presses", [1, 2], ids=["ruler", "marks"])
async def test_other_renderings(presses: int, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", *["m"] * presses, "k")
        name = ["ruler", "marks"][presses - 1]
        assert_golden(f"page-{name}-80x24", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


LIGHT, SIXTEEN = Palette(dark=False), Palette(colors=16)


@pytest.mark.parametrize(("palette", "keys"), [(LIGHT, "k"), (SIXTEEN, "mmk")], ids=["light", "16-colours"])
async def test_looks_differ_in_style_only(palette: Palette, keys: str, make_app: MakeApp) -> None:
    async with make_app(palette=palette).run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", *keys)
        text, digest = screen_text(pilot), style_digest(pilot, palette)
    assert "heat 5" in digest
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter")
        assert (screen_text(pilot), style_digest(pilot, Palette())) == (text, digest)


async def test_without_colours_no_cell_has_one(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with make_app(palette=Palette(colors=0)).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        for strip in pilot.app.screen._compositor.render_strips():
            for segment in strip:
                for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    assert color is None or color.is_default
        assert_golden("no-color-120x40", screen_text(pilot) + "\n" + style_digest(pilot, Palette(colors=0)))


async def test_a_run_that_is_being_indexed_says_so(make_app: MakeApp, tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "growing", merged=False, segments=4)
    sorted(sample.run.index.glob("seg-*.h5"))[-1].unlink()
    run = open_run(sample.run.path)
    async with make_app(run).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        assert_golden("growing-80x24", screen_text(pilot))
    run.store.close()
