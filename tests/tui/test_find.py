"""The Find screen: what it ranks, how it stops, what it remembers, and how it looks."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot

from monosem_tui.draw.palette import Palette
from monosem_tui.keys.actions import Where
from monosem_tui.keys.table import ACTIONS
from monosem_tui.model.document import Whole
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.model.session_state import BrowseMemory, FindMemory, Memory, recall
from monosem_tui.screens import pattern_search
from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.screens.find import FindScreen
from monosem_tui.screens.health import HealthScreen
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.note_file import Notes
from store.query.find import FindOptions, find
from store.query.find_process import Asking
from store.query.pattern_search import Inquiry, Report, search_pattern
from store.query.pattern_tokens import compile_pattern, text_matches, token_matches, whole
from tests.patience import wait_for_end
from tests.sample_run import Sample, build_sample
from tests.store.query.test_find_process import ENDLESS, SEA
from tests.tui.conftest import MakeApp
from tests.tui.screens import assert_golden, browse_screen, press, screen_text, settle, style_digest, until
from tests.tui.test_goldens import SIZES

NAMES = {
    " ": "space",
    ":": "colon",
    "/": "slash",
    "?": "question_mark",
    "⏎": "enter",
    "(": "left_parenthesis",
    ")": "right_parenthesis",
    "|": "vertical_line",
    "\\": "backslash",
}
EITHER = "sea|she"
"""Two concepts, so that no feature has them all and two of them together do."""


@dataclass
class SearchHere:
    """A search like `Asking` without a process of its own, which takes longer to start than to answer."""

    path: Path
    inquiry: Inquiry
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True

    def reports(self) -> Iterator[Report]:
        with FeatureStore.open(self.path) as store:
            yield from search_pattern(store, self.inquiry)


@pytest.fixture(autouse=True)
def few_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own is for what never ends; tests/store/query and those on a terminal always have one."""
    monkeypatch.setattr(
        pattern_search, "Asking", lambda path, asked: (Asking if asked.pattern == ENDLESS else SearchHere)(path, asked)
    )


def find_screen(pilot: Pilot[None]) -> FindScreen:
    assert isinstance(pilot.app.screen, FindScreen)
    return pilot.app.screen


def typed(text: str) -> list[str]:
    return [NAMES.get(character, character) for character in text]


async def answered(pilot: Pilot[None]) -> FindScreen:
    """Wait until the search has ended and the page has followed."""
    screen = find_screen(pilot)
    await until(pilot, lambda: screen.search._asking is None)
    await until(
        pilot,
        lambda: (
            not screen.pane.state.page.display
            or screen.pane.state.feature is None
            or (
                screen.pane.state.page.card is not None
                and screen.pane.state.page.card.feature == screen.pane.state.feature
            )
        ),
    )
    await pilot.pause()
    return screen


async def ask(pilot: Pilot[None], pattern: str) -> FindScreen:
    await settle(pilot) if isinstance(pilot.app.screen, BrowseScreen) else None
    await pilot.press(*typed(f":find {pattern}⏎"))
    return await answered(pilot)


def bottom(pilot: Pilot[None]) -> str:
    return screen_text(pilot).splitlines()[-1]


# What it finds


async def test_the_ranking_is_that_of_the_search(make_app: MakeApp, sample: Sample) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await ask(pilot, EITHER)
        store = screen.pane.state.run.store
        question = whole(text_matches(store, compile_pattern(EITHER))).question(store, EITHER)
        truth = find(store, question, FindOptions(top=48))
        assert screen.ranking.order.tolist() == [one.choice.feature for one in truth.results]
        assert screen.ranking.answer.report is not None
        assert screen.ranking.answer.report.found == truth
        best = truth.results[0]
        assert best.choice.feature in (0, 2)
        text = screen_text(pilot)
        assert f"{truth.matched} of {truth.scored} tokens match" in text
        assert f"{best.tally.f1:.2f}"[1:] in text
        assert re.search(rf"together {' '.join(str(one.feature) for one in truth.union.choices)} ", text)  # type: ignore[union-attr]
        assert f"{best.auroc:.3f}"[1:] in text


