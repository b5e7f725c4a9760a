"""Texts through the features: documents of the corpus, picked tokens, and effects of ablation."""

from __future__ import annotations

import numpy as np
import pytest
from textual.pilot import Pilot

from monosem_tui.draw.spans import HEAT_UNDER, HUES, HUES_UNDER, Role
from monosem_tui.live.model_client import Phase
from monosem_tui.model.context_borders import BORDER
from monosem_tui.model.document import passage, place_of
from monosem_tui.pages.inspect_page import counterpart, token_roles
from monosem_tui.screens.live.screen import LiveScreen
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.live import wire
from store.live.model_outputs import Firing, ReadToken
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp
from tests.tui.live_app import keys, live, pretend
from tests.tui.screens import press, screen_text, settle, until


def test_documents_by_number(sample: Sample) -> None:
    with FeatureStore.open(sample.run.path) as store:
        starts, ids = store.layout.documents
        for start, number in list(zip(starts.tolist(), ids.tolist(), strict=True))[:5]:
            assert place_of(store, number) == starts[list(ids).index(number)]
            found = passage(store, start)
            first, stop = store.document_span(start)
            tokens = store.tokens(first, stop)
            kept = tokens[store.counted(first, stop)] if store.spec.excluded == "bos" else tokens
            assert found.text == store.vocabulary.text(kept)
            assert found.name == f"document {number}"
        missing = int(ids.max()) + 7
        with pytest.raises(MonosemError, match=f"document {missing} is not in the index"):
            place_of(store, missing)


def test_a_long_document_is_cut_around_the_place(sample: Sample) -> None:
    with FeatureStore.open(sample.run.path) as store:
        spans = [store.document_span(int(start)) for start in store.layout.documents.start]
        first, stop = max(spans, key=lambda span: span[1] - span[0])
        found = passage(store, stop - 1, most=6)
        assert found.n_tokens <= 6 < found.of == stop - first


async def read(pilot: Pilot[None], screen: LiveScreen) -> None:
    await until(
        pilot, lambda: len(screen.inspection.looked.reads) > 0 and screen.connection.talk.phase is Phase.RESTING
    )


async def test_a_document_by_its_number(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        number = 3
        await pilot.press("i", "o", *str(number), "enter")
        await until(pilot, lambda: bool(screen.inspection.looked.shown.text))
        await read(pilot, screen)
        assert f"document {number}:" in screen_text(pilot)
        await pilot.press("o", *"99999", "enter")
        await until(pilot, lambda: "document 99999 is not in the index" in screen_text(pilot))
        assert screen.line.typing
        assert screen.input.text == "99999"  # to be mended
        await pilot.press("escape", "o", "x", "enter")
        assert "is not the number of a document" in screen_text(pilot)


async def test_the_document_of_an_example(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await press(pilot, "I")
        assert "choose an example first (n)" in screen_text(pilot)
        await press(pilot, "enter", "n")
        await pilot.press("I")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen))
        screen = pilot.app.screen
        assert isinstance(screen, LiveScreen)
        looked = screen.inspection.looked
        await until(pilot, lambda: screen.inspection.view.display and bool(looked.shown.text))
        await read(pilot, screen)
        assert looked.shown.name.startswith("document ")


