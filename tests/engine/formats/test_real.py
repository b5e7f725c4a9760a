"""Two autoencoders that other libraries trained, against the figures stated of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.data.contexts import ContextBatch
from engine.formats.foreign_sae import Stated
from engine.formats.hook_names import site_of_hook
from engine.formats.registry import read
from engine.formats.self_check import ReadPlace, captured, checked, places_to_try
from engine.model.language_model import LanguageModel, load_model
from monosem_tui.cli.main import run
from store.index.reader import FeatureStore
from tests.shared_data import shared_path

CONTEXT, LAST = 256, 100


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    """The model they read."""
    return load_model(str(shared_path("models/stories260K")), device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="module")
def contexts(lm: LanguageModel) -> ContextBatch:
    """The text of the figures: documents concatenated, each after a BOS, cut, without the first position of each."""
    text = shared_path("text/tinystories_sample_2MB.txt").read_text(encoding="utf-8")
    assert lm.tokenizer is not None and lm.bos_id is not None
    ids: list[int] = []
    for document in text.split("<|endoftext|>"):
        ids += [lm.bos_id, *lm.tokenizer.encode(document.strip(), add_special_tokens=False)]
    count = len(ids) // CONTEXT
    tokens_BT = np.array(ids[: count * CONTEXT], np.int32).reshape(count, CONTEXT)[-LAST:]
    counted_BT = np.ones(tokens_BT.shape, bool)
    counted_BT[:, 0] = False
    plain = np.zeros(tokens_BT.shape, np.int64), np.zeros(tokens_BT.shape, np.uint8)
    return ContextBatch(0, tokens_BT, np.ones_like(counted_BT), counted_BT, *plain)


@pytest.mark.parametrize(("name", "explained"), [("saelens_topk", 0.920), ("sparsify_topk", 0.939)])
def test_the_stated_figures(lm: LanguageModel, contexts: ContextBatch, name: str, explained: float) -> None:
    foreign = read(shared_path(f"formats/{name}"))
    assert foreign.hook in ("model.layers.2", "")
    site = site_of_hook(lm, "model.layers.2")
    assert (site.name, site.layer) == ("resid_post", 2)
    sites = places_to_try(lm, ReadPlace(site))
    rows = captured(lm, sites, iter([contexts]))
    stated = Stated(explained_variance=explained, l0=16.0)
    found = checked(foreign, sites, rows, "its last contexts", stated)
    assert found.verdict == "agrees"
    assert found.tokens == LAST * (CONTEXT - 1)
    assert found.trials[0].explained_variance == pytest.approx(explained, abs=0.003)
    assert found.trials[0].l0 == pytest.approx(16.0, abs=0.01)
    assert max(found.trials, key=lambda one: one.explained_variance).explained_variance < explained + 0.003


def test_imported_indexed_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, text = shared_path("models/stories260K"), shared_path("text/tinystories_sample_2MB.txt")
    out = tmp_path / "saelens"
    common = ["--model", str(model), "--data", str(text), "--device", "cpu"]
    source = str(shared_path("formats/saelens_topk"))
    assert run(["import", source, *common, "--out", str(out), "--explained-variance", "0.92"]) == 0
    printed = capsys.readouterr().out
    assert "place     resid_post 2 of " in printed and "(its model.layers.2)" in printed
    assert "check     agrees" in printed
    assert run(["index", str(out), "--tokens", "20k", "--device", "cpu"]) == 0
    assert run(["show", str(out), "5"]) == 0
    assert "fires on" in capsys.readouterr().out
    assert run(["eval", str(out), "--tokens", "5k", "--device", "cpu"]) == 0
    assert run(["verify", str(out)]) == 0
    with FeatureStore.open(out) as store:
        assert store.columns.count_F.sum() / store.n_counted == pytest.approx(16.0, abs=0.01)


def test_a_wrong_layer_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, text = shared_path("models/stories260K"), shared_path("text/tinystories_sample_2MB.txt")
    source = str(shared_path("formats/sparsify_topk"))
    wrong = ["--layer", "3", "--site", "resid_post", "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert run(["import", source, "--model", str(model), "--data", str(text), *wrong]) == 0
    assert "likely wrong layer, resid_post 2 fits (--site resid_post --layer 2)" in capsys.readouterr().out