async def test_how_it_is_asked_changes_what_is_found(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await ask(pilot, "^.s")
        store = screen.pane.state.run.store
        at_starts = screen.ranking.answer.report
        await pilot.press("w")
        await answered(pilot)
        tokens = whole(token_matches(store, compile_pattern("^.s"))).question(store, "")
        assert f"{int((tokens.scored_N & tokens.matched_N).sum())} of {store.n_counted} tokens match" in screen_text(
            pilot
        )
        assert " · in tokens" in screen_text(pilot)
        await pilot.press("w")
        assert screen.ranking.answer.report is at_starts  # known, so shown at once
        assert screen.search._asking is None
        await pilot.press("s")
        await answered(pilot)
        assert "AUROC↓" in screen_text(pilot)
        await pilot.press("W", "v")
        await answered(pilot)
        assert re.search(r"tokens end a match  figures on \d+ in other contexts", screen_text(pilot))
        assert " · last tokens · held out" in screen_text(pilot)


async def test_outliers_are_left_out_where_that_is_asked(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await ask(pilot, "sea")
        await pilot.press("O")
        assert "outlier tokens are left out: the index has none" in bottom(pilot)
        await answered(pilot)
        assert screen.search.wanted.ordinary and " · without outliers" in screen_text(pilot)
        assert {inquiry.ordinary for inquiry, _ in screen.search._answers} == {False, True}
        assert screen.remembered(Memory()).find.ordinary
        await pilot.press("O")
        assert "count like others" in bottom(pilot) and " · without outliers" not in screen_text(pilot)


async def test_only_the_last_answers_are_kept(make_app: MakeApp) -> None:
    async with make_app(answers=2).run_test(size=(80, 24)) as pilot:
        for pattern in ("sea", "said", "dog", "sea"):
            screen = await ask(pilot, pattern)
        assert [key[0].pattern for key in screen.search._answers] == ["dog", "sea"]


async def test_a_pattern_that_cannot_be_read_stays_to_be_mended(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*typed(":find (sea⏎"))
        assert (browse_screen(pilot).input.text, browse_screen(pilot).input._before) == ("find (sea", "find ")
        await pilot.press("escape", *typed("2/(sea⏎"))
        screen = find_screen(pilot)
        assert screen.line.typing
        assert screen.input._before == ""
        assert "missing ), unterminated subpattern (character 1)" in screen_text(pilot)
        await pilot.press("delete", "enter")
        await answered(pilot)
        assert screen.pane.state.feature == 0


async def test_no_single_token_matches_what_running_text_has(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 24)) as pilot:
        screen = await ask(pilot, "the sea")
        assert len(screen.ranking.order) > 0
        await pilot.press("w")
        await answered(pilot)
        assert "no single token matches 'the sea' · w searches running text again." in bottom(pilot)


async def test_what_cannot_be_found_is_a_line(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 24)) as pilot:
        screen = await ask(pilot, "zzz")
        assert "nothing in the indexed corpus matches" in bottom(pilot)
        assert len(screen.ranking.order) == 0
        await pilot.press("j")
        assert "the list is empty" in bottom(pilot)
        await ask(pilot, "sea")
        assert screen.pane.state.feature == 0


async def test_escape_ends_a_pattern_that_never_would(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press(*typed(":find x⏎"))
        screen = find_screen(pilot)
        screen.search.ask(ENDLESS)
        asking = screen.search._asking
        assert asking is not None
        await pilot.press(*["question_mark"] * 3)  # the keys go on
        assert screen.search._asking is asking
        await pilot.press("escape")
        wait_for_end(asking.pid)
        assert "search stopped" in bottom(pilot)
        assert "stopped ━" in screen_text(pilot)
        await ask(pilot, "sea")
        assert screen.pane.state.feature == 0
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, BrowseScreen)


