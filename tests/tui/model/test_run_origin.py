"""An imported run says where it came from: in `show`, on pages in every form, in the app's head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from monosem_tui.cli.main import run
from monosem_tui.draw.spans import text_of
from monosem_tui.model.open_run import headline, open_run
from monosem_tui.model.run_origin import imported_from, origin
from store.run.folder import RunRecord
from tests.sample_run import build_sample

CACHED = "/home/me/.cache/huggingface/hub/models--google--gemma-scope-2b/snapshots/0a1b/layer_1/params.npz"
SOURCE = {
    "format": "SAELens",
    "source": "/data/saes/gpt2/l8/sae_weights.safetensors",
    "model": "gpt2-small",
    "hook": "blocks.8.hook_resid_pre",
    "check": {"verdict": "agrees"},
}


def of(**config: Any) -> RunRecord:
    return RunRecord(config=config)


def test_phrases() -> None:
    record = of(**{"import": SOURCE})
    trained = "gpt2-small blocks.8.hook_resid_pre"
    assert imported_from(record) == ["SAELens", trained, SOURCE["source"], "self-check: agrees"]
    assert origin(record) == "from SAELens, …/gpt2/l8/sae_weights.safetensors"
    hub = of(**{"import": {"format": "Gemma Scope", "source": CACHED, "check": None}})
    assert imported_from(hub) == ["Gemma Scope", "hf:google/gemma-scope-2b/layer_1/params.npz"]
    assert origin(hub) == "from Gemma Scope, hf:google/gemma-scope-2b/layer_1/params.npz"


def test_others_have_none_and_odd_records_do_no_harm() -> None:
    for record in (None, of(), of(train={}), of(**{"import": {}}), of(**{"import": 3})):
        assert (imported_from(record), origin(record)) == ([], "")
    assert imported_from(of(**{"import": {"format": 3, "source": ["x"], "check": "no"}})) == []


def test_it_is_seen_wherever_the_run_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = build_sample(tmp_path / "it")
    evil = SOURCE | {"source": "/x/<script>1</script>\x1b[31m/a/b"}
    made.run.update(config={"import": evil})
    name = str(made.run.path)
    assert run(["show", name]) == 0
    assert "imported SAELens · gpt2-small blocks.8.hook_resid_pre" in capsys.readouterr().out
    for form in ("text", "markdown", "html"):
        assert run(["show", name, "3", *(["--format", form] if form != "text" else [])]) == 0
        page = capsys.readouterr().out
        assert "from SAELens, " in page
        assert "\x1b" not in page
        assert form != "html" or "<script>1" not in page
    assert run(["export", name, "--to", "html", "--out", str(tmp_path / "out")]) == 0
    assert "from SAELens, " in (tmp_path / "out" / "index.html").read_text()
    opened = open_run(made.run.path)
    assert "· from SAELens, …/" in text_of(headline(opened, 200))
    assert "SAELens" not in text_of(headline(opened, 80))
    opened.store.close()
    assert json.loads((made.run.path / "run.json").read_text())["config"]["import"] == evil
