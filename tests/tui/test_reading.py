"""Following features, going back, other examples, whole documents."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from monosem_tui.draw import line_breaks as flow
from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, count
from monosem_tui.draw.safe_text import printable, width
from monosem_tui.draw.sheet import Key, marked
from monosem_tui.draw.spans import HEAT, LIT, Role, Span, line, text_of, width_of
from monosem_tui.model.context_borders import Border, context_borders
from monosem_tui.model.document import Cuts
from monosem_tui.model.example_choice import EXTENTS, ExampleChoice
from monosem_tui.model.feature_card import ShownExample, read_card
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.model.trail import Trail, Visit, trail_lines
from monosem_tui.pages.feature_page import PageLook, sheet
from monosem_tui.pages.passage import block
from monosem_tui.screens.browse import BrowseScreen
from store.notes.note_file import FeatureNotes
from tests.sample_run import BOS, VOCAB, Sample, build_sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import go, screen_text, settle


def history(pilot: Pilot[None]) -> str:
    found = re.search(r"history (.*?) *$", screen_text(pilot), re.MULTILINE)
    return found[1] if found else ""


async def test_neighbours_are_followed_and_the_way_back_is_exact(make_app: MakeApp, opened: OpenRun) -> None:
    near = opened.store.neighbours(0).id.tolist()
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "enter", "}", "}", "n", "enter")
        assert screen.pane.state.feature == near[1]
        assert screen.pane.state.listing.feature == near[1]
        assert history(pilot) == f"0 › {near[1]}"
        second = opened.store.neighbours(near[1]).id.tolist()
        await go(pilot, "}", "}", "enter")
        assert history(pilot) == f"0 › {near[1]} › {second[0]}"
        await go(pilot, "escape")
        assert (screen.pane.state.feature, screen.pane.state.page.stop and screen.pane.state.page.stop.key) == (
            near[1],
            Key("SIMILAR", second[0]),
        )
        assert history(pilot) == f"0 › {near[1]} › {second[0]}"
        await go(pilot, "backspace")
        assert (screen.pane.state.feature, screen.pane.state.page.stop and screen.pane.state.page.stop.key) == (
            0,
            Key("SIMILAR", near[1]),
        )
        await go(pilot, "L", "L")
        assert screen.pane.state.feature == second[0]
        await go(pilot, "escape", "escape")
        assert (screen.pane.state.feature, screen.pane.state.panes.front) == (0, "page")
        await go(pilot, "escape")
        assert (screen.pane.state.listing.feature, screen.pane.state.panes.front) == (0, "list")


async def test_moving_in_the_list_begins_anew(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "tab", "}", "}", "enter", "J")
        assert screen.pane.state.feature == screen.pane.state.listing.feature
        assert history(pilot) == ""
        await go(pilot, "H")
        assert "no feature was followed to come here" in screen_text(pilot)


async def test_a_feature_outside_the_filter_is_shown_and_said(make_app: MakeApp, opened: OpenRun) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "slash", *"boats", "enter")
        assert screen.pane.state.listing.order.tolist() == [0]
        followed = int(opened.store.neighbours(0).id[0])
        await go(pilot, "tab", "}", "}", "enter")
        assert (screen.pane.state.feature, screen.pane.state.listing.feature) == (followed, 0)
        assert screen.pane.state.page.card is not None
        assert screen.pane.state.page.card.feature == followed
        assert "not in the list: the filter boats leaves it out" in screen_text(pilot)
        await go(pilot, "tab")
        assert (screen.pane.state.feature, screen.pane.state.page.card.feature) == (0, 0)
        await go(pilot, "tab")
        assert screen.pane.state.feature == followed
        await go(pilot, "escape")
        assert screen.pane.state.feature == 0
        assert "not in the list" not in screen_text(pilot)


async def test_companions_come_by_themselves_and_are_followed(make_app: MakeApp, sample: Sample) -> None:
    fires = sample.dense_NF > 0
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        row = next(text for text in screen_text(pilot).splitlines() if "FIRES WITH " in text)
        found = re.search(r"FIRES WITH +(\d+) \S+ ([\d.]+) %", row)
        assert found is not None
        companion = int(found[1])
        share = (fires[:, 0] & fires[:, companion]).sum() / fires[:, 0].sum()
        assert float(found[2]) == pytest.approx(100 * share, abs=0.05)
        screen = await go(pilot, "tab", "}", "}", "}", "enter")
        assert screen.pane.state.feature == companion
        screen.pane.state.run.notes[companion] = FeatureNotes(label="told apart")
        await go(pilot, "escape")
        assert f"FIRES WITH     {companion} told apart" in screen_text(pilot)
        del screen.pane.state.run.notes[companion]


async def test_which_examples_and_how_much_text(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "tab")

        def titles() -> list[str]:
            assert screen.pane.state.page.card is not None
            return [section.title for section in screen.pane.state.page.card.sections]

        def drawn() -> list[int]:
            assert screen.pane.state.page.card is not None
            return [example.place for example in screen.pane.state.page.card.sections[-1].examples]

        assert len(titles()) == 6
        first, first_titles = drawn(), titles()[1:-1]
        await go(pilot, "i")
        assert len(titles()) == 14
        assert "12 intervals by rank" in screen_text(pilot)
        await go(pilot, "i")
        assert "4 intervals by value" in screen_text(pilot)
        assert titles()[1:-1] != first_titles
        await go(pilot, "i", "i", "r")
        assert len(titles()) == 6
        assert drawn() != first
        assert "4 of 153 drawn at random, seed 1" in screen_text(pilot)
        lines = screen.pane.state.page.rows
        await go(pilot, "+")
        assert screen.pane.state.page.rows > lines
        await go(pilot, "-", "-", "-")
        assert "8 tokens before, 4 behind" in screen_text(pilot)
        assert screen.pane.state.page.rows == lines
        await go(pilot, "o", "g")
        assert "one a document" in screen_text(pilot)
        documents = screen.pane.state.run.store.documents_of(
            np.array([e.place for e in screen.pane.state.page.card.sections[0].examples])
        )  # type: ignore[union-attr]
        assert len(set(documents.tolist())) == len(documents)


@pytest.mark.parametrize("choice", [ExampleChoice(extent=n, intervals=i) for n in range(len(EXTENTS)) for i in (4, 12)])
@pytest.mark.parametrize("cells", [40, 57, 79, 198])
def test_stops_stand_where_they_say(cells: int, choice: ExampleChoice, opened: OpenRun) -> None:
    card = read_card(opened.store, opened.notes, 0, choice)
    for rendering in Rendering:
        laid = sheet(card, None, cells, PageLook(rendering, side=True))
        assert all(width_of(spans) <= cells for spans in laid.lines)
        columns = [[s.row for s in laid.stops if (s.column > cells // 2) == right] for right in (False, True)]
        assert cells < 90 or columns[1] == sorted(columns[1])
        for stop in laid.stops:
            spans = marked(laid.lines[stop.row], stop.column, stop.cells)
            lit = [*LIT.values(), *(HEAT[1:] if stop.key.place is not None else ())]
            under = "".join(span.text for span in spans if span.role in lit).strip()
            assert text_of(spans).rstrip() == text_of(laid.lines[stop.row]).rstrip()
            if not stop.key.leads:
                assert stop.term is not None
            elif stop.key.feature is None:
                assert float(under.split()[0]) > 0
            else:
                assert under.split()[0] == str(stop.key.feature)


# Documents


def words(sample: Sample, place: int) -> str:
    """The document of a place, as the sample wrote it: each is one and a half contexts long."""
    size = 48
    start = place // size * size
    # A token that only opens a context inside the document is a bar on the screen.
    kept = [VOCAB[token] for at, token in enumerate(sample.token_N[start : start + size]) if token != BOS or at == 0]
    text = b"".join(kept)
    return re.sub(r"\s+", "", re.sub(r"[^\x20-\x7e\n]", "", text.decode(errors="ignore")))


def shown(screen: BrowseScreen) -> str:
    text = "".join(text_of(screen.pane.state.document.row(number)) for number in range(screen.pane.state.document.rows))
    text = re.sub(r"⟨0x..⟩|‹[\d.]+›|\s+", "", text)
    return re.sub(r"[^\x20-\x7e]", "", text)


@pytest.mark.parametrize("stretch", [8, 1024])
@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
async def test_the_whole_document_is_read(
    size: tuple[int, int], stretch: int, make_app: MakeApp, sample: Sample
) -> None:
    async with make_app(cuts=Cuts(stretch, 4)).run_test(size=size) as pilot:
        screen = await go(pilot, "tab", "n", "n", "enter")
        assert screen.pane.state.in_document
        assert screen.pane.state.document.whole is not None
        for _ in range(12):
            await pilot.app.workers.wait_for_complete()
            await pilot.pause()
        place = screen.pane.state.document.whole.place
        assert shown(screen) == words(sample, place)
        peak = float(sample.dense_NF[place, 0])
        assert f"sea‹{peak:.1f}›" in screen_text(pilot)
        await go(pilot, "m")
        assert shown(screen).replace(" ", "").startswith(words(sample, place)[:10])
        await go(pilot, "escape")
        assert (screen.pane.state.in_document, screen.pane.state.panes.front) == (False, "page")
        assert screen.pane.state.page.stop is not None


async def test_a_long_document_is_read_in_stretches(make_app: MakeApp, tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "long", n_contexts=4, context=4096)
    run = open_run(sample.run.path)
    async with make_app(run).run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "enter", "n", "enter")
        view, whole = screen.pane.state.document, screen.pane.state.document.whole
        assert whole is not None
        assert whole.stop - whole.start in (6144, 4 * 4096 - 2 * 6144)
        assert view.rows < 400
        first, last = view.places
        assert first <= whole.place - whole.start < last
        seen = {place for place in range(first, last)}
        for _ in range(400):
            before = view.places
            await go(pilot, "space")
            seen.update(range(*view.places))
            assert view.places[0] <= before[1]  # nothing is jumped over when text comes before or behind
            if view.places[1] == whole.stop - whole.start:
                break
        await go(pilot, *["pageup"] * 3)
        assert seen >= set(range(first, whole.stop - whole.start))
        assert "tokens" in screen_text(pilot).splitlines()[-1]
    run.store.close()


async def test_n_goes_from_one_firing_token_to_the_next(make_app: MakeApp, tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "long", n_contexts=4, context=4096)
    run = open_run(sample.run.path)
    async with make_app(run, cuts=Cuts(256, 4), pause=60.0).run_test(size=(80, 24)) as pilot:
        screen = await go(pilot, "enter", "n", "enter")
        view, whole = screen.pane.state.document, screen.pane.state.document.whole
        assert whole is not None
        fires = np.flatnonzero(sample.dense_NF[whole.start : whole.stop, whole.feature]) + whole.start
        at = int(np.searchsorted(fires, whole.place))

        def chosen(number: int) -> None:
            act = sample.dense_NF[fires[number], whole.feature]
            assert view.place == fires[number]
            assert f"‹{activation(float(act))}›" in screen_text(pilot)
            assert f"firing {count(number + 1)} of {count(len(fires))} · tokens" in screen_text(pilot)

        chosen(at)
        await go(pilot, "n", "n", "N")
        chosen(at + 1)
        await go(pilot, "1", "2", "n", "1", "0", "N")
        chosen(at + 3)
        await go(pilot, *["pagedown"] * 5)
        top = view.places[0] + whole.start
        await go(pilot, "n")
        chosen(int(np.searchsorted(fires, top)))
        await go(pilot, *"9999n")
        assert view.place == fires[-1]
        assert f"the last of {count(len(fires))} firing tokens in {whole.name}" in screen_text(pilot)
        await go(pilot, "9", "9", "9", "N", "9", "9", "9", "9", "N")
        assert view.place == fires[0]
        assert f"the first of {count(len(fires))} firing tokens" in screen_text(pilot)
        await go(pilot, "escape", "escape", "n")
        assert "n: no filter is on" in screen_text(pilot)
    run.store.close()


async def test_another_feature_closes_the_document(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await go(pilot, "tab", "n", "enter")
        assert screen.pane.state.in_document
        await go(pilot, "J")
        assert not screen.pane.state.in_document
        assert screen.pane.state.page.card is not None
        assert screen.pane.state.page.card.feature == screen.pane.state.listing.feature


async def test_enter_without_a_choice_says_how_to_choose(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await go(pilot, "enter", "enter")
        assert "choose an example first (n)" in screen_text(pilot)


# Lines


tokens = st.lists(
    st.sampled_from(["a", " the", " ", "ing", "日本", "↵", ".", " unbreakable" * 3, "x" * 40]), max_size=60
)


@given(tokens, st.integers(40, 90), st.booleans())
def test_running_text_loses_nothing_and_fits(texts: list[str], cells: int, newlines: bool) -> None:
    rows = flow.rows(texts, cells, newlines=newlines)
    assert [token for row in rows for token in row] == list(range(len(texts)))
    for row in rows:
        spans = flow.drawn([Span(text) for text in texts], row, cells)
        assert len(spans) == len(row)
        assert width_of(spans) <= cells
        assert not newlines or "↵" not in [texts[token] for token in row[:-1]]


def test_lines_begin_with_words() -> None:
    texts = [" Once", " up", "on", " a", " time", " ", "qu", "een"]
    rows = flow.rows(texts, 9)
    assert [[texts[token] for token in row] for row in rows] == [
        [" Once", " up", "on"],
        [" a", " time", " "],
        ["qu", "een"],
    ]


@pytest.mark.parametrize("rendering", Rendering)
@pytest.mark.parametrize("peak", [0, 7, 100, 199])
def test_a_block_holds_the_peak_and_no_more_than_was_asked(rendering: Rendering, peak: int) -> None:
    act = np.zeros(200, np.float32)
    act[peak] = 3.0
    example = ShownExample([f" w{n}" for n in range(200)], act, peak, 0, peak)
    lines = [text_of(spans) for spans in block(example, 3.0, rendering, 50, 3)]
    assert len(lines) == 3 * (2 if rendering is Rendering.RULER else 1)
    assert any(f"w{peak}‹3.0›" in text for text in lines)
    assert all(width(text) <= 50 for text in lines)
    assert lines[0].startswith("…") == (peak >= 100)


CODE = ["def", " f", "(", "x", "):", "\n    ", "return", " x", "\n\n", "#", " end", "\t"]


@pytest.mark.parametrize("rendering", Rendering)
def test_code_is_drawn_line_by_line_with_its_indentation(rendering: Rendering) -> None:
    act = np.zeros(len(CODE), np.float32)
    act[[5, 7]] = 1.0, 2.0
    example = ShownExample([printable(token) for token in CODE], act, 7, 0, 7, borders=(Border(8, instead=False),))
    ruled = rendering is Rendering.RULER
    lines = block(example, 2.0, rendering, 50, 9)[:: 2 if ruled else 1]
    assert [text_of(spans).strip("…").rstrip() for spans in lines] == [
        " def f(x):↵",
        "     return x‹2.0›┊↵",
        " ↵",
        " # end⇥",
    ]
    roles = {span.text: span.role for spans in lines for span in spans}
    assert roles["┊"] is Role.DIM
    assert roles["⇥"] is Role.DIM
    broken = lines[0][-1]
    fired = {Rendering.RULER: Role.PLAIN, Rendering.MARKS: Role.PEAK, Rendering.BACKGROUND: HEAT[3]}
    assert broken.role is fired[rendering]
    assert [span.role for span in lines[2] if span.text == "↵"] == [Role.DIM]


def test_prose_with_few_line_breaks_runs_on() -> None:
    act = np.zeros(121, np.float32)
    act[60] = 1.0
    example = ShownExample([*[" word"] * 60, "↵", *[" word"] * 60], act, 60, 0, 60)
    assert len(block(example, 1.0, Rendering.BACKGROUND, 50, 3)) == 3
    assert text_of(block(example, 1.0, Rendering.BACKGROUND, 50, 3)[1]).count("word") > 5


def test_borders_of_contexts_stand_in_the_text(opened: OpenRun, sample: Sample) -> None:
    borders = context_borders(opened.store, 20, 96)
    # Documents are 48 tokens, contexts 32, each opened by a token that does not count.
    assert borders == (Border(12, instead=True), Border(44, instead=True))
    assert not sample.counted_N[[32, 64]].any()


def test_a_word_that_opens_a_context_without_bos_stays(opened: OpenRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened.store, "spec", replace(opened.store.spec, excluded="first"))
    assert context_borders(opened.store, 20, 96) == (Border(12, instead=False), Border(44, instead=False))


def test_the_trail_goes_back_and_forward() -> None:
    start = Trail(17)
    here = start.follow(Visit(17, 3), 88).follow(Visit(88, 5), 412)
    assert [text_of(spans) for spans in trail_lines(here, "", 60)] == ["history 17 › 88 › 412"]
    back, visit = here.back(Visit(412, 9))
    assert (back.feature, visit) == (88, Visit(88, 5))
    assert [text_of(spans) for spans in trail_lines(back, "x", 60)] == ["history 17 › 88 › 412", "x"]
    assert back.forward(visit) == (here, Visit(412, 9))
    assert back.follow(visit, 5).future == ()
    assert trail_lines(start, "", 60) == []
    long = start
    for feature in range(300):
        long = long.follow(Visit(long.feature), feature)
    shown_line = text_of(trail_lines(long, "", 40)[0])
    assert shown_line.endswith("› 298 › 299")
    assert width(shown_line) <= 40


def test_a_cursor_is_drawn_on_cells_not_characters() -> None:
    spans = marked(line("日本 ", Span("ab", Role.DIM), "cd"), 5, 3)
    assert spans == line("日本 ", Span("ab", Role.CURSOR_DIM), Span("c", Role.CURSOR), "d")
