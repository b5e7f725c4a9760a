"""Models with quantised weights: which matrices, how far off, what reads them, and what is refused."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from engine.commands import train
from engine.indexing.logit_effects import through_mlp
from engine.jobs.refusals import check_subject
from engine.live.live_model import open_live
from engine.model import extra_packages
from engine.model.blocks import matrix_in_out
from engine.model.hooks import capture, logits
from engine.model.language_model import LanguageModel, describe_model
from engine.model.quantisation import plain, stored_bytes
from engine.model.sites import SITES, resolve_site
from store.files.errors import MonosemError
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.subject import ReopenSettings, SubjectSettings, Weights
from store.settings.train import TrainSettings
from tests.engine.model.test_weights import Notes, saved
from tests.engine.small import random_texts
from tests.engine.tiny_models import tokens
from tests.engine.trained import model_folder, text_file

CPU = torch.device("cpu")
needs_torchao = pytest.mark.skipif(find_spec("torchao") is None, reason="needs the extra weights")


def described(folder: Path, weights: Weights = "full", progress: Notes | None = None) -> LanguageModel:
    return describe_model(str(folder), device=CPU, dtype="auto", weights=weights, progress=progress)


def test_refused_before_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extra_packages, "find_spec", lambda name: None)
    with pytest.raises(
        MonosemError,
        match=r"int8 weights take the package torchao, which is not .*\n  pip install 'monosem\[weights\]'",
    ):
        check_subject(SubjectSettings(weights="int8"))
    with pytest.raises(MonosemError, match="no weights are called 'int3'"):
        check_subject(SubjectSettings(weights="int3"))  # type: ignore[arg-type]
    monkeypatch.setattr(extra_packages, "find_spec", lambda name: name)
    with pytest.raises(MonosemError, match="int8 weights lie on one device"):
        check_subject(SubjectSettings(weights="int8", device="spread"))


@needs_torchao
@pytest.mark.parametrize("family", ["llama", "gemma3_text", "gpt_neox"])
def test_matrices_are_within_half_a_step(family: str, tmp_path: Path) -> None:
    notes, whole = Notes(), described(saved(tmp_path, family)).load()
    lm = described(tmp_path, "int8", notes).load()
    wanted, steps = dict(whole.network.named_parameters()), 0
    for name, weight in lm.network.named_parameters():
        off_OI = (plain(weight) - wanted[name]).abs()
        if type(weight) is nn.Parameter:
            assert not off_OI.any()
            continue
        steps += 1
        assert (off_OI <= 0.501 * wanted[name].abs().amax(1, keepdim=True) / 127).all()
        assert off_OI.any() and stored_bytes(weight) < 0.5 * stored_bytes(wanted[name])
    assert steps == sum(isinstance(module, nn.Linear) for module in whole.network.modules()) - 1  # all but the head
    assert notes.lines[-1].startswith(f"int8: {steps} matrices, ")
    difference = (logits(lm, tokens()) - logits(whole, tokens())).norm() / logits(whole, tokens()).norm()
    assert 0 < difference < 0.05


@needs_torchao
def test_all_that_reads_weights(tmp_path: Path) -> None:
    whole, lm = described(saved(tmp_path)), described(tmp_path, "int8")
    for name in SITES:
        site = resolve_site(lm, name, 0)
        assert site == resolve_site(whole, name, 0)
        exact = capture(whole, site, tokens())
        assert (capture(lm, site, tokens()) - exact).norm() <= 0.05 * exact.norm()
    assert lm.loaded is not True  # the second block is neither loaded nor quantised
    assert torch.equal(lm.unembedding(), whole.unembedding())
    directions_HM, exact_HM = through_mlp(lm, 0), through_mlp(whole, 0)
    assert directions_HM is not None and exact_HM is not None
    assert 0 < (directions_HM - exact_HM).norm() < 0.02 * exact_HM.norm()
    down = "model.layers.0.mlp.down_proj"
    assert matrix_in_out(lm.network.get_submodule(down)).shape == matrix_in_out(whole.network.get_submodule(down)).shape


@needs_torchao
def test_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MonosemError, match="a gpt2 model has no linear layers that torchao quantises"):
        described(saved(tmp_path / "gpt2", "gpt2"), "int8").load()
    with pytest.raises(MonosemError, match="int4 weights need a GPU") as found:
        described(saved(tmp_path / "llama"), "int4")
    assert "\n" not in found.value.what


@needs_torchao
def test_a_run_keeps_its_weights(tmp_path: Path) -> None:
    model = model_folder(tmp_path / "model")
    texts = text_file(tmp_path / "texts.txt", random_texts(60, longest=30))
    run, known = RunFolder(tmp_path / "run"), {"d_sae": 24, "k": 4, "batch": 64, "tokens": 640, "index_tokens": 200}
    asked = TrainSettings(
        model=str(model), data=str(texts), layer=0, context=16, device="cpu", weights="int8", eval_tokens=200, **known
    )
    train.train(run, asked, Notes(), resume=False)
    record = run.record()
    assert (record.provenance.weights, record.config["train"]["weights"]) == ("int8", "int8")
    with pytest.raises(MonosemError, match="was begun with `weights=int8`, not full"):
        train.train(run, TrainSettings(weights="full"), Notes(), resume=True)
    live = open_live(run, ReopenSettings(), Notes())
    assert live.lm.weights == "int8" and open_live(run, ReopenSettings(weights="full"), Notes()).lm.weights == "full"
    assert np.isfinite(load_sae(run.sae).tensors["W_enc"]).all()
