"""`train`: two ways to the same activations, trainings that were broken off, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.commands import extract, train
from engine.data import activations
from engine.jobs.subject import open_subject
from engine.runtime.progress import Silent
from engine.training import loop
from store.files.errors import MonosemError, WorkFailed
from store.run.checkpoint import latest_checkpoint, load_checkpoint
from store.run.events import TrainEvent, read_events
from store.run.shards import ShardReader
from store.run.weights import load_sae
from store.settings.subject import SubjectSettings
from store.settings.train import TrainSettings
from tests.engine.broken_off import Killed, after_step, ask_to_stop, assert_same, kill, steps_logged, timeless
from tests.engine.trainings import Place, Spoken
from tests.tiny_text import write_corpus


@pytest.fixture(autouse=True)
def small_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small training take many forwards, blocks and shards."""
    monkeypatch.setattr(activations, "FORWARD_TOKENS", 256)
    monkeypatch.setattr(extract, "SHARD_BYTES", 1 << 15)


@pytest.fixture
def place(tmp_path: Path, tiny_lm: Path, tiny_text: Path) -> Place:
    return Place(tmp_path, str(tiny_lm), str(tiny_text))


def test_these_trainings_cover_several_epochs_forwards_and_shards(place: Place) -> None:
    """Or else the tests below would say little."""
    made = place.extract("acts")
    subject = open_subject(SubjectSettings(**place.subject()), Silent())
    an_epoch = subject.stream("train").skip(10**9)
    contexts = ShardReader(made.activations).n_contexts
    assert contexts > an_epoch
    assert len(list(made.activations.glob("shard-*.h5"))) > 5
    assert contexts > 20 * activations.forward_contexts(32)


@pytest.mark.parametrize(
    ("arch", "changes"),
    [
        ("topk", {}),
        pytest.param("relu", {}, marks=pytest.mark.slow),
        ("topk", {"packing": "documents"}),
        pytest.param("topk", {"buffer": 5000}, marks=pytest.mark.slow),
        ("relu", {"buffer": 64, "batch": 150}),
        ("topk", {"site": "mlp_act", "layer": 0, "seed": 11}),
    ],
)
def test_cached_and_streamed_training_are_one(place: Place, arch: str, changes: dict[str, Any]) -> None:
    """Equal losses at every logged step, equal weights, to the bit."""
    settings = place.settings(arch, **changes)
    streamed = place.train("streamed", **settings)
    of_text = {name: changes[name] for name in ("packing", "site", "layer", "seed") if name in changes}
    shards = place.extract("acts", **of_text)
    cached = place.train("cached", **settings, activations=str(shards.path))
    losses = [event.loss for event in read_events(streamed.events) if isinstance(event, TrainEvent)]
    assert len(losses) == 6000 // settings["batch"]
    assert len(set(losses)) > 0.9 * len(losses)
    assert timeless(cached) == timeless(streamed)
    assert_same(load_sae(cached.sae).tensors, load_sae(streamed.sae).tensors)
    assert load_sae(cached.sae).spec == load_sae(streamed.sae).spec


