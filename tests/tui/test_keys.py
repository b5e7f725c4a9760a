"""Every key of the registry, pressed: what changes, and that nothing else does."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from textual import events
from textual.pilot import Pilot
from textual.widget import Widget

from monosem_tui.draw.heat import Rendering
from monosem_tui.keys.actions import VIEWS, Where
from monosem_tui.keys.purposes import Purpose
from monosem_tui.keys.table import ACTIONS
from monosem_tui.model.example_choice import ExampleChoice
from monosem_tui.model.open_run import OpenRun
from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.screens.catalogue import Ordering
from monosem_tui.screens.output_files import copy_path
from tests.sample_run import Sample, word_ids
from tests.tui.conftest import MakeApp
from tests.tui.screens import browse_screen, press, screen_text, settle


class State(NamedTuple):
    """State that keys change."""

    cursor: int
    first: int
    feature: int | None
    lines: int
    front: str
    zoomed: str | None
    ordering: Ordering
    rendering: Rendering
    log: bool
    typing: str
    help: bool
    theme: str
    chosen: str
    """Section, and number in it."""
    choice: ExampleChoice
    document: bool


def state(pilot: Pilot[None]) -> State:
    screen = browse_screen(pilot)
    return State(
        screen.pane.state.listing.cursor,
        screen.pane.state.listing.first,
        screen.pane.state.listing.feature,
        screen.pane.state.page.first,
        screen.pane.state.panes.front,
        screen.pane.state.panes.zoomed,
        screen.order.catalogue.ordering,
        screen.pane.state.page.rendering,
        screen.pane.state.page.log_counts,
        screen.input.kind + screen.input.text if screen.line.typing else "",
        bool(screen.keys.display),
        screen.pane.state.listing.palette.name,
        chosen(screen),
        screen.pane.state.choice,
        screen.pane.state.in_document,
    )


async def documented(pilot: Pilot[None]) -> None:
    """Wait for a document that is being read."""
    await pilot.app.workers.wait_for_complete()
    await settle(pilot)


def chosen(screen: BrowseScreen) -> str:
    stop, card = screen.pane.state.page.stop, screen.pane.state.page.card
    if stop is None or card is None:
        return ""
    if not stop.key.leads:
        return stop.key.section
    places = {s.title: [e.place for e in s.examples] for s in card.sections} | {
        "SIMILAR": [n.feature for n in card.near]
    }
    return f"{stop.key.section} {places[stop.key.section].index(stop.key.target)}"


LIST, PAGE, FILTER, NUMBER = Where.LIST, Where.PAGE, Where.INPUT, Where.NUMBER
DOCUMENT = Where.DOCUMENT
BROWSE, COMMAND, FORM, ANY = Where.BROWSE, Where.COMMAND, Where.FORM, Where.EVERYWHERE
BY_MAX = Ordering()
SEA = Ordering(text="sea")
# At 80×24 there is room for 20 rows of the list and 21 lines of a page; the list holds 46 features, page 0 53 lines.
EXPECTED: dict[tuple[Where, str], tuple[str, dict[str, Any]]] = {
    (LIST, "move(1)"): ("/sea⏎", {"cursor": 1}),  # n as well, which goes through what a filter has found
    (LIST, "move(-1)"): ("/sea⏎j", {"cursor": 0}),
    (LIST, "turn(0.5)"): ("", {"cursor": 10, "first": 10}),
    (LIST, "turn(-0.5)"): ("G", {"cursor": 35, "first": 16}),
    (LIST, "turn(1)"): ("", {"cursor": 19, "first": 19}),
    (LIST, "turn(-1)"): ("G", {"cursor": 26, "first": 7}),
    (LIST, "roll(1)"): ("j", {"first": 1}),
    (LIST, "roll(-1)"): ("G", {"first": 25, "cursor": 44}),
    (LIST, "end(-1)"): ("G", {"cursor": 0, "first": 0}),
    (LIST, "end(1)"): ("", {"cursor": 45, "first": 26}),
    (LIST, "open"): ("", {"front": "page"}),
    (PAGE, "scroll(1)"): ("⏎", {"lines": 1}),
    (PAGE, "scroll(-1)"): ("⏎jj", {"lines": 1}),
    (PAGE, "turn(0.5)"): ("⏎", {"lines": 10}),
    (PAGE, "turn(-0.5)"): ("⏎G", {"lines": 22}),
    (PAGE, "turn(1)"): ("⏎", {"lines": 20}),
    (PAGE, "turn(-1)"): ("⏎G", {"lines": 12}),
    (PAGE, "end(-1)"): ("⏎G", {"lines": 0}),
    (PAGE, "end(1)"): ("⏎", {"lines": 32}),
    (PAGE, "choose(1)"): ("⏎", {"chosen": "top 0"}),
    (PAGE, "choose(-1)"): ("⏎nn", {"chosen": "top 0"}),
    (PAGE, "section(1)"): ("⏎n", {"chosen": "SIMILAR 0"}),
    (PAGE, "section(-1)"): ("⏎}}", {"chosen": "top 0"}),
    (PAGE, "follow_chosen"): ("⏎n", {"document": True}),
    (PAGE, "trail(-1)"): ("⏎}}⏎", {"cursor": 0, "chosen": "SIMILAR 0"}),
    (PAGE, "trail(1)"): ("⏎}}⏎H", {"cursor": 21, "chosen": ""}),
    (PAGE, "twin"): ("⏎", {}),  # the sample has no signed latents: test_twins
    (PAGE, "widen_text(1)"): ("⏎", {"choice": ExampleChoice(extent=2)}),
    (PAGE, "widen_text(-1)"): ("⏎", {"choice": ExampleChoice(extent=0)}),
    (PAGE, "intervals"): ("⏎", {"choice": ExampleChoice(intervals=12)}),
    (PAGE, "one"): ("⏎", {"choice": ExampleChoice(one_per_document=True)}),
    (PAGE, "draw"): ("⏎", {"choice": ExampleChoice(seed=1), "lines": 32}),
    # The sample's documents are short; test_reading scrolls in a long one.
    (DOCUMENT, "scroll(1)"): ("⏎n⏎", {}),
    (DOCUMENT, "scroll(-1)"): ("⏎n⏎", {}),
    (DOCUMENT, "turn(0.5)"): ("⏎n⏎", {}),
    (DOCUMENT, "turn(-0.5)"): ("⏎n⏎", {}),
    (DOCUMENT, "turn(1)"): ("⏎n⏎", {}),
    (DOCUMENT, "turn(-1)"): ("⏎n⏎", {}),
    (DOCUMENT, "end(-1)"): ("⏎n⏎", {}),
    (DOCUMENT, "end(1)"): ("⏎n⏎", {}),
    (DOCUMENT, "choose(1)"): ("⏎n⏎", {}),  # test_reading looks where it goes
    (DOCUMENT, "choose(-1)"): ("⏎n⏎", {}),
    (FILTER, "keep"): ("/sea", {"typing": ""}),
    (FILTER, "leave"): ("/sea", {"typing": "", "ordering": BY_MAX}),
    (FILTER, "next"): ("/sea", {"cursor": 1}),
    (FILTER, "previous"): ("/seaGj", {}),
    (NUMBER, "keep"): (":3", {"typing": "", "cursor": 3}),
    (NUMBER, "leave"): (":3", {"typing": ""}),
    (NUMBER, "complete"): (":3", {}),
    (COMMAND, "keep"): ("¶", {"typing": "/"}),
    (COMMAND, "leave"): ("¶", {"typing": ""}),
    (COMMAND, "next"): ("¶", {}),
    (COMMAND, "previous"): ("¶", {}),
    (ANY, "commands"): ("", {"typing": ">"}),
    (BROWSE, "filter"): ("", {"typing": "/"}),
    (ANY, "goto"): ("", {"typing": ":"}),
    (BROWSE, "fires"): ("", {}),
    (BROWSE, "step(1)"): ("⏎", {"cursor": 1}),
    (BROWSE, "step(-1)"): ("j⏎", {"cursor": 0}),
    (BROWSE, "sort"): ("", {"ordering": replace(BY_MAX, sort="mean"), "cursor": 0}),
    (BROWSE, "reverse"): ("j", {"ordering": replace(BY_MAX, descending=False), "cursor": 44}),
    (BROWSE, "dead"): ("", {"ordering": replace(BY_MAX, dead=True)}),
    (BROWSE, "heat"): ("⏎", {"rendering": Rendering.RULER}),
    (BROWSE, "log"): ("⏎", {"log": True}),
    (BROWSE, "zoom"): ("", {}),
    (BROWSE, "widen(4)"): ("", {}),
    (BROWSE, "widen(-4)"): ("", {}),
    (BROWSE, "jump_back"): ("jG", {"cursor": 1, "first": 0}),
    (BROWSE, "switch"): ("", {"front": "page"}),
    (ANY, "theme"): ("", {"theme": "light"}),
    (ANY, "redraw"): ("", {}),
    (BROWSE, "clamp"): ("", {}),
    (BROWSE, "inspect"): ("", {}),
    (BROWSE, "own_text"): ("", {"typing": "text"}),
    (BROWSE, "copy"): ("", {}),
    (BROWSE, "export"): ("", {}),
    (FORM, "answer"): ("e", {}),
    (FORM, "leave"): ("e", {}),
    (ANY, "picture"): ("", {}),
    (ANY, "back"): ("⏎", {"front": "list"}),
    (ANY, "help"): ("", {"help": True}),
}
ELSEWHERE = (
    *(
        Where.HEALTH,
        Where.RUNS,
        Where.RUN_LIST,
        Where.TRAINING,
        Where.RUN_DIFFERENCES,
        Where.FIND,
        Where.PATTERN,
        Where.COMPARE,
        Where.PAIR,
        Where.STUDY,
    ),
    *(Where.LIVE, Where.WRITING, Where.INSPECT, Where.RECIPES, Where.LIVE_TEXT),
    *(Where.MAP, Where.DOTS, Where.BOX),
)
"""Places with tests of their own."""
MOVES_FEATURE = {"cursor", "ordering"}
NAMES = {"/": "slash", ":": "colon", "?": "question_mark", "⏎": "enter", "¶": "ctrl+p"}


def named(keys: str) -> list[str]:
    return [NAMES.get(key, key) for key in keys]


def test_every_action_is_expected() -> None:
    elsewhere = {"quit", "suspend", *(f"view.{view.name}" for view in VIEWS)}
    elsewhere |= {action.id for action in ACTIONS if action.id.startswith("note.")}  # test_notes presses them
    elsewhere.add("browse.partners")  # test_compare does
    elsewhere |= {"filter.complete", "filter.complete-back"}  # a test below does
    elsewhere |= {"interrupt", "list.middle", "list.row-top", "list.row-bottom"}  # test_habits does
    known = {(action.where, action.name) for action in ACTIONS if action.id in elsewhere}
    found = {(action.where, action.name) for action in ACTIONS if action.where not in ELSEWHERE}
    assert found == set(EXPECTED) | known


@pytest.mark.parametrize(
    ("where", "name", "key"),
    [(a.where, a.name, key) for a in ACTIONS if (a.where, a.name) in EXPECTED for key in a.keys],
    ids=str,
)
async def test_key(where: Where, name: str, key: str, make_app: MakeApp) -> None:
    before_keys, changes = EXPECTED[where, name]
    async with make_app().run_test(size=(80, 24)) as pilot:
        for one in named(before_keys):
            await press(pilot, one)
            await documented(pilot)
        before = state(pilot)
        await press(pilot, NAMES.get(key, key))
        await documented(pilot)
        after = state(pilot)
    for field in State._fields:
        if field in changes:
            assert getattr(after, field) == changes[field], field
        elif not (field == "first" and "ordering" in changes) and not (field == "feature" and "cursor" in changes):
            if field == "cursor" and MOVES_FEATURE & set(changes):
                continue
            assert getattr(after, field) == getattr(before, field), field


async def test_quit_keys_are_letters_while_typing(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, *named("/q"))
        assert app.is_running
        assert state(pilot).typing == "/q"


async def test_filter_finds_labels_numbers_and_tokens(make_app: MakeApp, sample: Sample) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = browse_screen(pilot)
        await press(pilot, *named("/wat"))
        labelled = {0}
        on_token = set(np.flatnonzero(screen.pane.state.run.store.columns.top_token_F == word_ids(("water",))[0]))
        assert set(screen.pane.state.listing.order.tolist()) == labelled | on_token
        await press(pilot, "escape", *named("/1⏎"))
        numbers = {i for i in range(48) if str(i).startswith("1")}
        assert set(screen.pane.state.listing.order.tolist()) == numbers
        assert screen.order.catalogue.ordering.text == "1"


async def test_filter_keeps_the_cursor_on_its_feature(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, *named(":17⏎"))
        assert state(pilot).feature == 17
        await press(pilot, *named("/sea"))
        assert state(pilot).feature == 17
        await press(pilot, *named("⏎"))
        await press(pilot, "escape")
        assert state(pilot).feature == 17
        assert state(pilot).ordering == BY_MAX


async def test_escape_while_filtering_goes_back_to_the_place(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, *["pagedown"] * 2, "k", "k")
        before = state(pilot)
        assert 0 < before.first < before.cursor
        for typed in ("/sea", "/zzzz", "/max>"):
            await press(pilot, *named(typed), "escape")
            assert state(pilot) == before
        await press(pilot, *named("/zzzz⏎"), "escape")
        assert state(pilot).cursor == before.cursor
        await press(pilot, *named(":filter"), "space", *named("zzzz⏎"), "escape")
        assert state(pilot).cursor == before.cursor
        await press(pilot, *named("/max>0⏎"), "G")
        kept = state(pilot)
        await press(pilot, *named("/zz"), "escape")
        assert state(pilot) == kept


async def test_escape_never_quits_and_unwinds_in_order(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, *named("/sea⏎z⏎?"))
        seen = []
        for _ in range(7):
            await press(pilot, "escape")
            now = state(pilot)
            seen.append((now.help, now.front, now.zoomed, now.ordering.text))
        assert app.is_running
    assert seen == [
        (False, "page", "list", "sea"),
        (False, "list", "list", "sea"),
        (False, "list", None, "sea"),
        *[(False, "list", None, "")] * 4,
    ]


async def test_help_explains_then_lists_keys_then_closes(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, *named("⏎n"))
        await press(pilot, *named("?"))
        assert "a passage around one token" in screen_text(pilot)
        await press(pilot, "g", "{", "{", "{", "{", "{", "{", "{")
        assert "share of the counted tokens on which a feature is active" in screen_text(pilot)
        await press(pilot, *named("⏎"))
        assert (state(pilot).front, state(pilot).document) == ("page", False)
        await press(pilot, *named("?"))
        assert "keys on the page" in screen_text(pilot)
        assert all(purpose.value in screen_text(pilot) for purpose in Purpose)
        await press(pilot, *named("?"))
        assert not state(pilot).help
        await press(pilot, *named("?q"))
        assert not state(pilot).help


async def test_zoom_gives_either_pane_the_whole_width(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = browse_screen(pilot)
        await settle(pilot)
        assert (screen.pane.state.listing.size.width, screen.pane.state.page.size.width) == (48, 72)
        await press(pilot, "z")
        assert (screen.pane.state.listing.size.width, bool(screen.pane.state.page.display)) == (120, False)
        await press(pilot, "z", "tab", "z")
        assert (screen.pane.state.page.size.width, bool(screen.pane.state.listing.display)) == (120, False)
        await press(pilot, "z")
        assert (screen.pane.state.listing.size.width, screen.pane.state.page.size.width) == (48, 72)


async def test_the_terminal_may_change_its_size_at_any_time(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = browse_screen(pilot)
        await press(pilot, "G")
        await pilot.resize_terminal(130, 12)
        await settle(pilot)
        assert screen.pane.state.page.card is not None
        assert screen.pane.state.page.card.feature == state(pilot).feature
        assert (
            screen.pane.state.listing.first
            <= screen.pane.state.listing.cursor
            < screen.pane.state.listing.first + screen.pane.state.listing.room
        )
        await pilot.resize_terminal(60, 40)
        await settle(pilot)
        assert not screen.pane.state.page.display
        assert (
            screen.pane.state.listing.first
            <= screen.pane.state.listing.cursor
            < screen.pane.state.listing.first + screen.pane.state.listing.room
        )


async def test_going_to_a_hidden_feature_shows_it(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, *named("/said⏎:47⏎"))
        assert state(pilot).feature == 47
        assert state(pilot).ordering == replace(BY_MAX, dead=True)
        assert "filter cleared, dead features shown" in screen_text(pilot)
        await press(pilot, *named(":48⏎"))
        assert "there is no feature 48: they are 0 to 47" in screen_text(pilot)
        assert state(pilot).feature == 47


async def test_the_order_is_that_of_the_columns(make_app: MakeApp, sample: Sample) -> None:
    dense = sample.dense_NF
    truth = {
        "mean": dense.sum(0) / np.maximum((dense > 0).sum(0), 1),
        "id": -np.arange(48.0),
        "density": (dense > 0).mean(0),
        "max": dense.max(0),
    }
    async with make_app().run_test(size=(80, 24)) as pilot:
        for key, values in truth.items():
            await press(pilot, "s")
            assert state(pilot).ordering.sort == key
            shown = browse_screen(pilot).pane.state.listing.order
            assert (np.diff(values[shown]) <= 1e-6).all()
            assert len(shown) == 46


async def test_copy_leaves_plain_text_in_a_file_and_in_the_terminal(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "y")
        text = copy_path().read_text()
        assert str(copy_path()).startswith(os.environ["XDG_STATE_HOME"])
        assert app.clipboard == text
        assert text.startswith("feature 0  water, boats, the sea  ★ #place\n")
        assert "fires on 16.5 % of tokens (153)" in text
        assert "sea‹9.0›" in text
        assert "\x1b" not in text
        assert "copied" in screen_text(pilot)
        await press(pilot, "j")
        assert "copied" not in screen_text(pilot)


async def test_copy_where_no_file_can_be_written(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot, "y")
        assert app.clipboard.startswith("feature 0")
        assert "copied · no file: " in screen_text(pilot)


async def test_a_held_key_reads_one_page_only(
    make_app: MakeApp, opened: OpenRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    original = type(opened.store).logits
    monkeypatch.setattr(type(opened.store), "logits", lambda self, i: (read.append(i), original(self, i))[1])
    async with make_app(rest=0.5).run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        read.clear()
        await press(pilot, *"jjjjjjjjjj")
        assert set(read) == {state(pilot).feature}
        assert state(pilot).cursor == 10


async def test_the_footer_names_keys_that_do_something(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(200, 20)) as pilot:
        await settle(pilot)
        footer = screen_text(pilot).splitlines()[-1]
        assert "esc back" not in footer
        assert "z zoom" in footer
        await pilot.resize_terminal(100, 20)
        await settle(pilot)
        assert "z zoom" not in screen_text(pilot)
        await press(pilot, *named("/qqq⏎"))
        footer = screen_text(pilot).splitlines()[-1]
        assert "esc back" in footer
        assert "j/k move" not in footer
        assert "y copy" not in footer


async def test_a_click_moves_and_a_double_click_opens(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        features = browse_screen(pilot).pane.state.listing
        await pilot.click(features, offset=(10, 5))
        await settle(pilot)
        assert state(pilot).cursor == 3
        await pilot.click(features, offset=(10, 5), times=2)
        await settle(pilot)
        assert state(pilot).front == "page"


async def test_a_wheel_moves_the_screen_and_the_cursor_comes_along(make_app: MakeApp) -> None:
    def wheel(widget: Widget, kind: type[events.MouseEvent]) -> None:
        widget.post_message(kind(widget, 5, 5, 0, 0, 0, False, False, False, 5, 5))

    async with make_app().run_test(size=(80, 24)) as pilot:
        features = browse_screen(pilot).pane.state.listing
        wheel(features, events.MouseScrollDown)
        await settle(pilot)
        down = state(pilot)
        assert down.first > 0
        assert down.cursor == down.first
        wheel(features, events.MouseScrollUp)
        await settle(pilot)
        assert (state(pilot).first, state(pilot).cursor) == (0, down.cursor)


async def test_paste_while_filtering(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "slash")
        pilot.app.screen.post_message(events.Paste("sea\nrm -rf"))
        await settle(pilot)
        assert state(pilot).typing == "/sea"
        assert state(pilot).ordering == SEA


async def test_a_filter_of_several_terms(make_app: MakeApp, sample: Sample) -> None:
    dense = sample.dense_NF
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "slash")
        screen = browse_screen(pilot)
        screen.line.paste("max>6 !label:water")
        expected = [i for i in np.flatnonzero(dense.max(axis=0) > 6).tolist() if i != 0]
        assert sorted(screen.pane.state.listing.order.tolist()) == expected
        screen.line.paste(" mean>")
        assert sorted(screen.pane.state.listing.order.tolist()) == expected  # what was typed before stays
        await pilot.pause()
        assert screen_text(pilot).splitlines()[-2:][0].strip() == "▾ a number is expected after >"
        assert screen_text(pilot).splitlines()[-2].index("▾") == screen_text(pilot).splitlines()[-1].index("mean>") + 5
        title = f"{len(expected)} of 48 features · /max>6 !label:water · max ↓"
        assert title in screen_text(pilot)  # what the list shows
        await press(pilot, "enter")
        assert "a number is expected after >" in screen_text(pilot)
        assert screen.line.typing
        assert "the list stays as it was" in screen_text(pilot)
        await press(pilot, "escape", "colon", *"filter ")
        screen.line.paste("max>6 nope>1")
        await press(pilot, "enter")
        assert screen.input._before == "filter max>6 "
        await press(pilot, "escape", "slash")
        assert screen.input.text == ""
        screen.line.paste("dead")
        assert screen.pane.state.listing.order.tolist() == np.flatnonzero(dense.max(axis=0) == 0).tolist()
        await press(pilot, "escape")
        assert len(screen.pane.state.listing.order) == 46


async def test_tab_completes_the_terms_of_a_filter_and_the_words_of_the_run(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "slash")
        screen = browse_screen(pilot)
        assert "density>1e-4" in screen_text(pilot).splitlines()[-1]  # the placeholder
        assert "share of tokens" in screen_text(pilot)
        for keys, typed in (
            ("d e n tab", "density>"),
            ("1 space l a tab", "density>1 label:"),
            ("tab", "density>1 labelled"),
            ("ctrl+w", "density>1 "),
            ("l a b e l : tab", 'density>1 label:"she\x1b[33m and [b]her[/b]"'),  # a menu of two labels
            ("tab", 'density>1 label:"water, boats, the sea"'),
            ("ctrl+u t a g tab", "tag:"),
            ("shift+tab", "tagged"),
            ("tab tab", "tagged"),
            ("space t a g : tab", "tagged tag:place"),
            ("ctrl+u l i k e : tab", f"like:{screen.pane.state.listing.feature}"),
            ("ctrl+u x y z tab", "xyz"),
        ):
            await press(pilot, *keys.split())
            assert screen.input.text == typed, keys
        await press(pilot, "escape")
        assert "share of tokens" not in screen_text(pilot)
        screen.line.open("/", "", bool)  # a line without a guide has none of its panel
        assert not screen.guidance.display


async def test_a_key_without_a_use_says_where_it_has_one(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        for keys, sentence in {
            "n": "n: no filter is on: / types one, ⏎ opens the page",
            "}": "} works on the page: next section",
            "[": "[ works in Live: the clamp under the cursor weaker",
            "X": "X has no use here: ? shows the keys",
            "⏎n⏎i": "i works on the page: 4 or 12 intervals, by rank or by value",
            "5/": "/: there are no runs here",
            "D": "D works in Browse: show or hide dead features",
        }.items():
            for one in named(keys):
                await pilot.press({"}": "right_curly_bracket", "[": "left_square_bracket"}.get(one, one))
                await pilot.app.workers.wait_for_complete()
            await pilot.pause()
            assert sentence in screen_text(pilot).splitlines()[-1]
        await pilot.press("f5")
        assert "f5 has no use here" in screen_text(pilot)
