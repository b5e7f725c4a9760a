"""The two features of a signed latent lead to each other: on the page, by a key, in files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from monosem_tui.cli.main import run
from monosem_tui.model.open_run import open_run
from store.index.reader import FeatureStore
from store.notes.note_file import Notes
from tests.sample_run import Sample, build_sample
from tests.tui.conftest import MakeApp
from tests.tui.screens import go, screen_text

F = 20


@pytest.fixture
def signed(tmp_path: Path) -> Sample:
    """A run of ten signed latents."""
    made = build_sample(tmp_path / "signed", n_features=F, signed=True)
    Notes(made.run.notes).set(13, "label", "not boats")
    return made


async def test_one_key_leads_to_the_twin_and_back(signed: Sample, make_app: MakeApp) -> None:
    async with make_app(open_run(signed.run.path)).run_test(size=(100, 40)) as pilot:
        screen = await go(pilot, "colon", "3", "enter", "enter")
        assert "TWIN           13 not boats" in screen_text(pilot)
        await go(pilot, "tilde")
        assert screen.pane.state.feature == 13
        await go(pilot, "tilde")
        assert screen.pane.state.feature == 3
        await go(pilot, "H")
        assert screen.pane.state.feature == 13
        await go(pilot, "}", "enter")  # it never fires: TWIN is what comes first, and is followed like SIMILAR
        assert screen.pane.state.feature == 3


async def test_without_signs_the_key_says_so(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(100, 40)) as pilot:
        await go(pilot, "enter", "tilde")
        assert "no feature has a twin" in screen_text(pilot)
        assert "TWIN" not in screen_text(pilot)


def test_files_name_the_twin(signed: Sample, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = str(signed.run.path)
    assert run(["show", name, "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["twin"] == 13
    assert run(["show", name, "13", "--format", "markdown"]) == 0
    assert "- **Twin** (other sign): 3 " in capsys.readouterr().out
    assert run(["export", name, "--to", "html", "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "features" / "3.html").read_text()
    assert 'the other sign of the same latent: <a href="13.html">13</a> <bdi>not boats</bdi>' in page


def test_others_have_none(tmp_path: Path) -> None:
    for n_features in (F, F + 1):
        made = build_sample(tmp_path / f"run{n_features}", n_features=n_features)
        with FeatureStore.open(made.run.path) as store:
            assert not store.signed
            assert store.twin(3) is None
