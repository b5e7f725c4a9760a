"""A trained run looked at again: indexed again, measured on its own text and on other text."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.commands.rerun import evaluate_again, index_run
from engine.commands.train import train
from engine.corpus.data_argument import open_corpus
from engine.data.ordinary_tokens import kept_limits
from engine.evaluation.quality import evaluate
from engine.jobs.trained_run import reopen, trained_settings
from engine.runtime.progress import Silent
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.index.segment import SegmentBuilder, complete_segments
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.subject import ReopenSettings
from store.settings.train import TrainSettings
from store.settings.trained_run import EvaluateSettings, IndexSettings
from tests.engine.small import random_texts
from tests.engine.trained import CONTEXT, brute_force, model_folder, small_forwards, text_file
from tests.engine.trainings import Spoken

ASKED: dict[str, Any] = {
    "layer": 0,
    "context": CONTEXT,
    "device": "cpu",
    "tokens": 2000,
    "batch": 100,
    "d_sae": 40,
    "k": 5,
    "index_tokens": 400,
}


class Killed(BaseException):
    """An interruption at a bad moment."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    """A run from `train`, with model and text beside it; do not change it."""
    folder = tmp_path_factory.mktemp("revisit")
    model_folder(folder / "model")
    text_file(folder / "text.txt", random_texts(120, longest=30))
    text_file(folder / "other.txt", random_texts(50, longest=30, seed=3))
    with pytest.MonkeyPatch.context() as patch:
        small_forwards(patch)
        run = RunFolder(folder / "runs" / "first")
        given = ASKED | {"model": str(folder / "model"), "data": str(folder / "text.txt")}
        train(run, TrainSettings(**given), Silent(), resume=False)
        yield run


@pytest.fixture
def run(original: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy of the run, to change; it reads model and text where they were."""
    shutil.copytree(original.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


@pytest.fixture
def other(original: RunFolder) -> str:
    """Text that the run was not trained on."""
    return str(original.path.parents[1] / "other.txt")


def index_truth(run: RunFolder, tokens: int, **given: Any) -> tuple[int, np.ndarray[Any, Any]]:
    """Contexts that hold so many tokens, and how often each feature fires in them, by brute force."""
    subject = reopen(run, ReopenSettings(**given), Silent())
    count, seen = 0, 0
    for batch in subject.stream("all").batches(1):
        if seen >= tokens:
            break
        count, seen = count + 1, seen + batch.tokens_BT.size
    truth = brute_force(subject, load_sae(run.sae), "all", count)
    return count, (truth.dense_NF > 0).sum(0)


def test_training_leaves_index_and_evaluation(original: RunFolder) -> None:
    contexts, count_F = index_truth(original, 400)
    with FeatureStore.open(original.path) as store:
        assert store.n_contexts == contexts
        np.testing.assert_array_equal(store.columns.count_F, count_F)
    record = original.record()
    assert record.status == "done"
    assert record.evaluation["split"] == "heldout"
    assert record.results.explained_variance == record.evaluation["explained_variance"] > 0.3
    assert (record.results.l0, record.results.alive) == (record.evaluation["l0"], record.evaluation["alive"])
    assert record.results.tokens == ASKED["tokens"]


def test_the_rule_of_the_held_out_text_is_recorded_and_an_older_run_keeps_its_own(run: RunFolder) -> None:
    record = run.record()
    assert record.config["train"]["held_out"] == record.evaluation["held_out"] == "texts"
    assert "separated" in record.evaluation["documents"]
    first = {name: value for name, value in record.config["train"].items() if name not in ("held_out", "eval_tokens")}
    run.update(config=record.config | {"train": first})
    assert trained_settings(run).held_out == "documents"
    found = evaluate_again(run, EvaluateSettings(), Silent())
    assert (found.held_out, found.split) == ("documents", "heldout")


def test_an_index_is_not_replaced_unasked(run: RunFolder, other: str) -> None:
    before = run.features.read_bytes()
    run.update(status="indexing")
    index_run(run, IndexSettings(), Silent(), resume=True, overwrite=False)
    assert run.record().status == "done"
    for resume, asked in ((False, {}), (True, {"data": other}), (True, {"tokens": 300})):
        with pytest.raises(MonosemError) as caught:
            index_run(run, IndexSettings(**asked), Silent(), resume=resume, overwrite=False)
        assert "`overwrite=True`" in caught.value.hint
        assert caught.value.exit_code == 2
    assert run.features.read_bytes() == before


def test_overwriting_makes_the_new_one(run: RunFolder, other: str) -> None:
    contexts, count_F = index_truth(run, 300, data=other)
    index_run(run, IndexSettings(data=other, tokens=300), Silent(), resume=False, overwrite=True)
    with FeatureStore.open(run.path) as store:
        assert (store.plan.data, store.n_contexts) == (other, contexts)
        np.testing.assert_array_equal(store.columns.count_F, count_F)
    record = run.record()
    assert record.config["index"]["data"] == other
    assert record.config["index"]["tokens"] == 300
    assert record.config["train"]["data"] != other
    assert record.provenance.corpus != other
    assert record.status == "done"


def test_without_settings_it_is_the_index_of_the_training(run: RunFolder) -> None:
    before = run.features.read_bytes()
    index_run(run, IndexSettings(), Silent(), resume=False, overwrite=True)
    assert run.features.read_bytes() == before
    run.features.unlink()
    index_run(run, IndexSettings(), Silent(), resume=False, overwrite=False)
    assert run.features.read_bytes() == before


def kill_behind_first_segment(run: RunFolder, patch: pytest.MonkeyPatch, given: dict[str, Any]) -> None:
    seal = SegmentBuilder.seal

    def seal_and_die(self: SegmentBuilder, *args: Any) -> None:
        seal(self, *args)
        raise Killed

    with patch.context() as inside, pytest.raises(Killed):
        inside.setattr(SegmentBuilder, "seal", seal_and_die)
        index_run(run, IndexSettings(**given), Silent(), resume=False, overwrite=True)
    assert complete_segments(run.index) == 1


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of 4 contexts."""
    monkeypatch.setattr(SegmentBuilder, "most_tokens", 4 * CONTEXT)


@pytest.mark.usefixtures("small_segments")
def test_the_old_index_stays_until_the_new_one_is_there(
    run: RunFolder, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run.features.read_bytes()
    kill_behind_first_segment(run, monkeypatch, {"data": other})
    assert run.features.read_bytes() == before
    with pytest.raises(MonosemError) as caught:
        index_run(run, IndexSettings(data=other), Silent(), resume=True, overwrite=False)
    assert "`overwrite=True` with `resume=True`" in caught.value.hint
    sealed = (run.index / "seg-00000.h5").stat().st_mtime_ns
    seen: list[int] = []
    seal = SegmentBuilder.seal

    def watch(self: SegmentBuilder, path: Path, *args: Any) -> None:
        seen.append((run.index / "seg-00000.h5").stat().st_mtime_ns)
        seal(self, path, *args)

    with monkeypatch.context() as inside:
        inside.setattr(SegmentBuilder, "seal", watch)
        index_run(run, IndexSettings(data=other), Silent(), resume=True, overwrite=True)
    assert set(seen) == {sealed}
    with FeatureStore.open(run.path) as store:
        assert store.plan.data == other


@pytest.mark.usefixtures("small_segments")
def test_overwriting_an_unfinished_index_begins_anew(
    run: RunFolder, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under a plan of its own: what is begun does not stand in the way."""
    kill_behind_first_segment(run, monkeypatch, {})
    index_run(run, IndexSettings(data=other), Silent(), resume=False, overwrite=True)
    with FeatureStore.open(run.path) as store:
        assert store.plan.data == other
    assert not run.index.exists()


@pytest.mark.usefixtures("small_segments")
def test_an_unfinished_index_is_finished_or_begun_anew(
    run: RunFolder, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = FeatureStore.open(run.path).columns.count_F
    run.features.unlink()
    kill_behind_first_segment(run, monkeypatch, {})
    with pytest.raises(MonosemError) as caught:
        index_run(run, IndexSettings(), Silent(), resume=False, overwrite=False)
    assert "`resume=True`" in caught.value.hint
    assert "`overwrite=True`" in caught.value.hint
    with pytest.raises(MonosemError, match="another data, corpus_digest"):
        index_run(run, IndexSettings(data=other), Silent(), resume=True, overwrite=False)
    index_run(run, IndexSettings(), Silent(), resume=True, overwrite=False)
    np.testing.assert_array_equal(FeatureStore.open(run.path).columns.count_F, before)


def figures(run: RunFolder, given: dict[str, Any], split: Any) -> dict[str, Any]:
    """Result of `evaluate` for the run's autoencoder."""
    subject = reopen(run, ReopenSettings(**given), Silent())
    sae = from_weights(load_sae(run.sae), torch.device("cpu"))
    return evaluate(subject, sae, split, 10**6, Silent(), kept_limits(run)).to_json()


def test_its_own_text_is_measured_where_held_out_and_noted(run: RunFolder) -> None:
    known = run.record()
    run.update(results=replace(known.results, explained_variance=None, l0=None), evaluation={})
    found = evaluate_again(run, EvaluateSettings(), Silent()).to_json()
    assert found == known.evaluation == figures(run, {}, "heldout")
    assert run.record().evaluation == found
    assert run.record().results == known.results


def test_other_text_is_measured_whole_and_not_noted(run: RunFolder, other: str) -> None:
    before = run.run_json.read_bytes()
    found = evaluate_again(run, EvaluateSettings(data=other), Silent()).to_json()
    assert found == figures(run, {"data": other}, "all")
    assert (found["data"], found["split"]) == (other, "all")
    assert found["explained_variance"] != run.record().evaluation["explained_variance"]
    assert run.run_json.read_bytes() == before


def test_fewer_tokens(run: RunFolder) -> None:
    before = run.record().evaluation["tokens"]
    assert 20 <= evaluate_again(run, EvaluateSettings(tokens=20), Silent()).tokens < before


def test_another_model_is_measured_and_not_noted(run: RunFolder, tmp_path: Path) -> None:
    before, heard = run.run_json.read_bytes(), Spoken()
    other = str(model_folder(tmp_path / "other", scale=1.3))
    found = evaluate_again(run, EvaluateSettings(model=other), heard)
    assert found.to_json() == figures(run, {"model": other}, "heldout")
    assert run.run_json.read_bytes() == before
    assert any(other in text and "run.json keeps" in text for text in heard.said)


def test_the_same_model_elsewhere_is_noted(run: RunFolder, tmp_path: Path) -> None:
    run.update(evaluation={})
    heard = Spoken()
    moved = shutil.copytree(run.record().config["train"]["model"], tmp_path / "moved")
    found = evaluate_again(run, EvaluateSettings(model=str(moved)), heard)
    assert run.record().evaluation == found.to_json()
    assert not any("run.json keeps" in text for text in heard.said)


def test_text_that_has_changed_is_measured_and_not_noted(run: RunFolder, tmp_path: Path) -> None:
    """It goes by the name of the training's text, but may hold out what was trained on."""
    data = text_file(tmp_path / "changed.txt", random_texts(60, longest=30, seed=5))
    config = run.record().config
    run.update(config=config | {"train": config["train"] | {"data": str(data)}})
    before, heard = run.run_json.read_bytes(), Spoken()
    evaluate_again(run, EvaluateSettings(), heard)
    assert run.run_json.read_bytes() == before
    assert any("run.json keeps" in text for text in heard.said)


def test_a_run_without_autoencoder(tmp_path: Path) -> None:
    empty = RunFolder(tmp_path / "empty")
    for work in (
        lambda: evaluate_again(empty, EvaluateSettings(), Silent()),
        lambda: index_run(empty, IndexSettings(), Silent(), resume=False, overwrite=False),
    ):
        with pytest.raises(MonosemError, match="no trained autoencoder") as caught:
            work()
        assert "--resume" in caught.value.hint


def test_a_small_corpus_says_that_nothing_was_held_out(original: RunFolder, tmp_path: Path) -> None:
    data = text_file(tmp_path / "few.txt", random_texts(19, longest=30, shortest=20))
    run, heard = RunFolder(tmp_path / "run"), Spoken()
    given = ASKED | {"model": original.record().config["train"]["model"], "data": str(data)}
    train(run, TrainSettings(**given), Silent(), resume=False)
    found = evaluate_again(run, EvaluateSettings(), heard)
    assert any("training text" in text for text in heard.said)
    assert found.tokens == sum(len(document.text.split()) for document in open_corpus(str(data)).documents())


def test_a_run_may_move_with_its_own_model(tiny_lm: Path, tmp_path: Path) -> None:
    """Model and features in one folder, moved elsewhere: the model is found where the folder is."""
    first = RunFolder(shutil.copytree(tiny_lm, tmp_path / "first"))
    data = first.record().config["lm"]["data"]
    given = ASKED | {"model": str(first.path), "data": data, "context": 32, "index_tokens": 2000}
    train(first, TrainSettings(**given), Silent(), resume=False)
    before = first.features.read_bytes()
    moved = RunFolder(first.path.rename(tmp_path / "moved"))
    index_run(moved, IndexSettings(), Silent(), resume=False, overwrite=True)
    assert moved.features.read_bytes() == before
    assert evaluate_again(moved, EvaluateSettings(), Silent()).to_json() == moved.record().evaluation
