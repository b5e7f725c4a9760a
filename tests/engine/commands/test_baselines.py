"""Baselines of a run: made once, of the text of its index, and taken by find and compare."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import engine
from engine.commands.baselines import baseline_cost, make_baseline
from engine.model.hooks import capture_all
from engine.runtime.progress import Silent
from monosem_tui.cli.main import run as monosem
from store.index.baselines import baseline_state
from store.index.neuron_file import NeuronActs, neuron_path
from store.index.reader import FeatureStore
from store.run.feature_source import BASELINES, FeatureSource, baseline_folder
from store.run.folder import RunFolder
from store.settings.compare import CompareSettings
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import IndexSettings

QUIET = Silent()


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty short documents."""
    rng = np.random.default_rng(0)
    words = "the sea and a boat went out to see water . she said it was red , then he ran".split()
    documents = [" ".join(rng.choice(words, 40)) for _ in range(60)]
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n\n".join(documents))
    return path


@pytest.fixture(scope="module")
def run(text: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A tiny language model, and a dictionary of it; both of its baselines and its neurons are made."""
    folder = tmp_path_factory.mktemp("runs")
    lm = LmSettings(data=str(text), vocab=300, tokens=4000, context=32, d_model=16, layers=1, heads=2, samples=0)
    model = engine.train_lm(lm, folder / "lm", progress=QUIET)
    settings = TrainSettings(
        model=str(model.path), data=str(text), layer=0, d_sae=32, k=4, tokens=2000, context=32, index_tokens=2000
    )
    found = engine.train(settings, folder / "run", progress=QUIET).folder
    for baseline in BASELINES:
        assert baseline_state(found, baseline) == "missing"
        assert baseline_cost(found, baseline).n_bytes > 0
        make_baseline(found, baseline, QUIET)
        assert baseline_state(found, baseline) == "made"
    return found


def test_random_and_seed_are_runs_with_the_same_settings_on_the_same_text(run: RunFolder) -> None:
    own = run.settings("train", TrainSettings)
    assert own is not None
    for baseline, differing in (("random", {"model"}), ("seed", {"seed", "data_seed", "model"})):
        made = RunFolder(baseline_folder(run, baseline))  # type: ignore[arg-type]
        settings = made.settings("train", TrainSettings)
        assert settings is not None and made.record().status == "done" and made.record().evaluation
        names = {name for name in own.__dict__ if getattr(own, name) != getattr(settings, name)} - {"given"}
        assert names <= differing
        assert settings.order_seed == own.order_seed
        with FeatureStore.open(run.path) as a, FeatureStore.open(made.path) as b:
            np.testing.assert_array_equal(a.tokens(0, a.n_tokens), b.tokens(0, b.n_tokens))


def test_the_random_model_has_other_weights_the_same_shape_and_the_same_tokenizer(run: RunFolder) -> None:
    made = RunFolder(baseline_folder(run, "random"))
    own, drawn = engine.open_run(run.path).live().lm, engine.open_run(made.path).live().lm
    assert own.digest != drawn.digest
    for (name, mine), theirs in zip(own.network.named_parameters(), drawn.network.parameters(), strict=True):
        assert mine.shape == theirs.shape
        assert name.endswith("bias") or "ln" in name or not torch.equal(mine, theirs)
    assert own.tokenizer is not None and drawn.tokenizer is not None
    assert own.tokenizer.get_vocab() == drawn.tokenizer.get_vocab()


def test_neurons_are_what_the_model_computes_on_the_indexs_tokens(run: RunFolder) -> None:
    from engine.indexing.neuron_pass import neuron_site

    lm, site = neuron_site(run, QUIET)
    with FeatureStore.open(run.path) as store, NeuronActs.open(neuron_path(run)) as neurons:
        assert (neurons.n_neurons, neurons.n_tokens) == (site.d_in, store.n_tokens)
        stored_DN = neurons.acts(0, neurons.n_neurons)
        start_C = store.layout.contexts.start
        ends = [*start_C[1:].tolist(), store.n_tokens]
        for start, end in list(zip(start_C.tolist(), ends, strict=True))[:: len(ends) // 5]:
            tokens_BT = torch.from_numpy(store.tokens(start, end)).long()[None]
            (acts_BTD,) = capture_all(lm, [site], tokens_BT)
            np.testing.assert_allclose(stored_DN[:, start:end].T, acts_BTD[0].float().numpy(), rtol=2e-3, atol=1e-4)


def test_making_again_does_nothing_and_another_index_makes_them_outdated(run: RunFolder, text: Path) -> None:
    before = {one: baseline_folder(run, one).stat().st_mtime_ns for one in BASELINES}
    for baseline in BASELINES:
        make_baseline(run, baseline, QUIET)
    assert before == {one: baseline_folder(run, one).stat().st_mtime_ns for one in BASELINES}
    engine.index(run.path, IndexSettings(tokens=1500), overwrite=True, progress=QUIET)
    left = neuron_path(run).with_name(".neurons.h5.tmp-1")
    left.write_bytes(b"of a pass that was killed")
    assert {baseline_state(run, one) for one in BASELINES} == {"outdated"}
    for baseline in BASELINES:
        make_baseline(run, baseline, QUIET)
    assert {baseline_state(run, one) for one in BASELINES} == {"made"}
    assert not left.exists()


def test_compare_has_rows_of_the_baselines(run: RunFolder) -> None:
    settings = CompareSettings(least=4, shifts=1, resamplings=10)
    other = engine.open_run(baseline_folder(run, "seed"))
    found = engine.compare(run.path, other.path, settings, progress=QUIET).summary.sides
    assert [one.name for one in found[0].baselines] == ["seed"]
    assert {one.name for one in found[1].baselines} == {"random", "features_neurons"}
    assert engine.find(f"{run.path}:neurons", "sea").results
    assert engine.open_run(f"{run.path}:seed").path == other.path
    beside = engine.compare(f"{run.path}:neurons", run.path, settings, progress=QUIET).summary
    assert beside.sides[0].name == "run:neurons"
    assert beside.sides[1].found.median_r == pytest.approx(found[1].baselines[1].found.median_r, abs=0.2)


def test_explain_takes_sources(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert monosem(["explain", f"{run.path}:neurons", "3", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["feature"], one["sign"]) for one in found] == [(3, 1), (3, -1)]
    assert all(one["explanations"] for one in found)
    assert set(engine.explain(f"{run.path}:neurons", [3, 67], progress=QUIET)) == {3, 67}
    assert monosem(["explain", f"{run.path}:random", "3"]) == 0
    assert monosem(["explain", f"{run.path}:neurons", "64"]) == 2
    assert "no neuron 64" in capsys.readouterr().err
    assert monosem(["explain", f"{run.path}:neurons", "3", "--by", "http://127.0.0.1:1/v1"]) == 2
    assert monosem(["explain", f"{run.path}:neurons", "--filter", "max>1"]) == 2
    assert monosem(["verify", str(run.path)]) == 0
    assert "baselines/neurons/neurons.h5" in capsys.readouterr().out


def test_find_takes_sources_and_says_what_a_missing_one_costs(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for baseline in BASELINES:
        assert monosem(["find", f"{run.path}:{baseline}", "sea", "--json"]) == 0
        assert '"results"' in capsys.readouterr().out
    made = baseline_folder(run, "seed")
    assert monosem(["find", f"{made}:neurons", "sea"]) == 2
    complaint = capsys.readouterr().err
    assert "is not made yet: one pass of the model" in complaint and "--make" in complaint
    assert not (made / "baselines").exists()
    assert monosem(["find", f"{run.features}:neurons", "sea"]) in (0, 2)
    assert monosem(["find", f"{tmp_path}/nothing:seed", "sea"]) == 2
    assert "no run at" in capsys.readouterr().err


def test_a_folder_of_that_very_name_is_a_run(tmp_path: Path) -> None:
    (tmp_path / "a:seed").mkdir()
    assert FeatureSource.parse(str(tmp_path / "a:seed")).baseline is None
    assert FeatureSource.parse(str(tmp_path / "b:seed")) == FeatureSource(str(tmp_path / "b"), "seed")
    assert FeatureSource.parse("b:other").baseline is None
    assert FeatureSource.parse(":seed").baseline is None


def test_a_linked_folder_of_baselines_is_refused(run: RunFolder, tmp_path: Path) -> None:
    link = tmp_path / "run"
    link.mkdir()
    (link / "baselines").symlink_to(run.path / "baselines")
    with pytest.raises(Exception, match="is a link"):
        baseline_state(RunFolder(link), "seed")