async def test_a_new_question_ends_the_one_before(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("2")
        screen = find_screen(pilot)
        screen.search.ask(ENDLESS)
        before = screen.search._asking
        assert before is not None
        await ask(pilot, "sea")
        wait_for_end(before.pid)
        assert screen.pane.state.feature == 0


async def test_leaving_ends_the_search(make_app: MakeApp) -> None:
    asking: Asking | None = None
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("2")
        find_screen(pilot).search.ask(ENDLESS)
        asking = find_screen(pilot).search._asking
        await pilot.press("q")
        await pilot.pause()
    assert asking is not None
    wait_for_end(asking.pid)


# Patterns


async def test_earlier_patterns_come_back(make_app: MakeApp) -> None:
    app = make_app(memory=Memory(find=FindMemory(patterns=("old", "older"))))
    async with app.run_test(size=(80, 24)) as pilot:
        await ask(pilot, "sea")
        screen = await ask(pilot, "said")
        seen = []
        await pilot.press("slash")
        for key in ["up"] * 5 + ["down"] * 2:
            await pilot.press(key)
            seen.append(screen.input.text)
        assert seen == ["said", "sea", "older", "old", "old", "older", "sea"]
        await pilot.press("x", "up")
        assert screen.input.text == "said"
        await pilot.press("escape", "slash")
        assert screen.input.text == ""
        await pilot.press(*"seax", "up")
        assert screen.input.text == "said"
        await pilot.press("down")
        assert screen.input.text == "seax"
        await pilot.press("escape", "v")
        kept = screen.remembered(Memory()).find
        assert kept == FindMemory(patterns=("old", "older", "sea", "said"), held_out=True)
        await answered(pilot)
    app.keep()
    assert recall(screen.pane.state.run.path).find == kept


async def test_a_pattern_is_in_the_list_once_and_the_oldest_go(make_app: MakeApp) -> None:
    async with make_app(patterns=3).run_test(size=(80, 24)) as pilot:
        for pattern in ("sea", "said", "sea", "dog", "cat"):
            screen = await ask(pilot, pattern)
        assert screen.remembered(Memory()).find.patterns == ("sea", "dog", "cat")


async def test_a_document_is_read_as_in_browse(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await ask(pilot, EITHER)
        await pilot.press("tab", "n", "enter")
        await until(pilot, lambda: screen.pane.state.in_document and screen.pane.state.document.whole is not None)
        await pilot.pause()
        whole = screen.pane.state.document.whole
        assert f"tokens 1–{cast(Whole, whole).stop - cast(Whole, whole).start}" in bottom(pilot)
        assert "lines" not in bottom(pilot)
        await pilot.press("J")  # another feature closes it
        assert not screen.pane.state.in_document


# From here to elsewhere


async def test_enter_opens_the_feature_in_browse_and_escape_comes_back(make_app: MakeApp) -> None:
    kept = Memory(browse=BrowseMemory(sort="id", descending=False, text="max>1"))
    async with make_app(memory=kept).run_test(size=(80, 24)) as pilot:
        screen = await ask(pilot, EITHER)
        await pilot.press("j", "enter")
        browse = browse_screen(pilot)
        await settle(pilot)
        assert browse.pane.state.panes.front == "page"
        assert browse.pane.state.page.card is not None
        assert browse.pane.state.page.card.feature == screen.pane.state.feature == int(screen.ranking.order[1])
        await press(pilot, "J")
        assert browse.pane.state.listing.order.tolist() == screen.ranking.order.tolist()
        assert browse.pane.state.listing.cursor == 2
        await pilot.press("escape")
        assert pilot.app.screen is screen
        assert screen.ranking.cursor == 1
        await pilot.press("1")
        assert browse.order.catalogue.ordering.only is None
        assert (browse.order.catalogue.ordering.sort, browse.order.catalogue.ordering.descending) == ("id", False)


async def test_the_whole_ranking_in_browse_keeps_its_order_until_it_is_sorted(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await ask(pilot, EITHER)
        order = screen.ranking.order.tolist()
        await pilot.press("j", "a")
        browse = browse_screen(pilot)
        await settle(pilot)
        assert browse.pane.state.listing.order.tolist() == order
        assert (browse.pane.state.listing.cursor, browse.pane.state.panes.front) == (1, "list")
        assert f"find {EITHER}: {len(order)}" in screen_text(pilot)
        assert "as ranked" in screen_text(pilot)
        await press(pilot, "s")
        assert sorted(browse.pane.state.listing.order.tolist()) == sorted(order)
        assert "mean ↓" in screen_text(pilot)
        await press(pilot, "escape")
        assert pilot.app.screen is screen


async def test_the_page_follows_and_notes_are_taken(make_app: MakeApp, sample: Sample, tmp_path: Path) -> None:
    run = open_run(Path(shutil.copytree(sample.run.path, tmp_path / "own")))
    async with make_app(run).run_test(size=(160, 40)) as pilot:
        screen = await ask(pilot, EITHER)
        await pilot.press("j")
        await answered(pilot)
        feature = screen.pane.state.feature
        assert screen.pane.state.page.card is not None
        assert screen.pane.state.page.card.feature == feature
        await pilot.press("l", "ctrl+u", *typed("said here⏎"), "b", "t", *typed("mine⏎"))
        note = Notes(run.path / "notes.jsonl").load()[cast(int, feature)]
        assert (note.label, "mine" in note.tags) == ("said here", True)
        assert "said here" in screen_text(pilot).splitlines()[screen.ranking.cursor + 5]
        await pilot.press("u", "u", "u", "tab")
        assert screen.pane.state.panes.front == "page"
        await pilot.press("j", "tab", "z", "z", ">", "m", "h", "y")
        assert "copied" in bottom(pilot)
    run.store.close()


async def test_all_keys_of_the_screen_are_pressed_somewhere(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        screen = await ask(pilot, EITHER)
        for action in ACTIONS:
            if action.where is Where.FIND and action.name not in (
                "all",
                "label",
                "tags",
                "comment",
                "bookmark",
                "undo",
                "partners",
            ):
                for key in action.keys:
                    await pilot.press(NAMES.get(key, {">": "greater_than_sign", "<": "less_than_sign"}.get(key, key)))
                    await pilot.press("escape") if screen.line.typing else None
                    await answered(pilot)
        assert pilot.app.screen is screen


async def test_a_long_index_makes_no_other_screen_wait(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("2")
        screen = find_screen(pilot)
        screen.search.ask(ENDLESS)
        await pilot.press("4")
        assert isinstance(pilot.app.screen, HealthScreen)
        await pilot.press("2")
        assert screen.search._asking is not None
        await pilot.press("escape")


async def test_an_index_that_grows_is_asked_as_it_is(make_app: MakeApp, tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "growing", merged=False, segments=4)
    last = sorted(sample.run.index.glob("seg-*.h5"))[-1]
    last.rename(tmp_path / "last")
    run = open_run(sample.run.path)
    async with make_app(run).run_test(size=(80, 24)) as pilot:
        screen = await ask(pilot, "sea")
        before = screen.pane.state.run.store.n_counted
        assert f" of {before} tokens match" in screen_text(pilot)
        (tmp_path / "last").rename(last)
        await pilot.press("1")
        await until(pilot, lambda: pilot.app.session.run.store.n_counted > before)  # type: ignore[attr-defined]
        await ask(pilot, "sea")
        assert f" of {int(sample.counted_N.sum())} tokens match" in screen_text(pilot)
    screen.pane.state.run.store.close()


# What it fires on


async def test_what_the_feature_fires_on_is_told(make_app: MakeApp, sample: Sample) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await ask(pilot, SEA)
        await pilot.press("f")
        await until(pilot, lambda: "of its activation" in screen_text(pilot))
        text = screen_text(pilot)
        n_active = int((sample.dense_NF[:, 0] > 0).sum())
        assert f"what 0 fires on · {n_active} tokens" in text
        row = next(one for one in text.splitlines() if one.startswith(" 1-gram "))
        assert all(word in SEA for word in re.findall(r"·(\w+) ", row))
        assert row.startswith(" 1-gram        ·sea ")
        await pilot.press("j")
        await until(pilot, lambda: f"what {screen.pane.state.feature} fires on ·" in screen_text(pilot))
        await pilot.press("escape")
        assert not screen.pane.ngrams.panel.display
        assert pilot.app.screen is screen


async def test_in_browse_too_and_dead_features_say_so(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, *typed(":47⏎"), "f")
        await until(pilot, lambda: "feature 47 never fires" in screen_text(pilot))
        await press(pilot, "enter", "escape")
        assert not browse_screen(pilot).pane.ngrams.panel.display
        assert browse_screen(pilot).pane.state.panes.front == "page"


# Looks


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_find(size: tuple[int, int], make_app: MakeApp) -> None:
    async with make_app().run_test(size=size) as pilot:
        await ask(pilot, EITHER)
        await pilot.press("j")
        await answered(pilot)
        assert_golden(f"find-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_find_fires(size: tuple[int, int], make_app: MakeApp) -> None:
    async with make_app().run_test(size=size) as pilot:
        await ask(pilot, EITHER)
        await pilot.press("f", "v", "W")
        await answered(pilot)
        await until(pilot, lambda: "of its activ" in screen_text(pilot))
        assert_golden(f"find-fires-{size[0]}x{size[1]}", screen_text(pilot))


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize(
    ("scene", "keys"), [("start", "2"), ("typing", "2/se.+"), ("help", "2vW?"), ("error", "2/a(⏎")]
)
async def test_find_without_an_answer(scene: str, keys: str, size: tuple[int, int], make_app: MakeApp) -> None:
    async with make_app().run_test(size=size) as pilot:
        await settle(pilot)
        await pilot.press(*typed(keys))
        await answered(pilot)
        assert_golden(f"find-{scene}-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


async def test_looks_differ_in_style_only(make_app: MakeApp) -> None:
    seen = []
    for palette in (Palette(), Palette(dark=False), Palette(colors=16), Palette(plain=True), Palette(colors=0)):
        async with make_app(palette=palette).run_test(size=(80, 24)) as pilot:
            await ask(pilot, EITHER)
            seen.append((screen_text(pilot), style_digest(pilot, palette)))
    assert len({text for text, _ in seen}) == 1
    # Without colours of its own a palette draws several roles alike, and the digest cannot tell them apart.
    assert len({digest for _, digest in seen[:3]}) == 1
    assert "cursor" in seen[0][1]


HOSTILE = "sea\x1b[31m\u202e[b]x[/b]"


async def test_hostile_patterns_and_tokens_are_text(make_app: MakeApp, opened, monkeypatch: pytest.MonkeyPatch) -> None:
    vocabulary = opened.store.vocabulary
    monkeypatch.setattr(type(vocabulary), "token", lambda self, i: b"\x1b[2J\x07[b]\xff\xe2\x80\xae")
    memory = Memory(find=FindMemory(patterns=(HOSTILE,)))
    async with make_app(memory=memory).run_test(size=(80, 24)) as pilot:
        screen = await ask(pilot, EITHER)
        assert "⟨0x1B⟩[2J" in screen_text(pilot)
        await pilot.press("slash", "ctrl+u", "up", "up")
        assert screen.input.text == HOSTILE
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", screen_text(pilot))
        await pilot.press("enter")
        await answered(pilot)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", screen_text(pilot))
        assert "nothing in the indexed corpus" in bottom(pilot)
        screen.search._change(replace(screen.search.wanted, pattern="sea|\u202e"), "")
        await answered(pilot)
        await pilot.press("a")
        await settle(pilot)
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", screen_text(pilot))


def test_an_error_names_the_pattern_as_it_was_typed(opened: OpenRun) -> None:
    with pytest.raises(MonosemError, match=re.escape(r"no single token matches 'sea\.\w+\x1b'")):
        list(search_pattern(opened.store, Inquiry("sea\\.\\w+\x1b", tokens=True)))
