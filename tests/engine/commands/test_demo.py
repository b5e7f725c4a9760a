"""The demo: its settings are ones the engine takes, and a smaller one runs from text to features, stopped or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from engine.commands import demo
from engine.commands import train_lm as lm_module
from engine.commands.demo import make_demo
from engine.commands.train_lm import LmReport
from engine.jobs.subject import Subject
from engine.jobs.train_settings import resolved
from engine.lm.trainer import LmTrainer, network_config
from engine.runtime.progress import Silent
from engine.training.trainer import SaeTrainer
from store.index.reader import FeatureStore
from store.run.folder import RunFolder
from store.verify.run_check import verify_run
from tests.tiny_text import write_corpus

SMALL_LM = {"vocab": 300, "tokens": 30_000, "batch": 256, "context": 32, "d_model": 16, "heads": 2, "samples": 0}
SMALL_SAE = {"d_sae": 48, "k": 4, "tokens": 4000, "batch": 100, "index_tokens": 1500}


class Killed(BaseException):
    """An interruption at a bad moment."""


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("text") / "text.txt")


def make_smaller(text: Path, patch: pytest.MonkeyPatch) -> None:
    """Leave the demo its own kind of model, site and architecture, but on a small text and at small sizes."""
    here = {"data": str(text), "device": "cpu", "checkpoint_every": 10}
    patch.setattr(demo, "LM", demo.LM.changed(**SMALL_LM, **here))
    patch.setattr(demo, "SAE", demo.SAE.changed(**SMALL_SAE, **here))


@pytest.fixture
def small_demo(text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_smaller(text, monkeypatch)


@pytest.fixture(scope="module")
def made(text: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, LmReport | None]:
    """A demo that went through, and what it said; tests only read it."""
    run = RunFolder(tmp_path_factory.mktemp("made") / "runs" / "demo")
    with pytest.MonkeyPatch.context() as patch:
        make_smaller(text, patch)
        return run, make_demo(run, Silent())


def test_the_engine_takes_its_settings() -> None:
    """The paper's one-layer transformer, and features of its MLP."""
    lm = demo.LM
    config = network_config(lm, lm.vocab, 0)
    assert (config.n_layer, config.n_embd, config.n_inner, config.activation_function) == (1, 128, 512, "relu")
    assert "model" not in demo.SAE.given
    sae = resolved(demo.SAE, config.n_inner)
    assert (sae.layer, sae.site, sae.arch, sae.d_sae, sae.k) == (0, "mlp_act", "topk", 2048, 16)
    assert sae.data == lm.data == "stdlib"


def test_it_makes_a_whole_run(made: tuple[RunFolder, LmReport | None]) -> None:
    run, report = made
    assert report is not None
    assert report.held_out_loss < report.unigram_entropy
    assert AutoModelForCausalLM.from_pretrained(run.model).config.n_layer == 1
    record = run.record()
    assert record.status == "done"
    assert (record.spec.site, record.spec.layer, record.spec.d_in, record.spec.d_sae) == ("mlp_act", 0, 64, 48)
    assert 0 < record.evaluation["explained_variance"] < 1
    assert record.evaluation["split"] == "heldout"
    with FeatureStore.open(run.path) as store:
        assert store.complete
        assert 1500 <= store.n_tokens < 1500 + 32
        assert (store.columns.count_F > 0).sum() > 20
        assert len(store.logits(0).top.id) == 10
    assert all(finding.ok for finding in verify_run(run))


@pytest.mark.usefixtures("small_demo")
def test_made_already_it_does_nothing(made: tuple[RunFolder, LmReport | None], monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = made
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    for place in (LmTrainer, SaeTrainer):
        monkeypatch.setattr(place, "step", lambda *args: pytest.fail("trained again"))
    assert make_demo(run, Silent()) is None
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("small_demo")
def test_interrupted_anywhere_it_goes_on_to_the_same_end(
    made: tuple[RunFolder, LmReport | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the tokenizer, in both trainings, before the evaluation; each time the same call again.

    It goes on with what it was begun with, even where a later version's demo asks for something else.
    """
    whole, run = made[0], RunFolder(tmp_path / "two" / "demo")
    lm_step, sae_step = LmTrainer.step, SaeTrainer.step

    def lm_dies(self: LmTrainer, batch: Any) -> torch.Tensor:
        if self.step_count == 15:
            raise Killed
        return lm_step(self, batch)

    def sae_dies(self: SaeTrainer, x_BD: torch.Tensor, y_BO: torch.Tensor | None = None) -> None:
        if self.step_count == 25:
            raise Killed
        sae_step(self, x_BD, y_BO)

    def die(*args: Any, **kwargs: Any) -> Any:
        raise Killed

    places: list[tuple[Any, str, Any]] = [
        (lm_module, "train_tokenizer", die),
        (LmTrainer, "step", lm_dies),
        (SaeTrainer, "step", sae_dies),
        (Subject, "stream", die),
    ]
    for place, name, deadly in places:
        with monkeypatch.context() as inside, pytest.raises(Killed):
            inside.setattr(place, name, deadly)
            make_demo(run, Silent())
        assert not run.features.exists()
        for name, command in (("LM", "lm"), ("SAE", "train")):
            if command in run.record().config:
                monkeypatch.setattr(demo, name, getattr(demo, name).changed(tokens=9000))
    make_demo(run, Silent())
    for name in ("model/model.safetensors", "model/tokenizer.json"):
        assert (run.path / name).read_bytes() == (whole.path / name).read_bytes()
    ours, theirs = FeatureStore.open(run.path), FeatureStore.open(whole.path)
    for name, values in ours.sae().tensors.items():
        assert (values == theirs.sae().tensors[name]).all()
    assert (ours.columns.count_F == theirs.columns.count_F).all()
    assert run.record().evaluation == whole.record().evaluation
