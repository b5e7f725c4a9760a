"""The Live screen with the real process and a tiny random model: what is on the screen is what the engine writes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.live.from_recipe import prompt_of
from engine.live.generation import Generation
from engine.live.live_model import open_live
from engine.runtime.progress import Silent
from monosem_tui.live.model_client import Phase
from monosem_tui.model.open_run import open_run
from store.live.clamp import parse_clamp
from store.run.folder import RunFolder
from store.settings.subject import ReopenSettings
from tests.cli.live_runs import live_run
from tests.engine.small import words
from tests.tui.conftest import MakeApp
from tests.tui.live_app import ROOT, keys, live
from tests.tui.screens import screen_text, until

PROMPT = words([5, 9, 33, 12])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return live_run(tmp_path_factory.mktemp("live") / "run")


@pytest.mark.slow
async def test_a_text_is_what_the_engine_writes(
    run: RunFolder, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    opened = open_run(run.path)
    async with make_app(opened).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("g", *keys(" t=1.2 max=20 seed=40"), "enter", "a", *keys("3=max*40@response"), "enter")
        await pilot.press("p", *keys(PROMPT), "enter")
        await until(pilot, lambda: screen.connection.talk.writing.complete)
        recipe = screen.connection.talk.recipe
        assert recipe is not None
        assert (recipe.prompt, recipe.sampling.temperature, recipe.sampling.seed) == (PROMPT, 1.2, 40)
        model = open_live(run, ReopenSettings(), Silent())
        clamps = [parse_clamp(clamp) for clamp in recipe.clamps]
        own = Generation(model, prompt_of(model, recipe), clamps, recipe.sampling)
        while own.step() is not None:
            pass
        writing = screen.connection.talk.writing
        assert [token.token for token in writing.base] == own.base.tokens
        assert [token.token for token in writing.clamped] == own.clamped.tokens
        assert writing.kl == pytest.approx(own.kl, abs=1e-4)
        await pilot.press(*"hhhhh", "d", "b")
        await until(pilot, lambda: screen.connection.talk.phase is Phase.RESTING and len(writing) == 20)
        own.back(15)
        own.change([])
        while own.step() is not None:
            pass
        assert [token.token for token in screen.connection.talk.writing.clamped] == own.clamped.tokens
        await pilot.press("i")
        await until(pilot, lambda: len(screen.inspection.looked.reads) > 0)
        tokens = [read.token for read in screen.inspection.looked.reads]
        assert tokens == list(prompt_of(model, recipe).tokens)[: len(tokens)]
        await pilot.press("escape", "p", *keys(" " + words([1] * 90)), "enter")
        await until(pilot, lambda: "contexts of up to 64" in screen_text(pilot))
    opened.store.close()


@pytest.mark.slow
async def test_a_chat_that_is_kept_is_written_again(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    own = live_run(tmp_path / "run")
    config = tmp_path / "model" / "tokenizer_config.json"
    template = "{% for m in messages %}{{ m['content'] }} {% endfor %}"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": template}))
    opened = open_run(own.path)
    async with make_app(opened).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("S", *keys(words([7, 8])), "enter", "g", *keys(" t=1.2 max=12 seed=5"), "enter")
        await pilot.press("a", *keys("3=max*40@user"), "enter", "a", *keys("4=5@response"), "enter")
        await pilot.press("p", *keys(PROMPT), "enter")
        await until(pilot, lambda: screen.connection.talk.writing.complete)
        before = screen.connection.talk.writing
        assert screen.connection.talk.recipe is not None
        assert screen.connection.talk.recipe.chat
        model = open_live(own, ReopenSettings(), Silent())
        clamps = [parse_clamp(clamp) for clamp in screen.connection.talk.recipe.clamps]
        recipe = screen.connection.talk.recipe
        session = Generation(model, prompt_of(model, recipe), clamps, recipe.sampling)
        while session.step() is not None:
            pass
        assert [token.token for token in before.clamped] == session.clamped.tokens
        await pilot.press("w", "enter")
        await until(pilot, lambda: "saved (o opens it)" in screen_text(pilot))
        await pilot.press("d", "r")
        await until(
            pilot, lambda: screen.connection.talk.writing is not before and screen.connection.talk.writing.complete
        )
        assert screen.connection.talk.writing.clamped != before.clamped
        await pilot.press("o", "enter")
        await until(pilot, lambda: screen.connection.talk.recipe == recipe and screen.connection.talk.writing.complete)
        assert screen.connection.talk.writing.clamped == before.clamped
        assert screen.connection.talk.writing.base == before.base
    opened.store.close()


@pytest.mark.slow
async def test_a_folder_that_has_gone(
    run: RunFolder, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    record = run.record()
    settings = record.config["train"] | {"model": str(tmp_path / "nowhere")}
    run.update(config=record.config | {"train": settings})
    opened = open_run(run.path)
    async with make_app(replace(opened)).run_test(size=(120, 40)) as pilot:
        screen = await live(pilot)
        await pilot.press("p", *keys("w5"), "enter")
        await until(pilot, lambda: bool(screen.connection.talk.problem))
        assert "nowhere" in screen_text(pilot)
        assert "Traceback" not in screen_text(pilot)
    opened.store.close()
