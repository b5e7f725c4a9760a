"""`monosem eval` on a run whose text is planted, from the model on, and the same figures from a plain second pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.commands import train
from engine.commands.rerun import evaluate_again
from engine.commands.train_lm import train_lm
from engine.corpus.planted.generator import CONCEPTS, PlantedCorpus
from engine.data import activations
from engine.evaluation import planted_concepts as concepts
from engine.evaluation import planted_pass
from engine.evaluation.figures import Evaluation
from engine.evaluation.planted_labels import Labeller
from engine.jobs.trained_run import reopen
from engine.model.drawn_weights import reinitialised
from engine.runtime.progress import Silent
from engine.sae.registry import from_weights
from monosem_tui.cli.main import run as monosem
from monosem_tui.cli.reports import absorption
from monosem_tui.cli.reports.concepts import report
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.lm import LmSettings
from store.settings.subject import ReopenSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import EvaluateSettings

PER_CONCEPT = {
    "name",
    "kind",
    "occurrences",
    "f1",
    "feature",
    "f1_set",
    "features",
    "f1_neuron",
    "f1_neuron_set",
    "f1_random",
    "f1_random_set",
}
CONTEXT = 32


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A tiny model and autoencoder, trained on 300 documents, 15 of which are held out."""
    folder = tmp_path_factory.mktemp("planted")
    common: dict[str, Any] = {"data": "planted:300", "context": CONTEXT, "device": "cpu"}
    lm = RunFolder(folder / "lm")
    small = {"vocab": 400, "d_model": 16, "heads": 2, "tokens": 20_000, "samples": 0}
    train_lm(lm, LmSettings(**(common | small)), Silent(), resume=False)
    made = RunFolder(folder / "sae")
    few = {"model": str(lm.path), "layer": 0, "site": "mlp_act", "tokens": 20_000, "d_sae": 48, "k": 4, "index": False}
    train.train(made, TrainSettings(**(common | few)), Silent(), resume=False)
    return made


@pytest.fixture(scope="module")
def evaluation(run: RunFolder) -> dict[str, Any]:
    return evaluate_again(run, EvaluateSettings(), Silent()).to_json()


def test_every_concept_is_scored(evaluation: dict[str, Any]) -> None:
    scores = evaluation["concepts"]
    assert [(one["name"], one["kind"]) for one in scores] == list(CONCEPTS)
    assert all(set(one) == PER_CONCEPT for one in scores)
    for one in scores:
        assert len(one["features"]) <= 5 and len(set(one["features"])) == len(one["features"])
        assert one["feature"] == (one["features"][0] if one["features"] else None)
        assert all(one[name] is None or 0 <= one[name] <= 1 for name in concepts.FIGURES)
    assert any(one["f1"] for one in scores)


def test_means_are_over_what_occurs_often(evaluation: dict[str, Any]) -> None:
    assert [one["kind"] for one in evaluation["concept_means"]] == ["word", "class", "state", "all"]
    for mean in evaluation["concept_means"]:
        often = [
            one for one in evaluation["concepts"] if one["occurrences"] >= 500 and mean["kind"] in (one["kind"], "all")
        ]
        assert (mean["concepts"], mean["least"]) == (len(often), 500)
        if often:
            assert mean["f1_set"] == pytest.approx(np.mean([one["f1_set"] for one in often]))


def test_figures_from_a_second_pass(run: RunFolder, evaluation: dict[str, Any]) -> None:
    """Occurrences exactly; the best feature's F1 is one that a threshold gives on the contexts with odd numbers."""
    subject = reopen(run, ReopenSettings(), Silent())
    sae, corpus = from_weights(load_sae(run.sae), torch.device("cpu")), PlantedCorpus(300)
    labeller, labels, odd, acts = Labeller(corpus, subject.encoding), [], [], []
    stream = subject.stream("heldout")
    for captured in activations.captured_batches(subject.lm, [subject.site()], stream, 10**6):
        labels += [one.concepts for one in labeller.label(captured.batch)]
        rows = captured.batch.first + np.arange(len(captured.batch.tokens_BT))
        odd += np.repeat(rows % 2 == 1, captured.batch.counted_BT.sum(1)).tolist()
        found = sae.encode(captured.acts_ND)
        acts.append(torch.zeros(len(captured.acts_ND), 48).scatter_(1, found.feature_BK, found.act_BK))
    act_NF, odd_N = torch.cat(acts).numpy(), np.array(odd)
    assert len(labels) == len(act_NF) == evaluation["tokens"]
    checked = 0
    for number, one in enumerate(evaluation["concepts"]):
        has_N = np.array([number in concepts for concepts in labels])
        assert one["occurrences"] == has_N.sum()
        if one["f1"] is None or not has_N[~odd_N].any():
            continue
        act_N, possible = act_NF[:, one["feature"]], []
        for threshold in {*act_N[act_N > 0].tolist(), np.inf}:
            fires_N = (act_N >= threshold) & odd_N
            possible.append(2 * (fires_N & has_N).sum() / (fires_N.sum() + (has_N & odd_N).sum()))
        assert min(abs(f1 - one["f1"]) for f1 in possible) < 5e-3
        checked += 1
    assert checked > 20


