"""The token under the mouse: what the bottom line says of it, and what that costs."""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from textual.pilot import Pilot

from monosem_tui.draw.bars import LEVELS
from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.safe_text import width
from monosem_tui.draw.spans import text_of
from monosem_tui.model.context_borders import Border
from monosem_tui.model.feature_card import ShownExample
from monosem_tui.pages.passage import Frame, block, block_token_at, passage, token_at
from monosem_tui.pages.token_words import FiringOnToken, token_line
from monosem_tui.widgets.line_view import LineView
from store.files.errors import MonosemError
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp
from tests.tui.live_app import keys, live, pretend, write
from tests.tui.pty_bytes import PtyApp
from tests.tui.screens import browse_screen, press, screen_text, settle, until

SAID = re.compile(r" token (\d* ?)(\S+)")


def footer(pilot: Pilot[None]) -> str:
    return screen_text(pilot).splitlines()[-1]


def example(n: int, peak: int) -> ShownExample:
    act = np.zeros(n, np.float32)
    act[[peak, n // 2]] = 3.0, 2.0
    return ShownExample(
        [f" w{number}" for number in range(n)], act, peak, 0, peak, borders=(Border(n // 3, instead=False),)
    )


@pytest.mark.parametrize("rendering", Rendering)
@pytest.mark.parametrize("peak", [0, 7, 25, 39])
def test_the_token_at_each_cell_of_a_passage(rendering: Rendering, peak: int) -> None:
    shown, where = example(40, peak), Frame(50, 20)
    drawn = text_of(passage(shown, 3.0, rendering, where)[0])
    for match in re.finditer(r"(?<= )w(\d+)(?=[ ‹])", drawn):
        assert {token_at(shown, rendering, where, cell) for cell in range(*match.span())} == {int(match[1])}
    for cell in [*(match.start() for match in re.finditer("[…┊]", drawn)), len(drawn), -1]:
        assert token_at(shown, rendering, where, cell) is None


@pytest.mark.parametrize("rendering", Rendering)
@pytest.mark.parametrize("peak", [0, 7, 100, 199])
def test_the_token_at_each_cell_of_a_block(rendering: Rendering, peak: int) -> None:
    shown, found = example(200, peak), set()
    for row, spans in enumerate(block(shown, 3.0, rendering, 50, 3)):
        for match in re.finditer(r"(?<=[… ])w(\d+)(?=[ ‹…])", text_of(spans)):
            number = int(match[1])
            assert {block_token_at(shown, rendering, 50, 3, row, x) for x in range(*match.span())} == {number}
            found.add(number)
    assert peak in found


def test_words() -> None:
    fires = [FiringOnToken(735, 4.25, 11.8), FiringOnToken(8, 0.0, 2.0), FiringOnToken(9, 1.5, 0.0)]
    said = " token 12 ·self   735 fires 4.2, 36 % of its maximum 11.8   8 does not fire   9 fires 1.5"
    assert text_of(token_line(" self", fires, number=11)) == said
    assert text_of(token_line("#4", [], noun="row")) == " row #4"


def said_at(view: LineView, pilot: Pilot[None]) -> list[tuple[str, str]]:
    """What is drawn on the cells of each token, and what is said of it."""
    found, left, top = [], view.region.x, view.region.y
    rows = [
        [one for character in row for one in (character, "")[: width(character)]]
        for row in screen_text(pilot).splitlines()
    ]
    for y in range(view.size.height):
        cells = [text_of(view.token_words(x, y)) for x in range(view.size.width)]
        at = 0
        for said, same in groupby(cells):
            n = len(list(same))
            if said:
                found.append(("".join(rows[top + y][left + at :][:n]), said))
            at += n
    return found


def assert_said(found: list[tuple[str, str]], least: int) -> None:
    assert len(found) >= least
    for drawn, said in found:
        match = SAID.match(said)
        assert match is not None, said
        token = match[2].replace("·", " ").strip()
        for word in drawn.replace("┊", " ").split():
            ruler = set(word) <= set(LEVELS)
            assert token.startswith(word) or token.endswith(word) or "‹" in word or ruler, (drawn, said)


@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_page_and_list_say_what_they_draw(size: tuple[int, int], make_app: MakeApp) -> None:
    async with make_app().run_test(size=size) as pilot:
        await settle(pilot)
        state = browse_screen(pilot).pane.state
        assert_said(said_at(state.listing, pilot), 20)
        await press(pilot, "enter")
        for _ in Rendering:
            assert_said(said_at(state.page, pilot), 20)
            await press(pilot, "m")
        await press(pilot, "plus")
        assert_said(said_at(state.page, pilot), 20)


async def test_a_document_says_number_and_activation(make_app: MakeApp, sample: Sample) -> None:
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "enter")
        await press(pilot, "n", "enter")
        document = browse_screen(pilot).pane.state.document
        await until(pilot, lambda: document.whole is not None and document.display and document.rows > 1)
        whole = document.whole
        assert whole is not None
        found = said_at(document, pilot)
        assert_said(found, 20)
        fired = 0
        for _, said in found:
            number = int(SAID.match(said)[1])  # type: ignore[index]
            truth = sample.dense_NF[whole.start + number - 1, whole.feature]
            fires = re.search(r"fires ([\d.]+)", said)
            assert (fires is not None) == (truth > 0)
            if fires:
                fired += 1
                assert float(fires[1]) == pytest.approx(truth, rel=0.02)
        assert fired


async def test_the_bottom_line_follows_the_mouse_until_a_key(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        page = browse_screen(pilot).pane.state.page
        hints = footer(pilot)
        row = next(stop.row for stop in page._sheet.stops if stop.key.place is not None) + 1
        column = next(x for x in range(20, page.size.width) if page.token_words(x, row))
        await pilot.hover(page, (column, row))
        assert footer(pilot) == text_of(page.token_words(column, row)).rstrip()
        await pilot.press("J")
        await settle(pilot)
        assert "token" not in footer(pilot)
        await pilot.press("K")
        await settle(pilot)
        await pilot.hover(page, (column, row))
        assert footer(pilot).startswith(" token ")
        await pilot.hover(page, (1, 1))
        await until(pilot, lambda: footer(pilot) == hints)


async def test_an_error_stays_and_a_sentence_gives_way(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        screen, listing = browse_screen(pilot), browse_screen(pilot).pane.state.listing
        column = next(x for x in range(20, listing.size.width) if listing.token_words(x, 4))
        screen.complain(MonosemError("broken"))
        await pilot.hover(listing, (column, 4))
        assert footer(pilot).strip() == "broken"
        await pilot.press("j")
        screen.tell("labelled")
        await pilot.hover(listing, (column, 5))
        await until(pilot, lambda: footer(pilot).startswith(" token "))
        await pilot.press("slash")
        await pilot.hover(listing, (column, 6))
        assert screen.line.typing
        assert not screen.pointed.words


async def test_live_says_the_figures_of_both_texts(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("c")
        screen = await write(pilot)
        await pilot.press("v")
        view, shown = screen.writing.view, screen.writing.shown
        cells = {
            token: (x, y)
            for y in range(view.size.height)
            for x in range(view.size.width)
            if (token := shown.token_at(x, y)) is not None
        }
        n = len(shown.talk.writing)
        await pilot.hover(view, cells[n - 1])
        await until(pilot, lambda: footer(pilot).startswith(f" token {n}   base "))
        assert "KL" in footer(pilot)
        assert shown.cursor is None


async def test_inspect_says_the_activation_that_colours_the_text(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p", *keys("a b c d"), "enter")
        looked, view = screen.inspection.looked, screen.inspection.view
        await until(pilot, lambda: bool(looked.reads))
        cells = {
            token: (x, y)
            for y in range(view.size.height)
            for x in range(view.size.width)
            if (token := looked.token_at(x, y)) is not None
        }
        assert len(cells) == len(looked.reads)
        last = len(looked.reads) - 1
        await pilot.hover(view, cells[last])
        await until(pilot, lambda: footer(pilot).startswith(f" token {last + 1} "))
        assert f"   {looked.feature} " in footer(pilot)
        await pilot.click(view, cells[last])
        await until(pilot, lambda: looked.token == last)


@pytest.mark.skipif(not Path("/dev/ptmx").exists(), reason="needs pseudo-terminals")
def test_the_mouse_costs_bytes_only_where_words_change(sample: Sample) -> None:
    def move(x: int, y: int) -> bytes:
        return b"\x1b[<35;%d;%dM" % (x + 1, y + 1)

    with PtyApp(sample.run.path, 120, 30, TERM="xterm-256color") as app:
        app.read_until(b"PROMOTES")
        app.rest()
        app.press(move(3, 29))  # the terminal is told once which pointer to draw
        assert app.press(b"".join(move(x, 0) for x in range(100))) == b""
        row = 6
        moved = [len(app.press(move(x, row))) for x in range(20, 45)]
        assert sum(size == 0 for size in moved) > 10  # a token has several cells
        assert any(moved)
        assert max(moved[1:]) <= 400
        across = app.press(b"".join(move(x, row) for x in range(20, 110)))
        assert len(across) <= 1_500  # coalesced
