"""Recipes kept in a run's notes and written again, chats, and where clamps hold."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual.pilot import Pilot

from monosem_tui.draw.palette import Palette
from monosem_tui.keys.actions import Where
from monosem_tui.keys.table import at
from monosem_tui.live.model_client import Phase
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.model.session_state import recall
from monosem_tui.screens.live.screen import LiveScreen
from store.live.recipe import Recipe
from store.live.sampling import Sampling
from store.live.saved_recipes import keep_recipe, kept_recipes
from store.notes.note_file import Notes
from tests.sample_run import Sample
from tests.tui.conftest import MakeApp
from tests.tui.live_app import keys, live, pretend, write
from tests.tui.screens import assert_golden, press, screen_text, style_digest, until
from tests.tui.test_goldens import SIZES


@pytest.fixture
def own(sample: Sample, tmp_path: Path) -> Iterator[OpenRun]:
    """The sample's run in a folder of its own, to be written to."""
    run = open_run(Path(shutil.copytree(sample.run.path, tmp_path / "own")))
    yield run
    run.store.close()


OTHER = Recipe(
    prompt="a boat", clamps=("7=5", "0=max*2@prompt"), sampling=Sampling(max_new=30, temperature=0.5, seed=3)
)


async def complete(pilot: Pilot[None], screen: LiveScreen) -> None:
    await until(
        pilot, lambda: screen.connection.talk.phase is Phase.RESTING and screen.connection.talk.writing.complete
    )


async def test_a_recipe_is_kept_and_written_again(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun
) -> None:
    pretend(monkeypatch)
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        screen = await write(pilot)
        wrote = screen.connection.talk.recipe
        await pilot.press("w", "enter")
        await until(pilot, lambda: "own-1 saved (o opens it)" in screen_text(pilot))
        (kept,) = kept_recipes(own.editor.notes.path)
        digest = hashlib.sha256((own.path / "sae.h5").read_bytes()).hexdigest()
        assert kept.recipe == Recipe(
            prompt="the sea", clamps=("0=max*1@response",), sampling=Sampling(max_new=200), dictionary=digest
        )
        await pilot.press("w", "right", "backspace", "1", "enter")
        assert "is kept already" in screen_text(pilot)
        await pilot.press("d", "g", *keys(" t=0.7 seed=9"), "enter", "p", "x", "enter")
        await complete(pilot, screen)
        assert screen.connection.talk.recipe != wrote
        await pilot.press("o", "enter")
        await complete(pilot, screen)
        assert screen.connection.talk.recipe == wrote
        assert screen.connection.tray.clamps == ("0=max*1@response",)
        assert screen.writing.shown.sampling.temperature == 0


async def test_choosing_among_recipes(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun) -> None:
    pretend(monkeypatch)
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("o")
        assert "w keeps what is written" in screen_text(pilot)
        await pilot.press("enter")
        assert "no recipes" in screen_text(pilot)
        await pilot.press("o")
        assert screen.here is Where.WRITING
        keep_recipe(Notes(own.editor.notes.path), "boat", OTHER)
        keep_recipe(Notes(own.editor.notes.path), "row", Recipe(prompt="a row", sweep="5=0,1,2", clamps=("7=5",)))
        await pilot.press("o", "j", "j", "k", "j")
        assert "raised by" not in screen_text(pilot)
        assert "7 set to 5" in screen_text(pilot)
        await pilot.press("enter")
        await until(
            pilot, lambda: "made with another" not in screen_text(pilot) and screen.connection.talk.writing.complete
        )
        assert screen.connection.talk.recipe == OTHER
        await pilot.press("o", "k", "enter")
        await until(pilot, lambda: screen.connection.talk.swept is not None)
        assert [one.clamp for one in screen.connection.talk.swept.strengths] == ["5=0", "5=1", "5=2"]  # type: ignore[union-attr]
        await pilot.press("w", "ctrl+u", *"again", "enter")
        await until(pilot, lambda: "again saved" in screen_text(pilot))
        assert kept_recipes(own.editor.notes.path)[0].recipe.sweep == "5=0,1,2"
        await pilot.press("o", "d")
        assert [kept.name for kept in kept_recipes(own.editor.notes.path)] == ["row", "boat"]
        await pilot.press("escape", "escape")
        assert screen.here is Where.WRITING


async def test_a_proposed_name_gives_way_to_what_is_typed(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun
) -> None:
    pretend(monkeypatch)
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        screen.writing.shown.prompt = "the sea"
        texts = []
        for press_first in (["x"], ["right", "x"], ["home", "x"], ["backspace", "x"], ["ctrl+u"]):
            await pilot.press("w", *press_first)
            texts.append(screen.input.text)
            await pilot.press("escape")
        assert texts == ["x", "own-1x", "xown-1", "x", ""]
        await pilot.press("w")
        assert "cursor" in style_digest(pilot, Palette())
        screen.line.paste("pasted\nmore")
        assert screen.input.text == "pasted"
        await pilot.press("escape")


async def test_a_recipe_taken_away_comes_back(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun) -> None:
    pretend(monkeypatch)
    for name in ("boat", "row"):
        keep_recipe(Notes(own.editor.notes.path), name, OTHER)
    kept = kept_recipes(own.editor.notes.path)
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("o", "u")
        assert "no recipe was taken away in this session" in screen_text(pilot)
        await pilot.press("d", "d")
        assert "boat taken away · u brings it back" in screen_text(pilot)
        await pilot.press("u", "u")
        assert kept_recipes(own.editor.notes.path) == kept
        present = screen.recipes.recipes.present
        assert present is not None
        assert present.name == "row"
        assert "row is back" in screen_text(pilot)
        await pilot.press("d")
        keep_recipe(Notes(own.editor.notes.path), "row", Recipe(prompt="theirs"))
        await pilot.press("u")
        assert "row is the name of another recipe since" in screen_text(pilot)


