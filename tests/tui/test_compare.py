"""Compare: pairs of features of several runs, one pair on the same passages, trees, and runs that are not there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from monosem_tui.app import MonosemApp
from monosem_tui.draw.palette import Palette
from monosem_tui.export.study_report import write_study
from monosem_tui.keys.actions import Where
from monosem_tui.keys.table import at
from monosem_tui.model.open_run import open_run
from monosem_tui.model.pair_card import ONLY_FIRST, ONLY_SECOND, SECTIONS
from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.screens.compare.screen import CompareScreen
from store.comparison.file import load_comparison, save_comparison
from store.run.folder import RunFolder
from store.study.figures import StudyFigures
from tests.store.cut_texts import index_texts
from tests.tui.compared_runs import LABEL, ONLY_ONE, RUNS, SHARED_BY_ALL, build_compared, documents
from tests.tui.conftest import MakeApp
from tests.tui.pty_bytes import PtyApp
from tests.tui.screens import assert_golden, press, screen_text, style_digest, until

TEXTUAL_KEYS = {"/": "slash", "{": "left_curly_bracket", "}": "right_curly_bracket"}
SIZES = ((80, 24), (120, 40), (200, 50))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compared runs; nobody writes to them."""
    return build_compared(tmp_path_factory.mktemp("compared"))


@pytest.fixture
def runs(original: Path, tmp_path: Path) -> Path:
    """The folder of a copy of them, in which the app looks for other runs."""
    return Path(shutil.copytree(original.parent, tmp_path / "runs"))


def app_on(make_app: MakeApp, path: Path, palette: Palette | None = None) -> MonosemApp:
    return make_app(open_run(path), palette, comparisons=0.2)


def compare_screen(pilot: Pilot[None]) -> CompareScreen:
    assert isinstance(pilot.app.screen, CompareScreen), pilot.app.screen
    return pilot.app.screen


async def shown(pilot: Pilot[None]) -> CompareScreen:
    """Wait until everything that is on the screen has been read."""

    def settled() -> bool:
        state = compare_screen(pilot).state
        if state.reading:
            return state.page.card is not None or state.page.rows > 1
        read = state.listing.trouble or all(spot in state.snippets for spot in state.spots_in_sight())
        return compare_screen(pilot).choice.looked and bool(read)

    await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen) and settled())
    return compare_screen(pilot)


async def go(pilot: Pilot[None], *keys: str) -> CompareScreen:
    for key in keys:
        await pilot.press(key)
        await shown(pilot)
    return compare_screen(pilot)


def listed(screen: CompareScreen) -> list[int]:
    """Features of the listed side, in order."""
    catalogue = screen.state.catalogue
    return [int(catalogue.table.first_N[row]) for row in catalogue.rows]


async def filtered(pilot: Pilot[None], text: str) -> list[int]:
    screen = compare_screen(pilot)
    screen.order.filter(text)
    await shown(pilot)
    return listed(screen)


