"""Commands after `:`: read, completed, and their effect on every screen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monosem_tui.model import command_line as commands
from monosem_tui.model.command_line import (
    ENTRIES,
    FilterBy,
    FindPattern,
    GoTo,
    GoToSaid,
    Quit,
    ShowDead,
    ShowKeys,
    ShowScreen,
    SortBy,
    Themed,
    TypedCommand,
    completed,
    read_command,
    suggestion,
)
from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.screens.health import HealthScreen
from store.files.errors import MonosemError
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, settle


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("412", TypedCommand(GoTo(412), "browse")),
        (" 7 ", TypedCommand(GoTo(7), "browse")),
        ("sort max", TypedCommand(SortBy("max", True), "browse")),
        ("sort -max", TypedCommand(SortBy("max", False), "browse")),
        ("s id", TypedCommand(SortBy("id", False), "browse")),
        ("sort -id", TypedCommand(SortBy("id", True), "browse")),
        ("filter density>1e-4  !dead", TypedCommand(FilterBy("density>1e-4  !dead"), "browse")),
        ("filter", TypedCommand(FilterBy(""), "browse")),
        ("dead", TypedCommand(ShowDead(), "browse")),
        (r"find (sea|boat)\b", TypedCommand(FindPattern(r"(sea|boat)\b"), "find")),
        ("fin", TypedCommand(FindPattern(""), "find")),
        ("theme light", TypedCommand(Themed("light"))),
        ("theme", TypedCommand(Themed(""))),
        ("health", TypedCommand(ShowScreen(), "health")),
        ("r", TypedCommand(ShowScreen(), "runs")),
        ("sort   density ", TypedCommand(SortBy("density", True), "browse")),
        ("q", TypedCommand(Quit())),
        ("q!", TypedCommand(Quit())),
        ("wq", TypedCommand(Quit())),
        ("help", TypedCommand(ShowKeys())),
        ("water", TypedCommand(GoToSaid("water"), "browse")),
        ('"the sea"', TypedCommand(GoToSaid("the sea"), "browse")),
    ],
)
def test_read(text: str, given: TypedCommand) -> None:
    assert read_command(text) == given


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "-1",
            "or one of sort, filter, dead, find, theme, browse, live, health, runs, compare, map, help, quit",
        ),
        ("1.5", "a feature's number"),
        ("9" * 13, "a feature's number"),
        ("f sea", ":f may be filter, find"),
        ("sort colour", "id, density, max, mean, norm"),
        ("theme pink", "dark, light, plain"),
        ("dead 3", ":dead takes no argument"),
        ("\x1b[2", "a feature's number"),
    ],
)
def test_what_cannot_be_read_says_what_there_is(text: str, said: str) -> None:
    with pytest.raises(MonosemError) as caught:
        read_command(text)
    assert said in caught.value.what
    assert "\x1b" not in caught.value.what


@pytest.mark.parametrize(
    ("text", "whole", "hint"),
    [
        ("so", "sort ", "sort COLUMN"),
        ("f", "fi", "filter find"),
        ("sort ", "sort ", "id|density|max|mean|norm|token|ngram|position|context"),
        ("sort d", "sort density", "density"),
        ("sort -me", "sort -mean", "mean"),
        ("sort m", "sort m", "max|mean"),
        (" sort   -me", "sort -mean", "mean"),
        ("the l", "theme light", "light"),
        ("find se", "find se", "REGEX"),
        ("zz", "zz", "in labels and explanations"),
        ("", "", "NUMBER WORDS sort filter dead find theme browse live health runs compare map help quit"),
        ("41", "41", ""),
    ],
)
def test_completion(text: str, whole: str, hint: str) -> None:
    assert completed(text) == whole
    assert suggestion(text) == hint


@given(st.text(max_size=30))
def test_anything_may_be_typed(text: str) -> None:
    try:
        assert read_command(text).view in ("", "browse", "find", "live", "health", "runs", "compare", "map")
    except MonosemError as error:
        assert error.what
    assert suggestion(completed(text)) is not None


@given(st.sampled_from(ENTRIES), st.integers(1, 6))
def test_completing_twice_changes_nothing(entry: commands.Entry, letters: int) -> None:
    once = completed(entry.name[:letters])
    assert completed(once) == once


# In the app


@pytest.mark.parametrize("cells", [40, 60, 80])
async def test_what_may_be_typed_is_there_from_the_first(cells: int, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(cells, 20)) as pilot:
        await press(pilot, "colon")
        bottom = screen_text(pilot).splitlines()[-1]
        assert bottom.startswith(" : ")
        assert "NUMBER WORDS sort" in bottom
        await press(pilot, "s")
        browse_screen(pilot).retell()  # as when something has been read meanwhile
        assert screen_text(pilot).splitlines()[-1].startswith(" : s ")
        assert screen_text(pilot).splitlines()[-1].endswith("sort COLUMN")


def typed(text: str) -> list[str]:
    names = {" ": "space", ":": "colon", "-": "minus", "⏎": "enter", "⇥": "tab"}
    return [names.get(character, character) for character in text]


async def test_commands_do_what_their_keys_do(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = browse_screen(pilot)
        await press(pilot, *typed(":sort -me⇥⏎"))
        assert (screen.order.catalogue.ordering.sort, screen.order.catalogue.ordering.descending) == ("mean", False)
        await press(pilot, *typed(":filter said⏎"))
        assert screen.order.catalogue.ordering.text == "said"
        await press(pilot, *typed(":filter max>⏎"))
        assert "a number is expected after >" in " ".join(screen_text(pilot).split())
        assert (screen.input.text, screen.input._before) == ("filter max>", "filter max>")
        await press(pilot, "escape", *typed(":filter like:99⏎"))
        assert "there is no feature 99" in screen_text(pilot)
        assert screen.input.text == "filter like:99"
        await press(pilot, "escape", *typed(":filter⏎"), *typed(":dead⏎"))
        assert len(screen.pane.state.listing.order) == 48
        await press(pilot, *typed(":theme plain⏎"))
        assert pilot.app.screen.session.palette.plain  # type: ignore[attr-defined]
        await press(pilot, *typed(":17⏎"))
        assert screen.pane.state.listing.feature == 17
        await press(pilot, *typed(":nonsense⏎"))
        assert "no feature is called “nonsense”, and no command: sort, filter" in screen_text(pilot)
        assert screen.input.text == "nonsense"
        await press(pilot, "escape", "2", *typed(":99⏎"))  # from another screen
        assert "there is no feature 99: they are 0 to 47" in screen_text(pilot)
        assert (pilot.app.screen is screen, screen.input.text) == (True, "99")
        await press(pilot, "escape")
        await press(pilot, *typed(":w⏎"))
        assert "there is nothing to save" in screen_text(pilot)
        await press(pilot, *typed(":help⏎"))
        assert "? keys · esc closes" in screen_text(pilot)
        await press(pilot, *typed(":help⏎"))
        await press(pilot, *typed(":BOATS⏎"))
        assert screen.pane.state.listing.feature == 0
        await press(pilot, *typed(":so"))
        assert screen_text(pilot).splitlines()[-1].rstrip().endswith("sort COLUMN")


async def test_a_number_keeps_the_page_in_front(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter", *typed(":3⏎"))
        screen = browse_screen(pilot)
        assert screen.pane.state.panes.front == "page"
        assert screen.pane.state.page.card is not None
        assert screen.pane.state.page.card.feature == 3


async def test_from_any_screen(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*typed(":hea⏎"))
        assert isinstance(app.screen, HealthScreen)
        await pilot.press(*typed(":5⏎"), "j")  # the keys behind it go where it leads
        assert isinstance(app.screen, BrowseScreen)
        await settle(pilot)
        screen = browse_screen(pilot)
        assert int(screen.pane.state.listing.order[screen.pane.state.listing.cursor - 1]) == 5
        await pilot.press(*typed(":quit⏎"))
        await pilot.pause()
    assert not app.is_running
