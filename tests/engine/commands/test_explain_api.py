"""`engine.explain`: rules, and what a model says, from Python, kept beside the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import AuthorSettings, ExplainSettings, explain
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.notes.explanations import Explanations
from tests.engine.endpoint.chat_server import chat_server
from tests.engine.explainer.planted_store import Oracle, planted_run
from tests.sample_run import build_sample


def test_features_are_explained_and_kept(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "run", n_contexts=160)
    found = explain(sample.run.path, [1, 3], ExplainSettings(processes=1), progress=Silent())
    assert set(found) == {1, 3}
    assert found[1].rule == 'token(" said")'
    assert Explanations.load(sample.run.path).by("rules") == found
    assert explain(sample.run.path, [1, 3], progress=Silent()) == found
    with pytest.raises(MonosemError, match="there is no author magic"):
        explain(sample.run.path, [1], ExplainSettings(by="magic"), progress=Silent())


def test_by_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run, text = planted_run(tmp_path / "run", documents=60)
    author = AuthorSettings(model="oracle", texts=4, controls=0)
    with chat_server(Oracle(text, patterns={})) as server:
        settings = ExplainSettings(by=server.url)
        found = explain(run.path, [0], settings, author, progress=Silent())
        asked = len(server.asked)
        assert asked > 4
        assert explain(run.path, [0], settings, author, progress=Silent()) == found
        with pytest.raises(MonosemError, match="which `features`"):
            explain(run.path, None, settings, author, progress=Silent())
    assert len(server.asked) == asked
    assert Explanations.load(run.path).by("oracle") == found
    assert found[0].scores.detection is not None
