"""Map: the picture and its keys, boxes and filters that Browse takes, maps made by a child, bytes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from textual.events import MouseScrollUp
from textual.pilot import Pilot

from monosem_tui.draw.palette import Palette
from monosem_tui.keys.actions import Where
from monosem_tui.keys.table import at
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.pages.map_page import place_of_feature
from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.screens.map.screen import MapScreen
from monosem_tui.screens.session import SearchScores
from store.map.map_file import load_map, map_path, save_map
from store.rules.kind_file import index_digest
from tests.patience import PATIENCE
from tests.sample_run import Sample
from tests.store.map.maps import small_map
from tests.tui.conftest import MakeApp
from tests.tui.pty_bytes import PtyApp
from tests.tui.screens import assert_golden, screen_text, style_digest, until

KEYS = {
    "/": "slash", "+": "plus", "-": "minus", "}": "right_curly_bracket", "{": "left_curly_bracket", ":": "colon",
    "⏎": "enter", "␣": "space", "=": "equals_sign", ">": "greater_than_sign", "<": "less_than_sign",
}  # fmt: skip
SIZES = ((80, 24), (200, 50))


@pytest.fixture
def mapped(sample: Sample, tmp_path: Path) -> OpenRun:
    """A copy of the sample with two maps, one of them of another index."""
    path = Path(shutil.copytree(sample.run.path, tmp_path / "runs" / "sample"))
    digest = index_digest(path / "features.h5")
    save_map(map_path(path, "plane"), small_map(digest, features=48))
    save_map(map_path(path, "stale"), small_map("of another", features=48))
    return open_run(path)


async def press(pilot: Pilot[None], *keys: str) -> MapScreen:
    """Press keys, and wait for the card and for what is looked for."""
    for key in keys:
        await pilot.press(KEYS.get(key, key))
        if key in "7o":  # maps are looked for, and the picture gets its size
            await pilot.app.workers.wait_for_complete()
            await pilot.pause()
    await pilot.pause(0.02)
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()
    assert isinstance(pilot.app.screen, MapScreen), pilot.app.screen
    return pilot.app.screen


def bottom(pilot: Pilot[None]) -> str:
    return screen_text(pilot).splitlines()[-1].strip()


@pytest.mark.parametrize("size", SIZES, ids=str)
async def test_both_pictures(size: tuple[int, int], mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=size) as pilot:
        await press(pilot, "7")
        look = screen_text(pilot) + "\n" + style_digest(pilot, Palette())
        assert_golden(f"map-density-{size[0]}x{size[1]}", look)
        await press(pilot, "o")
        look = screen_text(pilot) + "\n" + style_digest(pilot, Palette())
        assert_golden(f"map-plane-{size[0]}x{size[1]}", look)


@pytest.mark.parametrize("colors", [0, 16])
async def test_without_the_colours_of_the_cube(colors: int, mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped, Palette(colors=colors)).run_test(size=(80, 24)) as pilot:
        screen = await press(pilot, "7", "m", "m", "m")
        assert "label" in screen_text(pilot).splitlines()[-7]
        styles = {segment.style for strip in pilot.app.screen._compositor.render_strips() for segment in strip}
        numbers = {style.color.number for style in styles if style and style.color and style.color.number is not None}
        assert not numbers if not colors else max(numbers) < 16
        assert screen.state.colouring.name == "label"


async def test_every_key_of_the_map_does_something_or_says_why(mapped: OpenRun, make_app: MakeApp) -> None:
    waits = {"make", "open", "all", "export_map", "clamp", "filter"}  # tests below press them
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        await press(pilot, "7", "o", "+")
        for action in at(Where.DOTS, Where.MAP):
            if action.name in waits:
                continue
            for key in action.keys:
                before = screen_text(pilot) + style_digest(pilot, Palette())
                await pilot.press(KEYS.get(key, key))
                await pilot.pause()
                after = screen_text(pilot) + style_digest(pilot, Palette())
                assert after != before or action.name.startswith(("near", "pan")), (key, action)
                if action.name == "box":
                    await pilot.press("escape")


async def test_the_crosshair_moves_and_the_card_follows(mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        screen = await press(pilot, "7", "o")
        row, cell = screen.state.marks.cursor
        await press(pilot, "l", "l", "j")
        assert screen.state.marks.cursor == (row + 1, cell + 2)
        screen.crosshair.go_to(17)
        await press(pilot, "n", "N")
        assert screen.state.marks.nearest is not None
        screen.crosshair.go_to(17)
        await until(pilot, lambda: screen.state.page.card is not None and screen.state.page.card.feature == 17)
        assert screen.state.marks.cursor == place_of_feature(screen.picture.dots, 17)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, BrowseScreen))
        assert isinstance(pilot.app.screen, BrowseScreen)
        assert pilot.app.screen.pane.state.feature == 17


async def test_zoom_keeps_the_feature_and_escape_does_not_lose_it(mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=(80, 24)) as pilot:
        screen = await press(pilot, "7", "o")
        screen.crosshair.go_to(5)
        for key, scale in (("+", 2), ("+", 4), ("-", 2), ("0", 1), ("-", 1)):
            await press(pilot, key)
            assert screen.crosshair.scale() == pytest.approx(scale), key
            assert place_of_feature(screen.picture.dots, 5) is not None
        await press(pilot, "+", "+", "+")
        whole = screen.state.shown.bounds
        for _ in range(20):
            screen.crosshair.action_move(-5, -10)
        box = screen.state.window.box
        assert box.left == pytest.approx(whole.left) and box.right < whole.right
        await press(pilot, "0")
        assert screen.state.window.box.right >= whole.right


async def test_a_box_becomes_a_filter_that_browse_takes(mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        screen = await press(pilot, "7", "o")
        screen.crosshair.place(0, 0)
        await press(pilot, "v", *["J"] * 9, *["L"] * 2)
        assert screen.crosshair.here is Where.BOX
        assert "┌" in screen_text(pilot) and "┘" not in bottom(pilot)
        await press(pilot, "enter")
        lit = screen.state.features.tolist()
        inside = screen.state.window.box_of((0, 0), screen.state.marks.cursor)
        x_N = screen.state.shown.place_N2[:, 0]
        assert lit == [feature for feature in range(47) if x_N[feature] <= inside.right + 1e-9] and 0 < len(lit) < 47
        assert screen.filter.text.startswith("in:plane(") and f"{len(lit)} features in the box" in bottom(pilot)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(pilot.app.screen, BrowseScreen))
        assert isinstance(pilot.app.screen, BrowseScreen)
        listed = pilot.app.screen.order.catalogue
        assert listed.ordering.text == screen.filter.text
        assert sorted(listed.ids.tolist()) == [feature for feature in lit if feature < 46]  # the dead one is hidden
        await press(pilot, "7", "escape")
        assert screen.state.lit_F is None and screen.filter.text == ""


async def test_a_box_of_density_and_maximum_is_a_filter_of_columns(mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=(80, 24)) as pilot:
        screen = await press(pilot, "7")
        screen.crosshair.place(6, 0)
        await press(pilot, "v")
        for _ in range(20):
            screen.crosshair.action_move(5, 10)
        await press(pilot, "v")
        assert "density>=" in screen.filter.text and "max<=" in screen.filter.text
        top = screen.state.window.middle_of(6, 0)[1] + screen.state.window.down * 2
        weak = np.flatnonzero((mapped.store.columns.count_F > 0) & (mapped.store.columns.max_F <= top))
        assert set(screen.state.features.tolist()) == set(weak.tolist())


async def test_a_typed_filter_lights_up_and_can_be_left(mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=(80, 24)) as pilot:
        screen = await press(pilot, "7", "/", *"id<9")
        assert "9 lit" in bottom(pilot)
        await press(pilot, "enter")
        assert screen.state.features.tolist() == list(range(9))
        await press(pilot, "/", *"0")
        assert len(screen.state.features) == 46
        await press(pilot, "escape")
        assert screen.state.features.tolist() == list(range(9))
        await press(pilot, "/", *"=", "enter")
        assert "a number is expected after <" in screen_text(pilot)


async def test_the_cluster_of_a_feature_grows_from_fine_to_coarse(mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        screen = await press(pilot, "7", "o")
        screen.crosshair.go_to(3)
        await press(pilot, "x")
        assert screen.filter.text == "in:plane#1.0" and screen.state.features.tolist() == list(range(12))
        assert "cluster 1.0: a" in bottom(pilot)
        await press(pilot, "x")
        assert screen.filter.text == "in:plane#0.0" and len(screen.state.features) == 24
        assert "sea · boat" in bottom(pilot)
        await press(pilot, "x")
        assert screen.filter.text == "in:plane#0.0" and "coarsest" in bottom(pilot)


async def test_colours_by_the_last_search(mapped: OpenRun, make_app: MakeApp) -> None:
    app = make_app(mapped)
    app.session.found = SearchScores("boat", {3: 0.9, 4: 0.1})
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await press(pilot, "7")
        names = list(screen.colours._made())
        assert "find" in names and names.index("label") < names.index("find")
        await press(pilot, *["m"] * names.index("find"))
        assert "F1 for boat" in screen_text(pilot)
        assert screen.state.colouring.group_F[[3, 4, 5]].tolist() == [4, 0, -1]


async def test_the_mouse_points_drags_and_turns(mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        screen = await press(pilot, "7", "o")
        view = screen.state.view
        await pilot.click(view, offset=(20, 12))
        assert screen.state.marks.cursor == (11, 20)
        await pilot._post_mouse_events([MouseScrollUp], view, (20, 12))
        await pilot.pause(0.05)
        assert screen.crosshair.scale() > 1.2
        await press(pilot, "0")
        await pilot.mouse_down(view, offset=(2, 3))
        await pilot.hover(view, offset=(40, 30))
        assert screen.state.marks.corner == (2, 2)
        await pilot.mouse_up(view, offset=(40, 30))
        await pilot.pause(0.05)
        assert screen.filter.text.startswith("in:plane(") and screen.state.marks.corner is None


async def test_maps_that_cannot_be_shown_are_named(mapped: OpenRun, make_app: MakeApp) -> None:
    (mapped.path / "maps" / "plane.h5").unlink()
    async with make_app(mapped).run_test(size=(120, 40)) as pilot:
        screen = await press(pilot, "7", "o")
        assert "stale is of another index" in bottom(pilot)
        (mapped.path / "maps" / "stale.h5").write_bytes(b"nothing")
        screen.maps._files.look()
        await until(pilot, lambda: "not a monosem file" in str(screen.maps.found.get("stale")))
        await press(pilot, "o")
        assert "not a monosem file" in " ".join(screen_text(pilot).split())
        (mapped.path / "maps" / "stale.h5").unlink()
        screen.maps._files.look()
        await until(pilot, lambda: not screen.maps.found)
        await press(pilot, "o")
        assert "no map of decoder directions yet: ctrl+g" in bottom(pilot)


async def test_a_map_is_made_from_the_screen(mapped: OpenRun, make_app: MakeApp) -> None:
    before = mapped.store.path.joinpath("features.h5").read_bytes() if mapped.store.path.is_dir() else b""
    async with make_app(mapped, comparisons=0.2).run_test(size=(120, 40)) as pilot:
        screen = await press(pilot, "7")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: screen.state.shown.name == "graph")
        assert "map graph" in screen_text(pilot)
    made = load_map(map_path(mapped.path, "graph"))
    assert made.summary.trusted_on == len(made.feature_N) == 46
    async with make_app(mapped, comparisons=0.2).run_test(size=(120, 40)) as pilot:
        screen = await press(pilot, "7")
        await until(pilot, lambda: "graph" in screen.maps.found)
        await pilot.press("ctrl+g")  # the other kind of map, once there is one
        await until(pilot, lambda: screen.maps._child is None)
        told = bottom(pilot)
    kept = map_path(mapped.path, "graph-contexts")
    assert load_map(kept).summary.by == "contexts" if kept.is_file() else "too few for a map" in told
    assert not before or mapped.path.joinpath("features.h5").read_bytes() == before


async def test_work_that_is_stopped_leaves_nothing(mapped: OpenRun, make_app: MakeApp) -> None:
    async with make_app(mapped).run_test(size=(80, 24)) as pilot:
        screen = await press(pilot, "7")
        await pilot.press("ctrl+g")
        child: Any = screen.maps._child
        await pilot.press("ctrl+g")
        await until(pilot, lambda: child._process.poll() is not None)
        assert "stopped" in bottom(pilot)
        assert not map_path(mapped.path, "graph").exists()


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo-terminals")
def test_steps_take_few_bytes(mapped: OpenRun) -> None:
    with PtyApp(mapped.path, 200, 50, debounce=PATIENCE, TERM="xterm-256color") as app:
        app.read_until(b"features")
        app.press(b"7")
        app.press(b"o")
        for key, most in ((b"l", 1500), (b"j", 1500), (b"+", 6000), (b"L" * 12, 6000), (b"-", 6000), (b"m", 6000)):
            assert 0 < len(app.press(key)) <= most, key
