"""Runs on a user's own array: every command and screen counts rows, and none speaks of tokens."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from monosem_tui.cli.main import run
from monosem_tui.model.open_run import open_run
from tests.tui.conftest import MakeApp
from tests.tui.screens import go, screen_text, until
from tests.tui.test_find import ask

TOKEN = re.compile(r"\b[Tt]okens?\b|tok/s")
N, D = 2500, 16


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on rows of which one is an outlier."""
    folder = tmp_path_factory.mktemp("rows")
    array_ND = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)
    array_ND[77] *= 90
    np.save(folder / "a.npy", array_ND)
    (folder / "runs").mkdir()
    sizes = ("--tokens", "4k", "--batch", "64", "--d-sae", "32", "--k", "4", "--device", "cpu")
    assert run(["train", "--activations", str(folder / "a.npy"), *sizes, "--out", str(folder / "runs" / "own")]) == 0
    return folder / "runs" / "own"


COMMANDS = (
    ("show", "RUN"),
    ("show", "RUN", "3"),
    ("show", "RUN", "3", "--format", "markdown"),
    ("show", "RUN", "--filter", "token:#12"),
    ("eval", "RUN"),
    ("find", "RUN", "#12"),
    ("train", "--activations", "ARRAY", "--d-sae", "32", "--k", "4", "--tokens", "4k", "--dry-run", "--out", "OTHER"),
    (
        "train",
        "--activations",
        "ARRAY",
        "--d-sae",
        "24,32",
        "--k",
        "4",
        "--tokens",
        "4k",
        "--no-index",
        "--out",
        "OTHER",
    ),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_commands(command: tuple[str, ...], rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    places = {"RUN": rows, "RUNS": rows.parent, "ARRAY": rows.parent.parent / "a.npy", "OTHER": tmp_path / "other"}
    assert run([str(places.get(word, word)) for word in command]) == 0
    said = "".join(capsys.readouterr())
    assert not TOKEN.search(re.sub(r"--[\w-]+", "", said)), said


REFUSED = {
    ("find", "RUN", "nothing"): "The text of a row is its number, as #12.",
    ("find", "RUN", "--feature", "3"): "rows of an array have no n-grams",
    ("show", "RUN", "--filter", "token:sea"): "no row is “sea”",
    ("explain", "RUN"): "rules and explanations need text",
}


@pytest.mark.parametrize("command", REFUSED, ids=" ".join)
def test_refusals(command: tuple[str, ...], rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([str(rows) if word == "RUN" else word for word in command]) == 2
    said = capsys.readouterr().err
    assert REFUSED[command] in said
    assert not TOKEN.search(said.replace("token:", ""))


def test_pages(rows: Path, tmp_path: Path) -> None:
    assert run(["export", str(rows), "--to", "html", "--out", str(tmp_path / "pages")]) == 0
    for path in (tmp_path / "pages").rglob("*.html"):
        shown = re.sub(r"<(style|script)>.*?</\1>", "", path.read_text("utf-8"), flags=re.S)
        assert "rows" in shown
        assert not TOKEN.search(shown), shown


async def test_screens(rows: Path, make_app: MakeApp) -> None:
    opened = open_run(rows)
    async with make_app(opened).run_test(size=(120, 60)) as pilot:
        seen = {}
        await go(pilot, "g", "enter")
        seen["page"] = screen_text(pilot)
        await go(pilot, "enter")
        seen["document"] = screen_text(pilot)
        await go(pilot, "escape", "escape")
        await ask(pilot, "#12")
        seen["find"] = screen_text(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "DENSITY" in screen_text(pilot))
        seen["health"] = screen_text(pilot).partition("SETTINGS")[0]  # they keep their names
    opened.store.close()
    for name, text in seen.items():
        assert "rows" in text, (name, text)
        assert not TOKEN.search(text), (name, text)