def test_cached_and_streamed_training_are_one_with_the_sizes_in_use(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forwards of 8 192 tokens, of which the last is cut, and the buffer, batch and size that are the defaults."""
    monkeypatch.undo()
    settings = place.subject(tokens=18_000, index=False)
    streamed = place.train("streamed", **settings)
    shards = place.extract("acts", tokens=18_000)
    cached = place.train("cached", tokens=18_000, index=False, seed=5, device="cpu", activations=str(shards.path))
    assert len(steps_logged(streamed)) == 18_000 // 256
    assert timeless(cached) == timeless(streamed)
    assert_same(load_sae(cached.sae).tensors, load_sae(streamed.sae).tensors)


@pytest.mark.slow
def test_bfloat16_activations_kept_as_they_are_train_the_same(place: Place) -> None:
    settings = place.settings(dtype="bfloat16")
    streamed = place.train("streamed", **settings)
    shards = place.extract("acts", dtype="bfloat16", keep="bfloat16")
    cached = place.train("cached", **settings, activations=str(shards.path))
    assert timeless(cached) == timeless(streamed)
    assert_same(load_sae(cached.sae).tensors, load_sae(streamed.sae).tensors)


def test_another_seed_is_another_training(place: Place) -> None:
    one, other = (place.train(f"seed{seed}", **place.settings(seed=seed)) for seed in (5, 6))
    assert not np.array_equal(load_sae(one.sae).tensors["W_enc"], load_sae(other.sae).tensors["W_enc"])
    assert timeless(one)[-2]["loss"] != timeless(other)[-2]["loss"]


@pytest.mark.parametrize(
    ("arch", "source", "stops"),
    [("topk", "streamed", (1, 93)), ("relu", "streamed", (20, 51)), ("batchtopk", "cached", (51,))],
)
def test_a_training_that_was_stopped_ends_as_if_it_had_not_been(
    place: Place, arch: str, source: str, stops: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.TrainLoop, "log_points", 13)  # every seventh of 93 steps is logged, and the last
    settings = place.settings(arch)
    if source == "cached":
        settings["activations"] = str(place.extract("acts").path)
    whole = place.train("whole", **settings)
    for stop in stops:  # ReLU resamples behind 11, 23, 34 and 46
        name = f"stopped-{stop}"
        with after_step(stop, ask_to_stop), pytest.raises(KeyboardInterrupt):
            place.train(name, **settings)
        run = place.run(name)
        assert run.record().status == "stopped"
        assert not run.sae.exists()
        assert place.train(name, resume=True, **settings).record().status == "done"
        assert_same(load_sae(run.sae).tensors, load_sae(whole.sae).tensors)
        assert timeless(run) == timeless(whole)
        assert list(run.checkpoints.iterdir()) == []


def test_a_training_that_was_killed_again_and_again(place: Place) -> None:
    settings = place.settings("relu", checkpoint_every=9)
    whole = place.train("whole", **settings)
    for died in (4, 31, 50, 92):
        with after_step(died, kill), pytest.raises(Killed):
            place.train("killed", resume=place.run("killed").exists(), **settings)
    run = place.train("killed", resume=True)  # all settings are in the run
    assert_same(load_sae(run.sae).tensors, load_sae(whole.sae).tensors)
    assert timeless(run) == timeless(whole)


def test_a_training_that_diverges_says_where_the_last_good_weights_are(place: Place) -> None:
    with pytest.raises(WorkFailed, match=r"(?s)at step \d+.*lower `lr`.*last good checkpoint is .*step-\d+\.h5"):
        place.train("diverged", **place.settings("relu", lr=1e30, checkpoint_every=1, l1=0.0))
    run = place.run("diverged")
    assert run.record().status == "failed"
    assert not run.sae.exists()
    kept = latest_checkpoint(run.checkpoints)
    assert kept is not None
    assert all(np.isfinite(values).all() for name, values in load_checkpoint(kept).arrays.items() if "sae." in name)


def test_what_is_written_down_of_a_training(place: Place) -> None:
    run = place.train("run", **place.settings())
    record, weights = run.record(), load_sae(run.sae)
    assert record.status == "done"
    assert record.results.tokens == 93 * 64
    assert weights.spec == record.spec
    assert (record.spec.layer, record.spec.site, record.spec.arch) == (1, "resid_post", "topk")
    assert (record.spec.d_in, record.spec.d_sae, record.spec.k, record.spec.excluded) == (16, 48, 4, "bos")
    assert weights.tensors["W_enc"].shape == (16, 48)
    config = record.config["train"]
    assert (config["tokens"], config["batch"], config["seed"], config["dead_after"]) == (6000, 64, 5, 600)
    assert config["lr"] == pytest.approx(0.96 * (4 / (16 * 48) * 64 / 128) ** 0.5)
    assert record.provenance.seed == 5
    assert len(record.provenance.corpus_digest) == len(record.provenance.model_digest) == 64
    explained = [event.explained_variance for event in read_events(run.events) if isinstance(event, TrainEvent)]
    assert max(explained[-5:]) > 0.5 > explained[0]


def test_a_second_training_needs_another_folder(place: Place) -> None:
    run = place.train("run", **place.settings())
    before = run.sae.read_bytes()
    with pytest.raises(MonosemError, match="already holds a training"):
        place.train("run", **place.settings())
    with pytest.raises(MonosemError, match="begun with `tokens=6000`, not 7000"):
        place.train("run", resume=True, tokens=7000)
    place.train("run", resume=True, **place.settings())
    assert run.sae.read_bytes() == before


def test_nothing_to_resume(place: Place) -> None:
    with pytest.raises(MonosemError, match="nothing to resume"):
        place.train("none", resume=True)


def test_resuming_on_other_text_is_refused(place: Place) -> None:
    with after_step(20, ask_to_stop), pytest.raises(KeyboardInterrupt):
        place.train("run", **place.settings())
    write_corpus(Path(place.text), count=61)
    with pytest.raises(MonosemError, match="its content has changed"):
        place.train("run", resume=True)


def test_cached_activations_keep_their_own_site_and_text(place: Place) -> None:
    shards = str(place.extract("acts").path)
    with pytest.raises(MonosemError, match="holds activations of `layer=1`, not 0"):
        place.train("run", **place.settings(layer=0), activations=shards)
    run = place.train("run", tokens=1000, batch=64, d_sae=32, activations=shards, index=False)
    assert (run.record().spec.layer, run.record().spec.site) == (1, "resid_post")
    assert run.record().config["train"]["context"] == 32


def test_fewer_cached_activations_than_asked_for_are_read_again(place: Place) -> None:
    shards = place.extract("acts", tokens=500)
    run = place.train("run", **place.settings(), activations=str(shards.path))
    assert steps_logged(run)[-1] == 93


def test_training_ends_with_an_evaluation_and_an_index(place: Place) -> None:
    settings = place.settings(index=True, index_tokens=500)
    evaluation = train.train(place.run("run"), TrainSettings(**settings), Silent(), resume=False)
    assert evaluation is not None
    record = place.run("run").record()
    assert record.results.explained_variance == evaluation.explained_variance
    assert record.evaluation["d_sae"] == 48
    assert place.run("run").features.is_file()
    place.train("bare", **place.settings())
    assert not place.run("bare").features.exists()
    later = train.train(place.run("bare"), TrainSettings(index=True, index_tokens=500), Silent(), resume=True)
    assert later is not None
    assert later.to_json() == evaluation.to_json()


def test_the_index_comes_first_so_that_the_run_can_be_browsed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it evaluates, a training has its index; resumed, it evaluates."""

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "evaluate_all", stopped)
    settings = TrainSettings(**place.settings(index=True, index_tokens=500))
    with pytest.raises(KeyboardInterrupt):
        train.train(place.run("run"), settings, Silent(), resume=False)
    run = place.run("run")
    assert run.features.is_file() and not run.record().evaluation
    assert run.record().status == "stopped"
    before = run.features.read_bytes()
    monkeypatch.undo()
    found = train.train(run, TrainSettings(), Silent(), resume=True)
    assert found is not None and run.record().status == "done"
    assert run.features.read_bytes() == before


def test_too_little_text_to_hold_any_out_is_said(place: Place) -> None:
    write_corpus(Path(place.text), count=10)
    spoken = Spoken()
    train.train(place.run("run"), TrainSettings(**place.settings()), spoken, resume=False)
    assert any("nothing can be held out" in said for said in spoken.said)


def test_a_run_that_is_being_written_to_is_refused(place: Place) -> None:
    with (
        place.run("run").locked(),
        pytest.raises(MonosemError, match=r"another monosem \(process \d+ on .*\) is writing"),
    ):
        place.train("run", **place.settings())