async def test_recipes_that_do_not_fit(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun, tmp_path: Path
) -> None:
    pretend(monkeypatch)
    notes = Notes(own.editor.notes.path)
    keep_recipe(notes, "far", Recipe(prompt="x", clamps=("999=1",)))
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("o", "enter")
        assert "there is no feature 999" in screen_text(pilot)
        assert screen.writing.shown.prompt == ""
        foreign = tmp_path / "f.json"
        Recipe(prompt="the sea", dictionary="0" * 64).save(foreign)
        await pilot.press("f", *keys(str(foreign)), "enter")
        await until(pilot, lambda: "made with another dictionary" in screen_text(pilot))
        await complete(pilot, screen)
        (tmp_path / "no.json").write_text("{}")
        await pilot.press("o", "f", *keys(str(tmp_path / "no.json")), "enter")
        assert "is not a recipe" in screen_text(pilot)


async def test_a_text_under_several_strengths_is_said_to_be_one(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun
) -> None:
    pretend(monkeypatch, "ever")
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        screen = await live(pilot)
        await pilot.press("p", *"sea", "enter")
        await until(pilot, lambda: len(screen.connection.talk.writing) > 3)
        await pilot.press("]")
        await until(pilot, lambda: "takes effect at" in screen_text(pilot))
        await pilot.press("ctrl+g")
        await until(pilot, lambda: screen.connection.talk.phase is Phase.RESTING)
        await pilot.press("w", "enter")
        await until(pilot, lambda: "clamps changed while this text was written" in screen_text(pilot))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_page_of_recipes(
    size: tuple[int, int], make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun
) -> None:
    pretend(monkeypatch)
    monkeypatch.setattr("store.live.saved_recipes.time.time", lambda: 1_700_000_000.0)
    notes = Notes(own.editor.notes.path)
    keep_recipe(notes, "boat", OTHER)
    keep_recipe(notes, "polite", Recipe(prompt="Who are you?", chat=True, system="Be brief.", clamps=("7=off@user",)))
    async with make_app(own).run_test(size=size) as pilot:
        await live(pilot)
        await pilot.press("o")
        text = screen_text(pilot) + "\n" + style_digest(pilot, Palette())
        assert_golden(f"live-recipes-{size[0]}x{size[1]}", text)


def test_every_key_of_choosing_is_pressed_here() -> None:
    for action in at(Where.RECIPES):
        assert {"j", "k", "enter", "d", "u", "f", "o"} & set(action.keys), action.id


# Chats


async def test_a_chat(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun) -> None:
    pretend(monkeypatch, "chatty")
    app = make_app(own)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        screen = await live(pilot)
        await pilot.press("a", *keys("7=5@user"), "enter")
        assert "@user is a turn of a chat" in screen_text(pilot)
        await pilot.press("escape", "S", *keys("Be brief."), "enter")
        assert screen.writing.shown.chat
        await pilot.press("a", *keys("7=5@user"), "enter")
        screen = await write(pilot, "Who are you?")
        recipe = screen.connection.talk.recipe
        assert recipe is not None
        assert (recipe.chat, recipe.system, recipe.prompt) == (True, "Be brief.", "Who are you?")
        assert recipe.clamps == ("0=max*1@response", "7=5@user")
        text = screen_text(pilot)
        assert "SYSTEM  Be brief." in text
        assert "USER    Who are you?" in text
        await pilot.press("C")
        assert "PROMPT  Who are you?" in screen_text(pilot)
        await pilot.press("ctrl+g")
        assert "@user is a turn of a chat, and the prompt is not a chat" in screen_text(pilot)
        await pilot.press("C")
        app.keep()
    kept = recall(own.path).live
    assert (kept.chat, kept.system) == (True, "Be brief.")
    async with make_app(own, memory=recall(own.path)).run_test(size=(80, 24)) as pilot:
        screen = await live(pilot)
        assert (screen.writing.shown.chat, screen.writing.shown.system) == (True, "Be brief.")


async def test_a_model_that_takes_no_chats(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun) -> None:
    pretend(monkeypatch)
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("C", "p", *"sea", "enter")
        await until(pilot, lambda: "the tokenizer of fake has no chat template" in screen_text(pilot))
        assert screen.connection.talk.phase is Phase.RESTING
        await pilot.press("ctrl+g")
        assert "no chat template: C takes the text as it is" in screen_text(pilot)
        await pilot.press("C", "ctrl+g")
        await complete(pilot, screen)
        await pilot.press("C")
        assert "no chat template" in screen_text(pilot)
        assert not screen.writing.shown.chat


async def test_where_a_clamp_holds(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, own: OpenRun) -> None:
    pretend(monkeypatch)
    async with make_app(own).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("a", *keys("7=5@response@2:9@if:3>1"), "enter")
        found = []
        for _ in range(3):
            await pilot.press("@")
            found += screen.connection.tray.clamps
        assert found == ["7=5@2:9@if:3>1", "7=5@prompt@2:9@if:3>1", "7=5@response@2:9@if:3>1"]
        await pilot.press("x", "@", "x")
        assert screen.connection.tray.clamps == ("7=5@2:9@if:3>1",)
        screen.writing.shown.chat = True
        await pilot.press("@", "@")
        assert screen.connection.tray.clamps == ("7=5@user@2:9@if:3>1",)
