"""`engine.explain`: rules from Python, kept beside the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import ExplainSettings, explain
from engine.runtime.progress import Silent
from store.files.errors import MonosemError
from store.notes.explanations import Explanations
from tests.sample_run import build_sample


def test_features_are_explained_and_kept(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "run", n_contexts=160)
    found = explain(sample.run.path, [1, 3], ExplainSettings(processes=1), progress=Silent())
    assert set(found) == {1, 3}
    assert found[1].rule == 'token(" said")'
    assert Explanations.load(sample.run.path).by("rules") == found
    assert explain(sample.run.path, [1, 3], progress=Silent()) == found
    with pytest.raises(MonosemError, match="command line"):
        explain(sample.run.path, [1], ExplainSettings(by="http://localhost"), progress=Silent())
