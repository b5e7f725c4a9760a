"""The Live screen with a pretended model: what keys ask of it, and what becomes of the screen when it fails."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from pathlib import Path

import pytest
from textual.events import Paste

from monosem_tui.draw.palette import Palette
from monosem_tui.keys.actions import Where
from monosem_tui.keys.table import at
from monosem_tui.live.model_client import Phase
from monosem_tui.live.sampling_text import written
from monosem_tui.model.open_run import open_run
from monosem_tui.model.session_state import LiveMemory, Memory, recall
from store.live.recipe import Recipe
from store.live.sampling import Sampling
from tests.patience import wait_for_end
from tests.sample_run import VOCAB, Sample
from tests.tui.conftest import MakeApp
from tests.tui.live_app import keys, live, pretend, process_of, write
from tests.tui.screens import assert_golden, press, screen_text, settle, style_digest, until
from tests.tui.test_goldens import SIZES


def words(first: int, last: int) -> str:
    """Tokens of the small run's vocabulary, as text."""
    return b"".join(VOCAB[first:last]).decode()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_before_anything_is_written(
    size: tuple[int, int], make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=size) as pilot:
        await live(pilot)
        assert_golden(f"live-start-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_text_under_clamps(size: tuple[int, int], make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=size) as pilot:
        await press(pilot, "c", "j", "c")
        await write(pilot)
        await pilot.press("k", "x")
        await until(pilot, lambda: "the text is complete" in screen_text(pilot))
        await pilot.press("space")
        assert "both texts are complete" in screen_text(pilot)
        await pilot.press(*"hhhh")
        await pilot.pause()
        assert_golden(f"live-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


async def test_features_of_the_prompt_fill_the_empty_half(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await live(pilot)
        await pilot.press("j")
        assert "no clamps yet: a adds one" in screen_text(pilot)
        await write(pilot)
        await until(pilot, lambda: "firing most in the prompt" in screen_text(pilot))
        await pilot.press("j", "c")
        assert screen.connection.tray.clamps == ("0=max*1@response",)
        assert "no clamp:" not in screen_text(pilot)
        assert "written before the clamps were changed" in screen_text(pilot)


async def test_texts_differ_from_the_token_that_clamps_change(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(200, 50)) as pilot:
        await press(pilot, "c")
        screen = await write(pilot)
        text = screen_text(pilot)
        assert f"{words(10, 14)} │{words(30, 31).strip()}" in text
        assert words(10, 17) in text
        assert "differs from token 5" in text
        assert screen.connection.talk.writing.fork == 4
        assert "KL mean 1.50 nats from token 5" in text
        assert "96 tok/s" in text
        assert style_digest(pilot, Palette()).count("heat 4") > 3
        await pilot.press("v")  # by the clamped feature: token n has n % 4, twice that in the clamped text
        await until(pilot, lambda: len(screen.connection.talk.writing.watched.clamped) == 199)
        assert screen.connection.talk.writing.watched.clamped[:5] == [0, 2, 4, 6, 0]
        assert "painted by 0 water, boats, the sea, before clamps" in screen_text(pilot)
        assert style_digest(pilot, Palette()).count("heat 3") > 6
        await pilot.press("V", *keys("48"), "enter")
        assert "'48' is not a feature of this run" in screen_text(pilot)
        await pilot.press("escape", "V", "7", "enter")
        await until(pilot, lambda: len(screen.connection.talk.writing.watched.base) == 199)
        assert "painted by 7 " in screen_text(pilot)
        await pilot.press("v")
        assert "heat" not in style_digest(pilot, Palette())
        await pilot.press("v")
        first = f"│{words(30, 31).strip()}"
        y, line = next((y, line) for y, line in enumerate(text.splitlines()) if first in line)
        await pilot.click(offset=(line.index(first) + len(first) + 1, y))  # behind it, the sixth
        assert screen.writing.shown.cursor == 5
        assert " token 6 " in screen_text(pilot)
        assert "moved most, points" in screen_text(pilot)
        assert "77.9 %" in screen_text(pilot)
        await pilot.press("r")
        assert "greedy" in screen_text(pilot)


async def test_a_strength_changed_while_it_writes_is_sent(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "ever")
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        screen = await live(pilot)
        await pilot.press("p", *"sea", "enter")
        await until(pilot, lambda: len(screen.connection.talk.writing) > 3)
        await pilot.press("]")
        await until(pilot, lambda: "takes effect at token" in screen_text(pilot))
        assert screen.connection.talk.phase is Phase.WRITING
        assert screen.connection.talk.recipe is not None
        assert screen.connection.talk.recipe.clamps == ("0=max*1.5@response",)
        await pilot.press("0")
        await until(
            pilot, lambda: screen.connection.talk.recipe is not None and not screen.connection.talk.recipe.clamps
        )
        await pilot.press("ctrl+g")
        await until(pilot, lambda: screen.connection.talk.phase is Phase.RESTING)
        written = len(screen.connection.talk.writing)
        await pilot.press("space")
        await until(pilot, lambda: len(screen.connection.talk.writing) == written + 1)
        await pilot.press("h", "h", "h", "b")
        await until(pilot, lambda: len(screen.connection.talk.writing) > written + 2)
        await pilot.press("space")
        await until(pilot, lambda: screen.connection.talk.phase is Phase.RESTING)
        numbers = [token.token for token in screen.connection.talk.writing.base]
        assert numbers == [10 + n % 50 for n in range(len(numbers))]  # nothing twice, nothing missing


async def test_the_tray(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        assert "0 into the tray: set to max × 1 on response; its maximum is " in screen_text(pilot)
        await press(pilot, "c")
        assert "0 is in the tray" in screen_text(pilot)
        screen = await live(pilot)
        for pressed, clamps in (
            (["]"], ("0=max*1.5@response",)),
            (["-", "-"], ("0=max*0.5@response",)),
            (["x"], ("0=off@response",)),
            (["x"], ("0=max*0.5@response",)),
            (["0"], ()),
            (["0"], ("0=max*0.5@response",)),
            (["a", *keys("7=+3"), "enter"], ("0=max*0.5@response", "7=+3")),
            (["k", "d"], ("7=+3",)),
            (["enter", "backspace", "4", "enter"], ("7=+4",)),
        ):
            await pilot.press(*pressed)
            assert screen.connection.tray.clamps == clamps, pressed
        for text, why in (
            ("x", "expected FEATURE=STRENGTH"),
            ("48=1", "there is no feature 48"),
            ("47=max*2", "never fires in the index"),
        ):
            await pilot.press("a", *keys(text), "enter")
            assert screen.connection.tray.clamps == ("7=+4",)
            assert why in screen_text(pilot)
            await pilot.press("escape")
        modes = []
        for _ in range(4):
            await pilot.press("m")
            modes.append(screen.connection.tray.held[0].clamp.mode)
        assert modes == ["scale", "max", "set", "add"]


async def test_what_is_kept_for_the_next_time(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, sample: Sample
) -> None:
    pretend(monkeypatch)
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        await write(pilot)
        await pilot.press("0", "g", *["backspace"] * 6, *keys("t=0.5"), "enter")
        app.keep()
    kept = recall(sample.run.path)
    assert kept.live == LiveMemory(
        prompt="the sea", clamps="-0=max*1@response", sampling="t=0.5 p=1 k=0 max=200 seed=0"
    )
    async with make_app(memory=kept).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        assert (screen.writing.shown.prompt, screen.connection.tray.written()) == ("the sea", "-0=max*1@response")
        assert written(screen.writing.shown.sampling) == "t=0.5 p=1 k=0 max=200 seed=0"
        await pilot.press("p", "escape")
    hostile = Memory(live=LiveMemory(prompt="\x1b[31m", clamps="0=max*2 ]] 999999=1 =", sampling="k=x"))
    async with make_app(memory=hostile).run_test(size=(80, 24)) as pilot:
        await live(pilot)
        assert "⟨0x1B⟩[31m" in screen_text(pilot)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_sweep(size: tuple[int, int], make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=size) as pilot:
        await press(pilot, "c")
        screen = await write(pilot)
        await pilot.press("s", "enter")
        await until(pilot, lambda: screen.connection.talk.swept is not None)
        assert_golden(f"live-sweep-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))
        await pilot.press("escape")
        assert "KL mean" in screen_text(pilot)
        await pilot.press("s", "ctrl+u", *keys("0=1"), "enter")
        assert "not a row of strengths" in screen_text(pilot)


async def test_a_complete_text_keeps_the_clamps_it_was_written_with(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        screen = await write(pilot)
        talk = screen.connection.talk
        assert "written with" not in screen_text(pilot)
        await pilot.press("]")
        await until(pilot, lambda: "the text is complete: ctrl+g writes it again" in screen_text(pilot))
        assert "clamped · written with 0=max*1@response · " in screen_text(pilot)
        assert talk.recipe is not None
        assert talk.recipe.clamps == ("0=max*1@response",)
        await pilot.press("[")
        await pilot.pause()
        assert "written with" not in screen_text(pilot)
        await pilot.press("[", "h", "b")  # from a token on it obeys what the tray says
        await until(pilot, lambda: talk.phase is Phase.RESTING and talk.recipe.clamps == ("0=max*0.5@response",))
        assert "written with" not in screen_text(pilot)


@pytest.mark.parametrize(
    ("opens", "typed", "caret", "why"),
    [
        ("a", "foo", 3, "expected FEATURE=STRENGTH"),
        ("a", "7=mux*4@response", 2, "'mux*4' is not a strength (character 3)"),
        ("a", "7=max*1@nowhere", 8, "'@nowhere' is not a place (character 9)"),
        ("s", "0=1,2,x", 6, "'x' is not a strength (character 7)"),
        ("g", "temp=1", 0, "unknown setting temp; try t=1"),
        ("g", "t=1 p=one", 4, "'one' is not a number"),
    ],
)
async def test_a_text_that_cannot_be_taken_stays_to_be_mended(
    opens: str, typed: str, caret: int, why: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(80, 24)) as pilot:
        await press(pilot, "c")
        screen = await live(pilot)
        before = screen.connection.tray.clamps
        await pilot.press(opens, "ctrl+u", *keys(typed), "enter")
        assert screen.line.typing
        assert (screen.input._before, screen.input.text) == (typed[:caret], typed)
        assert why in " ".join(screen_text(pilot).split())
        await pilot.press("x")  # typed, and no command
        assert screen.connection.tray.clamps == before
        assert screen.input.text == f"{typed[:caret]}x{typed[caret:]}"
        assert why not in " ".join(screen_text(pilot).split())
        await pilot.press("escape")
        assert not screen.line.typing


async def test_files(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sample: Sample) -> None:
    pretend(monkeypatch)
    monkeypatch.chdir(tmp_path)
    async with make_app().run_test(size=(120, 40)) as pilot:
        await press(pilot, "c")
        screen = await write(pilot)
        await pilot.press("w", "ctrl+u", *keys("sea.json"), "enter")
        await until(pilot, lambda: "the recipe is in sea.json" in screen_text(pilot))
        recipe = Recipe.load(tmp_path / "sea.json")
        digest = hashlib.sha256(sample.run.sae.read_bytes()).hexdigest()
        assert recipe == Recipe(
            prompt="the sea", clamps=("0=max*1@response",), sampling=Sampling(max_new=200), dictionary=digest
        )
        await pilot.press("w", "ctrl+u", *keys("sea.json"), "enter")
        await until(pilot, lambda: "is there already" in screen_text(pilot))
        await pilot.press("e", "enter")
        await pilot.pause()
        text = (tmp_path / "sample-1.txt").read_text()
        assert "the sea" + words(10, 60) in text
        await pilot.press("e", "ctrl+u", *keys("out.json"), "enter")
        await pilot.pause()
        found = json.loads((tmp_path / "out.json").read_text())
        assert found["clamped"]["ids"] == [token.token for token in screen.connection.talk.writing.clamped]
        assert (found["base"]["end"], found["kl"][:5]) == ("length", [0.0] * 4 + [1.5])
        assert {"prompt", "seed", "clamps", "base", "clamped", "kl", "tok_s"} == set(found)
        await pilot.press("e", "ctrl+u", *keys("/dev/null/x"), "enter")
        await pilot.pause()
        assert "/dev/null" in screen_text(pilot)


# What goes wrong


async def test_killed_in_the_middle_of_a_sentence(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "ever")
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("p", *"sea", "enter")
        await until(pilot, lambda: len(screen.connection.talk.writing) > 3)
        first = process_of(screen)
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        await until(pilot, lambda: screen.connection.talk.phase is Phase.DEAD)
        text = screen_text(pilot)
        assert "model process stopped · R restarts it" in text.splitlines()[1]
        assert "killed (SIGKILL), often out of memory" in text.splitlines()[2]
        assert "R restarts it" in text
        assert words(10, 13) in text
        await pilot.press("R")
        await until(pilot, lambda: screen.connection.talk.phase is Phase.RESTING)
        assert words(10, 13) in screen_text(pilot)
        assert process_of(screen) is not first
        await pilot.press("b")
        await pilot.press("h", "b")
        assert "holds this text no more" in screen_text(pilot)
        await pilot.press("escape", "ctrl+g")
        await until(
            pilot, lambda: len(screen.connection.talk.writing) > 3 and screen.connection.talk.phase is Phase.WRITING
        )
        pid = process_of(screen).pid
        assert pid is not None
        await pilot.press("ctrl+g")
    wait_for_end(pid)


async def test_memory_runs_out_while_it_writes(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "exhausted")
    async with make_app().run_test(size=(80, 24)) as pilot:
        screen = await live(pilot)
        await pilot.press("p", *"sea", "enter")
        await until(pilot, lambda: "memory ran out on the GPU · Shorten the text." in screen_text(pilot))
        assert screen.connection.talk.phase is Phase.RESTING
        assert words(10, 12) in screen_text(pilot)
        await pilot.press("j")
        assert "memory ran out" in screen_text(pilot)  # until something else is asked for


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_reason_is_told_whole(
    size: tuple[int, int], make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, "dies")
    async with make_app().run_test(size=size) as pilot:
        screen = await live(pilot)
        await pilot.press("p", *"sea", "enter")
        await until(pilot, lambda: screen.connection.talk.phase is Phase.DEAD)
        text = " ".join(screen_text(pilot).split())
        assert "model process stopped · R restarts it" in text
        assert "killed (SIGKILL), often out of memory" in text


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("refuses", "there is no model in"),
        ("mute", "ModuleNotFoundError: No module named 'engine'"),
        ("dies", "killed (SIGKILL), often out of memory"),
    ],
)
async def test_a_model_that_cannot_be_had(
    behaviour: str, said: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, behaviour)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("p", *"sea", "enter")
        await until(pilot, lambda: said in screen_text(pilot))
        assert screen.connection.talk.phase in (Phase.NONE, Phase.DEAD)
        pretend(monkeypatch)
        screen.connection.command = type(screen.connection).command
        await pilot.press("R")
        await until(pilot, lambda: screen.connection.talk.phase is Phase.RESTING)


async def test_the_screen_stays_usable_while_it_loads(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, "slow")
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("p", *"sea", "enter")
        await until(pilot, lambda: "reading weights 3 of 8 files" in screen_text(pilot))
        await pilot.press("a", *keys("7=5"), "enter")
        assert screen.connection.tray.clamps == ("7=5",)
        await pilot.press("1")
        await settle(pilot)
        assert "TOP" in screen_text(pilot)
        await pilot.press("3", "ctrl+g")
        assert "nothing will be written" in screen_text(pilot)


async def test_prompts_that_do_not_do(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("ctrl+g")
        assert "there is no prompt" in screen_text(pilot)
        await pilot.press("p", "enter")
        assert "there is no prompt" in screen_text(pilot)
        screen = await write(pilot)
        await pilot.press("p", "ctrl+u")
        screen.line.paste("a line of text\n" * 5000)
        await pilot.pause()
        assert "20 000 of 75 000 letters kept" in screen_text(pilot)
        assert "↵a line of text" in screen_text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: "the prompt has 5000 tokens" in screen_text(pilot))
        assert words(10, 13) in screen_text(pilot)  # the old text stays


async def test_a_store_by_itself_has_no_model(make_app: MakeApp, tmp_path: Path, sample: Sample) -> None:
    alone = tmp_path / "copied.h5"
    alone.write_bytes(sample.run.features.read_bytes())
    run = open_run(alone)
    async with make_app(run).run_test(size=(120, 40)) as pilot:
        await live(pilot)
        for key in ("p", "R", "ctrl+g"):
            await pilot.press(key)
            assert "has no model" in screen_text(pilot)
            await pilot.press("k")
    run.store.close()


def test_every_key_of_live_is_pressed_here() -> None:
    pressed = set("p ] - 0 x d a c m j k h l v V b g r s w e o @ C S H L f ctrl+g space enter".split())
    for action in at(Where.WRITING):
        assert pressed & set(action.keys), action.id


# Any text through the features


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_a_text_looked_at(size: tuple[int, int], make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=size) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "p")
        pilot.app.post_message(Paste(" ".join("abcdefghijklmnopqrstuvwxyz" * 3)))
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: len(screen.inspection.looked.reads) == 79)
        await pilot.press("space", "l", "space", "l", "l", "j", "x")
        await until(pilot, lambda: "without it" in screen_text(pilot))
        if size != (60, 20):  # there is no room for the card
            await until(pilot, lambda: "\n─ 23  ·sleep" in screen_text(pilot))
        assert_golden(f"inspect-{size[0]}x{size[1]}", screen_text(pilot) + "\n" + style_digest(pilot, Palette()))


async def test_keys_of_looking(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch)
    async with make_app().run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("i", "enter")
        assert "p takes a text" in screen_text(pilot)
        await pilot.press("p", "enter")
        assert "there is no text" in screen_text(pilot)
        await pilot.press("p", *keys("a b c d"), "enter")
        await until(pilot, lambda: len(screen.inspection.looked.reads) == 5)
        looked = screen.inspection.looked
        assert (looked.token, looked.feature) == (1, 0)  # BOS has no features
        await pilot.press("l", "l", "h", "j")
        assert (looked.token, looked.row, looked.feature) == (2, 1, 21)
        await pilot.press("j", "k")
        assert looked.feature == 1
        await pilot.press("space", "l", "space", "l", "space", "h", "h", "h", "space", "j", "space")
        assert looked.chosen == (1, 2, 3, 0)
        assert "4 features colour the text already" in screen_text(pilot)
        await pilot.press("k", "space")
        assert looked.chosen == (1, 2, 3)
        await pilot.press("l", "c")
        assert screen.connection.tray.clamps == ("1=max*1@response",)
        await pilot.press("x")
        await until(pilot, lambda: "+0.50 nats without it" in screen_text(pilot))
        assert (looked.token, looked.feature) == (2, 1)
        await pilot.press("enter")
        await settle(pilot)
        assert "TOP" in screen_text(pilot)
        await pilot.press("3")
        assert screen.inspection.view.display
        await pilot.press("escape")
        assert not screen.inspection.view.display


def test_every_key_of_looking_is_pressed_here() -> None:
    pressed = {"p", "l", "h", "j", "k", "enter", "space", "x", "c", "i", "R", "o", "v", "H", "L", "C"}
    for action in at(Where.INSPECT, Where.LIVE):
        assert pressed & set(action.keys), action.id
