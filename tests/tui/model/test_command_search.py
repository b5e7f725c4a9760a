"""Finding commands by a few letters."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monosem_tui.keys.actions import Action, Where
from monosem_tui.keys.table import ACTIONS, within_reach
from monosem_tui.model.command_search import LITTLE, Offer, found
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.lookup import ThingLookup
from monosem_tui.widgets.lookup_panel import PREVIEW
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, until

LIST = within_reach(Where.LIST, Where.BROWSE)


def ids(text: str, *off: str) -> list[str]:
    """Commands that a text finds where some actions do nothing."""
    return [one.action.id for one in found([Offer(a, "no" if a.id in off else "") for a in LIST], text)]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("the", "theme"),
        ("the first", "list.first"),
        ("dark", "theme"),
        ("color", "theme"),
        ("so", "browse.sort"),
        ("sort next", "browse.sort"),
        ("q", "quit"),
        ("back", "back"),
        ("live", "view.live"),
        ("HEALTH", "view.health"),
        ("runs", "view.runs"),
        ("next", "list.next"),
        ("note", "note.label"),
        ("keys", "help"),
        ("help", "help"),
        ("undo", "note.undo"),
        ("filt", "browse.filter"),
        ("bkmrk", "note.bookmark"),
        ("hlth", "view.health"),
        ("svg", "picture"),
    ],
)
def test_what_a_person_means_is_first(text: str, first: str) -> None:
    assert ids(text)[0] == first


def test_what_does_nothing_now_is_behind_what_does() -> None:
    everything = ids("", "list.next", "theme")
    assert everything[-2:] == ["list.next", "theme"]
    assert everything[:-2] == [action.id for action in LIST if action.id not in ("list.next", "theme")]
    assert ids("nex", "list.next")[-1] == "list.next"


def test_scattered_letters_are_behind_words_even_of_what_does_nothing() -> None:
    assert ids("thm", "browse.log") == ["browse.log", "theme"]  # logarithmic
    assert "list.half-up" not in ids("q")


@given(st.sampled_from(ACTIONS), st.randoms())
def test_an_action_is_found_by_any_words_of_its_title(action: Action, random: object) -> None:
    words = [word.strip(";:,()") for word in action.title.split()]
    random.shuffle(words)  # type: ignore[attr-defined]
    assert Offer(action, "") in found([Offer(one, "") for one in ACTIONS], " ".join(words))


def test_little_words_alone_find_something() -> None:
    for word in LITTLE:
        assert found([Offer(action, "") for action in ACTIONS], word), word


async def test_what_a_screen_does_is_before_what_moves_a_cursor(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "ctrl+p")
        offered = next(part for part in browse_screen(pilot).parts if isinstance(part, ThingLookup))._offers
        places = [offer.action.where for offer in offered]
        assert places.index(Where.LIST) > max(places.index(Where.BROWSE), places.index(Where.EVERYWHERE))
        assert places[-1] is Where.LIST
        assert {offer.action.id for offer in offered} == {action.id for action in LIST} - {"commands"}


@pytest.mark.parametrize("view", ["1", "1⏎", "2", "3", "3i", "4", "5"])
async def test_every_action_that_is_offered_can_be_run(view: str, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press(*("enter" if key == "⏎" else key for key in view))
        await pilot.pause()
        screen = cast(MonosemScreen, pilot.app.screen)
        for action in screen.reach:
            method = f"action_{action.name.partition('(')[0]}"
            owners = [owner for owner in (*screen.parts, screen) if hasattr(owner, method)]
            assert len(owners) == 1 or any(hasattr(other, method) for other in (screen.focused, pilot.app)), action.id


async def test_what_only_the_screen_can_do_is_done(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = browse_screen(pilot)
        await press(pilot, "ctrl+p", *"revers", "enter")
        assert not screen.order.catalogue.ordering.descending
        await press(pilot, "ctrl+p", *"filter", "enter")
        assert screen.line.typing
        await press(pilot, "escape", "enter", "ctrl+p", *"whole", "enter")
        assert screen.pane.state.panes.zoomed == "page"


async def test_the_palette_runs_what_is_first(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = browse_screen(pilot)
        before = screen.session.palette
        await press(pilot, "ctrl+p", *"them")
        await until(pilot, lambda: "theme" in screen_text(pilot).splitlines()[-2 - 11 - PREVIEW])
        await press(pilot, "enter")
        assert screen.session.palette == before.following()