def test_every_class_is_looked_at_for_absorption(run: RunFolder, evaluation: dict[str, Any]) -> None:
    """Its words are those of the corpus in the contexts with odd numbers; `eval` and Health print the figures."""
    assert [one["name"] for one in evaluation["absorption"]] == [one.name for one in CONCEPTS if one.kind == "class"]
    for one in evaluation["absorption"]:
        assert one["words"] > 0
        for figures in (one["found"], one["shuffled"]):
            assert all(0 <= figures[name] <= 1 for name in ("f1", "miss_rate", "worst_recall", "absorbed"))
            assert 0 <= figures["information"] <= 1 + 1e-9
            assert figures["leaders"] <= len(figures["features"])
    assert Evaluation.from_json(evaluation).to_json() == evaluation


def test_absorption_is_printed(run: RunFolder, evaluation: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    absorption.report(evaluation)
    printed = capsys.readouterr().out
    assert "absorbed %" in printed
    assert [line.split()[0] for line in printed.splitlines()[2:12]] == [one["name"] for one in evaluation["absorption"]]


def test_the_command_gives_them(run: RunFolder, evaluation: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert monosem(["eval", str(run.path), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["concepts"] == evaluation["concepts"]
    assert value["concept_means"] == evaluation["concept_means"]


def test_the_table_is_by_kind(evaluation: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    report(evaluation)
    lines = capsys.readouterr().out.splitlines()
    means = [line for line in lines if "mean F1" in line or "no concept has 500 tokens" in line]
    assert [line.split()[0] for line in means] == ["word", "class", "state", "all"]
    rows = [line.split()[0] for line in lines if line.startswith(("word ", "class ", "state ")) and line not in means]
    assert rows == sorted(rows) and len(rows) == len(CONCEPTS)
    split = [one for one in evaluation["concepts"] if (one["f1_set"] or 0) >= (one["f1"] or 0) + 0.05]
    assert split
    assert all(f"{one['name']} ({len(one['features'])}: " in lines[-1] for one in split)


def test_other_text_has_no_concepts(run: RunFolder, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Nothing is known of this text.\n\n" * 30)
    value = evaluate_again(run, EvaluateSettings(data=str(text)), Silent()).to_json()
    assert not {"concepts", "concept_means", "absorption"} & set(value)


def test_a_random_model_is_another_but_always_the_same(run: RunFolder) -> None:
    lm = reopen(run, ReopenSettings(), Silent()).lm.load()
    before = torch.random.get_rng_state()
    drawn = [reinitialised(lm, seed).network.state_dict() for seed in (0, 0, 1)]
    assert torch.equal(torch.random.get_rng_state(), before)
    own, name = lm.network.state_dict(), "transformer.h.0.mlp.c_fc.weight"
    assert torch.equal(drawn[0][name], drawn[1][name])
    assert not torch.equal(drawn[0][name], drawn[2][name])
    assert own[name].shape == drawn[0][name].shape and not torch.equal(own[name], drawn[0][name])


def test_few_tokens_are_scored_where_memory_is_short(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "FORWARD_TOKENS", 256)
    monkeypatch.setattr(planted_pass, "MOST_TOKENS", 600)
    scored = evaluate_again(run, EvaluateSettings(data="planted:300"), Silent()).concepts
    assert scored is not None
    names = sum(one.occurrences for one in scored if one.name == "name")
    assert 0 < names < 150