async def test_tokens_picked_together(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p", *keys(" ".join("abcdefghijklm")), "enter")
        await read(pilot, screen)
        looked = screen.inspection.looked
        await pilot.press("v", "l", "l", "v")
        sums: dict[int, float] = {}
        for place in (1, 3):
            for fires in looked.reads[place].firings:
                sums[fires.feature] = sums.get(fires.feature, 0.0) + fires.activation
        assert {fires.feature: fires.activation for fires in looked.firings} == sums
        assert "2 tokens picked: sum over them" in screen_text(pilot)
        await pilot.press("L", "H", "L")
        assert looked.token == 13
        assert len(looked.firings) == 4
        await pilot.press("h", *"hhhhhhhhh", "v", "h", "h", "v")
        assert looked.picked == ()
        assert {fires.feature for fires in looked.firings} == {f.feature for f in looked.reads[looked.token].firings}


@pytest.mark.parametrize(("size", "shown"), [((80, 24), True), ((200, 50), True), ((80, 12), False)])
async def test_a_card_where_there_is_room(
    size: tuple[int, int], shown: bool, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=size) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p", *keys("a b c d"), "enter")
        await read(pilot, screen)
        looked = screen.inspection.looked
        for key in ("j", "k"):
            await pilot.press(key)
            await until(pilot, lambda: (card := looked.card()) is not None and card.feature == looked.feature)
            lines = screen_text(pilot).splitlines()
            heads = [n for n, text in enumerate(lines) if text.startswith(f"─ {looked.feature} ")]
            facts = [n for n, text in enumerate(lines) if text.startswith(" fires on ")]
            assert [n + 1 for n in heads] == facts
            assert bool(heads) is shown


async def test_an_underline_on_the_colour(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p", *keys("a b c d"), "enter")
        await read(pilot, screen)
        looked = screen.inspection.looked
        assert token_roles(looked, [1])[0] not in HEAT_UNDER
        await pilot.press("x")
        await until(pilot, lambda: bool(looked.effects))
        assert looked.feature == 0  # the first token's; the fake says that ablating it costs 0.5 nats
        roles = token_roles(looked, range(3))
        assert roles[1] in HEAT_UNDER[1:]
        assert roles[2] is Role.PLAIN
        await pilot.press("space")
        assert token_roles(looked, [1])[0] is HUES_UNDER[0]
        await pilot.press("x")
        assert token_roles(looked, [1])[0] is HUES[0]
        assert np.isfinite(looked.firings[0].activation)


async def test_an_answer_to_another_text_is_not_shown(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p", *keys("a b c d"), "enter", "p", "end", *keys(" e f"), "enter")
        await read(pilot, screen)
        assert len(screen.inspection.looked.reads) == 7


async def test_a_typed_chat(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "chatty")
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p", *keys("a b c d"), "enter")
        await read(pilot, screen)
        assert "text: 5 tokens" in screen_text(pilot) and " · user" not in screen_text(pilot)
        await pilot.press("C")
        await until(pilot, lambda: " · user · 7 features fire" in screen_text(pilot))
        assert "chat: 5 tokens" in screen_text(pilot)
        await pilot.press("x")
        await until(pilot, lambda: bool(screen.inspection.looked.effects))
        assert {one.role for one in screen.inspection.looked.effects[1:]} == {"user"}
        await pilot.press("o", "3", "enter")  # a document is read as it is
        await until(pilot, lambda: "document 3:" in screen_text(pilot))
        await read(pilot, screen)
        await until(pilot, lambda: not any(one.role for one in screen.inspection.looked.reads))


async def test_a_chat_where_there_is_no_template(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "C", "p", *keys("a b"), "enter")
        await until(pilot, lambda: "the tokenizer of fake has no chat template" in screen_text(pilot))
        assert not screen.inspection.looked.reads
        await pilot.press("C")
        await read(pilot, screen)
        await pilot.press("C")
        assert "no chat template: C takes the text as it is" in screen_text(pilot)
        assert not screen.inspection.looked.chat


async def test_five_thousand_lines_pasted(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p")
        screen.line.paste("a line of text\n" * 5000)
        await pilot.pause()
        assert "20 000 of 75 000 letters kept" in screen_text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: len(screen.inspection.looked.reads) == 20_000 // 15 * 4 + 3)
        await pilot.press("L", "j", "space")
        assert "token 12" in screen_text(pilot)


async def test_an_example_keeps_its_place_and_its_feature(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(160, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p", *keys("a b c d"), "enter")
        await read(pilot, screen)
        looked = screen.inspection.looked
        await pilot.press("space")
        assert looked.chosen != ()  # a colour chosen for another text
        store = screen.connection.run.store
        monkeypatch.setattr(screen.connection.talk, "inspect", lambda *_, **__: None)  # a model that takes its time
        feature, place = 5, int(store.postings(5, 0, 1).token[0])
        screen.open_place(place, feature)
        await until(pilot, lambda: bool(looked.stored))
        first, stop = store.document_span(place)
        assert (looked.chosen, looked.feature) == ((), feature)
        assert looked.firings[0].activation == pytest.approx(float(store.activations(feature, place, place + 1)[0]))
        kept_T = store.counted(first, stop) if store.spec.excluded == "bos" else np.ones(stop - first, bool)
        assert [one.token for one in looked.reads] == store.tokens(first, stop)[kept_T].tolist()
        assert looked.token == int(kept_T[: place - first].sum())
        text = screen_text(pilot)
        assert f"{looked.shown.name}: {len(looked.reads)} tokens of the index · the model has not read it yet" in text
        assert f"coloured by {feature}, the feature under the cursor" in text
        answer = tuple(ReadToken(one.token, True, (Firing(9, 7.0), *one.firings), 2) for one in looked.reads)
        bos = ReadToken(0, False, (), 0)
        before = looked.token
        screen.connection.talk.inspected = wire.Inspected(id=1, contexts=((bos, *answer[:3]), (bos, *answer[3:])))
        screen.redraw()
        assert not looked.stored
        assert looked.reads[looked.token].token == answer[before].token
        assert looked.token == before + 1 + (before >= 3)
        assert (looked.row, looked.feature) == (1, feature)


async def test_the_title_is_that_of_the_text_on_the_screen(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p", *keys("a b c d"), "enter")
        await read(pilot, screen)
        monkeypatch.setattr(screen.connection.talk, "inspect", lambda *_, **__: None)
        screen.inspection.read("e f", "document 5")
        await pilot.pause()
        assert "text: 5 tokens" in screen_text(pilot)
        assert "document 5" not in screen_text(pilot)


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        ([1, 2, 3], [0, 1, 2, 3], [1, 2, 3]),
        ([1, 2, 3, 4], [0, 1, 2, 0, 3, 4], [1, 2, 4, 5]),
        ([1, 2, 3, 4], [1, 9, 4], [0, 0, 0, 2]),
        ([1], [7, 8], [1]),
        ([1, 2], [], [0, 0]),
    ],
)
def test_a_token_is_found_again_in_what_the_model_read(before: list[int], after: list[int], places: list[int]) -> None:
    assert [counterpart(before, place, after) for place in range(len(before))] == places


async def test_a_text_of_ones_own_is_painted_by_the_feature_of_the_page(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "p", *keys("[b]the sea[/b]"), "escape")
        assert not isinstance(pilot.app.screen, LiveScreen)
        await press(pilot, "p", "enter")
        assert not isinstance(pilot.app.screen, LiveScreen)  # nothing was typed
        await press(pilot, "j", "p", *keys("the sea"))
        feature = next(iter(pilot.app.screen.query("FeatureList"))).feature  # type: ignore[attr-defined]
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LiveScreen))
        screen = pilot.app.screen
        assert isinstance(screen, LiveScreen)
        await read(pilot, screen)
        assert screen.inspection.looked.shown.text == "the sea"
        assert screen.inspection.looked.chosen == (feature,)
        assert f"coloured by  {feature} " in screen_text(pilot)
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, LiveScreen))


async def test_what_is_typed_takes_the_place_of_the_text_before(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("p", *keys("the sea"), "enter", "p", "x")
        assert screen.input.text == "x"
        await pilot.press("escape", "i", "p", *keys("a b"), "enter", "p", "end", "c")
        assert screen.input.text == "a bc"
        await pilot.press("escape", "p", "d")
        assert screen.input.text == "d"


async def test_another_context_begins_with_a_border(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        looked = (await live(pilot)).inspection.looked
        opener, word = ReadToken(0, False, (), 0), ReadToken(8, True, (), 0)
        looked.stored = (opener, word, opener, word)
        texts = [piece.text for row in looked.rows(60) for piece in row]
        assert texts.count(BORDER) == 1
        assert texts[0] == "<|endoftext|>"
        looked.stored = (word, opener, word)  # a special token in the text
        assert BORDER not in [piece.text for row in looked.rows(60) for piece in row]