async def test_all_runs_together_show_what_all_have_and_what_only_one_has(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6")
        assert set(listed(screen)[:3]) == SHARED_BY_ALL
        text = screen_text(pilot)
        assert "one with all 2 other runs · 7 of 7 judged features · r ↓" in text
        assert LABEL in text
        assert "three" in text
        assert ONLY_ONE in await filtered(pilot, "only:A")
        assert not SHARED_BY_ALL & set(listed(screen))
        await go(pilot, "escape")
        assert len(listed(screen)) == 7
        assert "only:B needs one other run" in str((await filtered(pilot, "only:B"), screen.state.catalogue.problem))


async def test_one_run_is_chosen_filtered_sorted_and_seen_from_the_other_side(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "6", "o", "o")
        assert "one with two" in screen_text(pilot)
        table = screen.state.catalogue.table
        partners = dict(zip(table.first_N.tolist(), table.second_N.tolist(), strict=True))
        names = {(feature, partners[feature]) for feature in (0, 1, 2, 4)}
        assert names == {(0, 1), (1, 0), (2, 2), (4, 4)}
        assert 4 not in await filtered(pilot, "only:A")
        assert {0, 1, 2, 4} <= set(await filtered(pilot, "mutual"))
        assert {0, 1, 2, 4} == set(await filtered(pilot, "r>0.5"))
        assert {3, 5, 6} == set(await filtered(pilot, "!r>0.5"))
        assert await filtered(pilot, '"the sea"') == [0]
        assert await filtered(pilot, "label:and r>0.5") == [2], "a label of the other run"
        assert set(await filtered(pilot, "only:B")) >= {3}
        assert "two with one" in screen_text(pilot)
        await go(pilot, "escape")
        assert "one with two" in screen_text(pilot)
        await go(pilot, "x")
        assert "two with one" in screen_text(pilot)
        await go(pilot, "s", "s", "s")
        assert screen.order.ordering.sort == "id"
        assert listed(screen) == sorted(listed(screen))
        await go(pilot, "S")
        assert listed(screen) == sorted(listed(screen), reverse=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("only:C", "only:A keeps"),
        ("r>x", "a number is expected"),
        ("within>0.5", "of trees only"),
        ("nope>1", "no column"),
    ],
)
async def test_a_filter_that_cannot_be_read_says_why(make_app: MakeApp, runs: Path, text: str, why: str) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(120, 24)) as pilot:
        screen = await go(pilot, "6", "o")
        assert len(await filtered(pilot, text)) == 7
        assert screen.state.catalogue.problem is not None
        assert why in screen.state.catalogue.problem.what
        assert f"/{text}" not in screen.state.catalogue.title()  # the list is not filtered
        await pilot.press("slash", "enter")
        assert (screen.line.typing, screen.input.text) == (True, text)
        assert why in screen_text(pilot)


async def test_a_pair_stands_on_the_same_passages(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6", "o", "o")
        assert listed(screen)[0] in (0, 1, 2, 4)
        screen = await go(pilot, "enter")
        card = screen.state.page.card
        assert card is not None
        assert card.counts["both"] > 100
        assert [feature.run for feature in card.features] == ["one", "two"]
        word = RUNS["one"][card.features[0].feature].decode()
        for name in SECTIONS:
            for passage in card.sections[name]:
                first, second = passage.examples
                assert first.tokens == second.tokens
                assert (first.act > 0, second.act > 0) == (name != ONLY_SECOND, name != ONLY_FIRST)
        assert word in "".join(card.sections["both"][0].examples[0].tokens)
        text = screen_text(pilot)
        assert "BOTH FIRE" in text
        before = card.features[0].feature
        screen = await go(pilot, "J")
        assert screen.state.page.card is not None
        assert screen.state.page.card.features[0].feature != before
        await press_in_browse(pilot, "enter")
        assert isinstance(pilot.app.screen, BrowseScreen)
        assert pilot.app.screen.pane.state.feature == screen.state.page.card.features[0].feature
        await pilot.press("escape")
        await shown(pilot)
        assert compare_screen(pilot).state.reading
        await go(pilot, "escape")
        assert not compare_screen(pilot).state.reading


async def press_in_browse(pilot: Pilot[None], key: str) -> None:
    await pilot.press(key)
    await until(pilot, lambda: isinstance(pilot.app.screen, BrowseScreen))
    await press(pilot)


async def test_partners_of_a_feature_from_browse_and_back(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(120, 40)) as pilot:
        await press(pilot, "colon", "2", "enter")
        await pilot.press("V")
        screen = await shown(pilot)
        assert "partners of 2 in other runs · 2 of 2 runs" in screen_text(pilot)
        table = screen.state.catalogue.table
        assert table.second_N.tolist() == [0, 2]  # three, two
        screen = await go(pilot, "enter")
        card = screen.state.page.card
        assert card is not None
        assert card.features[0].feature == 2
        await go(pilot, "escape")
        assert "partners of 2" in screen_text(pilot)
        await press_in_browse(pilot, "escape")
        await pilot.press("6")
        screen = await shown(pilot)
        assert "one with all 2 other runs" in screen_text(pilot)
        await go(pilot, "enter")
        assert "partners of" in screen_text(pilot)
        await go(pilot, "escape")
        assert "one with all 2 other runs" in screen_text(pilot)


async def test_a_comparison_kept_beside_the_other_run_is_found(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "three").run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6")
        assert [held.name for held in screen.state.found.held] == ["one", "two"]
        assert [held.mine for held in screen.state.found.held] == [1, 1]
        await go(pilot, "o")
        assert "three with one" in screen_text(pilot)
        screen = await go(pilot, "enter")
        assert screen.state.page.card is not None
        assert [feature.run for feature in screen.state.page.card.features] == ["three", "one"]


async def test_a_tree_shows_what_the_smaller_dictionary_becomes(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6", "o", "o", "t")
        assert "tree of one and two" in screen_text(pilot)
        table, rows = screen.state.catalogue.table, screen.state.catalogue.rows
        assert table.root_N is not None
        assert table.root_N[rows[0]]
        below = {(int(table.first_N[row]), int(table.second_N[row])) for row in rows if not table.root_N[row]}
        assert {(0, 1), (1, 0), (2, 2), (4, 4)} <= below
        await go(pilot, "j", "enter")
        assert compare_screen(pilot).state.page.card is not None
        await go(pilot, "escape", "escape")
        assert "tree" not in screen_text(pilot).splitlines()[1]
        await go(pilot, "O")
        screen = await go(pilot, "t")
        assert "tree of three and one" in screen_text(pilot)
        assert not screen.state.catalogue.table.first_is_mine


async def test_without_a_comparison_it_says_how_to_make_one(make_app: MakeApp, runs: Path) -> None:
    for folder in runs.glob("*/comparisons"):
        shutil.rmtree(folder)
    async with app_on(make_app, runs / "one").run_test(size=(80, 24)) as pilot:
        await go(pilot, "6")
        text = screen_text(pilot)
        assert "monosem compare one OTHER" in text
        await pilot.press("o")
        assert "no comparison with a second run" in screen_text(pilot)


def vanished(other: Path) -> None:
    shutil.rmtree(other)


def anew(other: Path) -> None:
    shutil.rmtree(other)
    index_texts(other, documents(), 7, n_features=9)


def being_indexed(other: Path) -> None:
    RunFolder(other).features.unlink()


def overwritten(other: Path) -> None:
    features = RunFolder(other).features
    with features.open("r+b") as stream:
        stream.seek(512)
        stream.write(bytes(range(256)) * (features.stat().st_size // 256 - 2))


TROUBLES: list[tuple[Callable[[Path], None], str]] = [
    (vanished, "three is not in .* any more"),
    (anew, "indexed anew since"),
    (being_indexed, "is being indexed, or has no index"),
    (overwritten, "damaged|changed|three"),
]


@pytest.mark.parametrize(("harm", "why"), TROUBLES, ids=[harm.__name__ for harm, _ in TROUBLES])
async def test_another_run_that_is_not_what_it_was(
    make_app: MakeApp, runs: Path, harm: Callable[[Path], None], why: str
) -> None:
    harm(runs / "three")
    async with app_on(make_app, runs / "one").run_test(size=(160, 24)) as pilot:
        await go(pilot, "6", "o")
        lines = screen_text(pilot).splitlines()
        assert re.search(why, lines[2]), lines[2]
        assert ".9" in "".join(lines[4:9]), "figures are there all the same"
        await go(pilot, "enter")
        assert re.search(why, screen_text(pilot))
        await go(pilot, "escape")
        assert pilot.app.is_running


async def test_the_open_run_indexed_anew_is_not_what_was_compared(make_app: MakeApp, runs: Path) -> None:
    kept = runs / "one" / "comparisons"
    aside = kept.rename(runs / "aside")
    shutil.rmtree(runs / "one")
    index_texts(runs / "one", documents(), 8, n_features=7)
    aside.rename(kept)
    async with app_on(make_app, runs / "one").run_test(size=(120, 24)) as pilot:
        await go(pilot, "6")
        assert "of an earlier index of one: compare again" in screen_text(pilot)


async def test_a_damaged_comparison_and_links_are_passed_over(make_app: MakeApp, runs: Path, tmp_path: Path) -> None:
    (runs / "one" / "comparisons" / "three.h5").write_bytes(b"nothing")
    outside = tmp_path / "outside.h5"
    shutil.copy(runs / "one" / "comparisons" / "two.h5", outside)
    (runs / "one" / "comparisons" / "link.h5").symlink_to(outside)
    async with app_on(make_app, runs / "one").run_test(size=(120, 24)) as pilot:
        screen = await go(pilot, "6")
        assert [held.name for held in screen.state.found.held] == ["two"]
        assert any("link out of" in said for said in screen.state.found.troubles)
        assert screen.state.listing.trouble


async def test_a_comparison_on_another_text_reads_the_indexes_of_that_text(make_app: MakeApp, runs: Path) -> None:
    for name in ("one", "three"):
        (runs / name / "texts" / "story").mkdir(parents=True)
        shutil.copy(runs / name / "features.h5", runs / name / "texts" / "story" / "features.h5")
    kept = runs / "one" / "comparisons" / "three.h5"
    resaved(kept, text="story")
    index_texts(runs / "three", documents(), 9, n_features=5)  # its own index is another now
    async with app_on(make_app, runs / "one").run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6", "o")
        assert "one with three on story" in screen_text(pilot)
        screen = await go(pilot, "enter")
        assert screen.state.page.card is not None
    resaved(kept, text="../story")
    async with app_on(make_app, runs / "one").run_test(size=(80, 24)) as pilot:
        await go(pilot, "6", "o")
        assert "three on ../story was indexed anew" in screen_text(pilot) or "is being indexed" in screen_text(pilot)


def resaved(path: Path, text: str) -> None:
    """Write a comparison again as one on another text."""
    comparison = load_comparison(path)
    save_comparison(path, replace(comparison, summary=replace(comparison.summary, text=text)))


async def test_names_of_others_never_become_paths_or_markup(make_app: MakeApp, runs: Path) -> None:
    kept = runs / "one" / "comparisons" / "three.h5"
    comparison = load_comparison(kept)
    told = replace(comparison.summary.sides[1], name="../../etc\x1b[31m", digest="0" * 64)
    sides = (comparison.summary.sides[0], told)
    save_comparison(kept, replace(comparison, summary=replace(comparison.summary, sides=sides)))
    async with app_on(make_app, runs / "one").run_test(size=(120, 24)) as pilot:
        await go(pilot, "6", "o")
        assert "\x1b" not in screen_text(pilot)
        assert "../../etc⟨0x1B⟩[31m is not in" in screen_text(pilot)
        await go(pilot, "o")
        assert "\x1b" not in screen_text(pilot)


async def test_neurons_have_figures_and_no_text(make_app: MakeApp, runs: Path) -> None:
    kept = runs / "one" / "comparisons" / "three.h5"
    comparison = load_comparison(kept)
    told = replace(comparison.summary.sides[1], name="one:neurons", digest="0" * 64)
    sides = (comparison.summary.sides[0], told)
    save_comparison(kept, replace(comparison, summary=replace(comparison.summary, sides=sides)))
    async with app_on(make_app, runs / "one").run_test(size=(120, 24)) as pilot:
        await go(pilot, "6", "o")
        lines = screen_text(pilot).splitlines()
        assert "one with one:neurons" in lines[1]
        assert "one:neurons have no text of their own" in lines[2]
        await go(pilot, "enter")
        assert "have no text" in screen_text(pilot)


async def test_all_keys_of_the_screen_are_pressed_somewhere(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(120, 30)) as pilot:
        screen = await go(pilot, "6", "o")
        for before, where in ((), Where.COMPARE), (("enter",), Where.PAIR):
            await go(pilot, *before)
            for action in at(where):
                if not action.name.startswith(("browse", "scroll", "turn", "end")):  # the first leads to Browse
                    await pilot.press(TEXTUAL_KEYS.get(action.keys[0], action.keys[0]))
                    await pilot.press("escape") if screen.line.typing else None
                    await shown(pilot)
        assert pilot.app.screen is screen
        assert screen.state.reading


async def test_new_comparisons_come_up_by_themselves(make_app: MakeApp, runs: Path) -> None:
    kept = runs / "one" / "comparisons" / "two.h5"
    aside = kept.rename(runs / "two.h5.aside")
    async with app_on(make_app, runs / "one").run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "6")
        assert "one with three" in screen_text(pilot)
        aside.rename(kept)
        await until(pilot, lambda: len(screen.state.found.held) == 2)
        await shown(pilot)
        assert "one with three" in screen_text(pilot), "the choice stays"
        await go(pilot, "o")
        assert "one with two" in screen_text(pilot)


SCENES: dict[str, tuple[str, ...]] = {
    "compare-all": ("6",),
    "compare-pairs": ("6", "o", "j"),
    "compare-page": ("6", "o", "enter", "n"),
    "compare-tree": ("6", "o", "t", "j"),
    "compare-partners": ("6", "enter"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("scene", SCENES)
async def test_screen(scene: str, size: tuple[int, int], make_app: MakeApp, original: Path) -> None:
    async with app_on(make_app, original).run_test(size=size) as pilot:
        await go(pilot, *SCENES[scene])
        assert_golden(f"{scene}-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


@pytest.mark.parametrize("colors", [0, 16], ids=["no-color", "16-colours"])
async def test_without_the_ramp(
    colors: int, make_app: MakeApp, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not colors:
        monkeypatch.setenv("NO_COLOR", "1")
    palette = Palette(colors=colors)
    async with app_on(make_app, original, palette).run_test(size=(80, 24)) as pilot:
        await go(pilot, "6", "o")
        text = screen_text(pilot) + "\n" + style_digest(pilot, palette)
        await go(pilot, "enter")
        text += screen_text(pilot) + "\n" + style_digest(pilot, palette)
        if not colors:
            for strip in pilot.app.screen._compositor.render_strips():
                for segment in strip:
                    for color in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                        assert color is None or color.is_default
        assert_golden(f"compare-{colors}-colours-80x24", text)


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo-terminals")
def test_bytes_on_the_wire(original: Path) -> None:
    with PtyApp(original / "features.h5", 200, 50, TERM="xterm-256color") as app:
        app.read_until(b"features")
        app.rest()
        os.write(app.master, b"6")
        assert len(app.read_until(b"other runs") + app.rest()) <= 40_000
        for _ in range(3):
            assert 0 < len(app.press(b"j")) <= 1_500
        assert len(app.press(b"o\r")) <= 40_000
        assert 0 < len(app.press(b"n")) <= 1_500


async def test_escape_while_filtering_goes_back_to_the_pair(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(80, 12)) as pilot:
        await pilot.press("6")
        screen = await shown(pilot)
        for _ in range(4):
            await pilot.press("j")
        before = screen.order._list.cursor, screen.order._list.first, listed(screen)
        assert before[0] == 4
        for text in ("zzzz", "only"):
            await pilot.press("slash", *text, "escape")
            assert (screen.order._list.cursor, screen.order._list.first, listed(screen)) == before


async def test_the_study_of_a_run_is_shown_in_place_of_the_list(make_app: MakeApp, runs: Path) -> None:
    async with app_on(make_app, runs / "one").run_test(size=(80, 24)) as pilot:
        await go(pilot, "6")
        await pilot.press("T")
        await until(pilot, lambda: "belongs to no study" in screen_text(pilot))
        write_study(StudyFigures("seas\x1b[31m", (), ()), runs.parent)
        (runs.parent / "report.json").write_text((runs.parent / "report.json").read_text().replace("seas", "lakes"))
        await pilot.press("T")
        await until(pilot, lambda: "study: lakes" in screen_text(pilot))
        assert "\x1b" not in screen_text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: "study: lakes" not in screen_text(pilot))
        (runs.parent / "report.json").write_text("{}")
        await pilot.press("T")
        await until(pilot, lambda: "title is missing" in screen_text(pilot))
