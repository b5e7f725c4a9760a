"""Several autoencoders on one pass: what lists stand for, and that each comes out as if trained alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.commands import train
from engine.data import activations
from engine.data.activations import Columns
from engine.jobs.grid import variants
from engine.model.hooks import capture_all
from engine.model.language_model import LanguageModel
from engine.runtime.progress import Silent
from engine.training.trainer import SaeTrainer
from store.files.errors import MonosemError, WorkFailed
from store.run.checkpoint import checkpoints
from store.run.events import EndEvent, read_events
from store.run.folder import RunFolder
from store.run.weights import load_sae
from store.settings.train import TrainGrid, TrainSettings
from tests.engine.broken_off import Killed, after_step, ask_to_stop, assert_same, kill, timeless
from tests.engine.trainings import Place, Spoken


@pytest.fixture(autouse=True)
def small_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small training take many forwards and blocks."""
    monkeypatch.setattr(activations, "FORWARD_TOKENS", 256)


@pytest.fixture
def place(tmp_path: Path, tiny_lm: Path, tiny_text: Path) -> Place:
    return Place(tmp_path, str(tiny_lm), str(tiny_text))


def marks(**given: Any) -> list[str]:
    return ["-".join(one.marks.values()) for one in variants(TrainGrid.asked(**given))]


def test_every_combination_once() -> None:
    assert marks(k=(8,), model="gpt2") == [""]
    assert marks(k=(8, 16, 8), seed=(0, 1)) == ["k8-seed0", "k8-seed1", "k16-seed0", "k16-seed1"]
    assert marks(layer=(1, 2), site=("mlp_out", "resid_post"), d_sae=(256,)) == [
        "mlp_out-layer1",
        "mlp_out-layer2",
        "resid_post-layer1",
        "resid_post-layer2",
    ]
    assert marks(d_sae=(256, 1024), l1=(0.5, 1e-3), arch=("relu",)) == [
        "f256-l1_0.5",
        "f256-l1_0.001",
        "f1024-l1_0.5",
        "f1024-l1_0.001",
    ]


def test_k_and_l1_go_to_those_who_can_use_them() -> None:
    found = variants(TrainGrid(TrainSettings(tokens=10), arch=("topk", "relu", "jumprelu"), k=(8, 16), l1=(0.5, 2.0)))
    assert [(one.settings.arch, one.settings.k, one.settings.l1) for one in found] == [
        ("topk", 8, None),
        ("topk", 16, None),
        ("relu", None, 0.5),
        ("relu", None, 2.0),
        ("jumprelu", 8, None),
        ("jumprelu", 16, None),
    ]
    assert all(one.settings.tokens == 10 for one in found)
    # One architecture is told what it was given, and says itself what it makes of it.
    assert variants(TrainGrid(arch=("relu",), k=(8,)))[0].settings.given == ("arch", "k")
    with pytest.raises(MonosemError, match="`k` has no meaning for relu, gated"):
        variants(TrainGrid(arch=("relu", "gated"), k=(8,)))
    with pytest.raises(MonosemError, match="unknown architecture 'tok'"):
        variants(TrainGrid(arch=("tok", "topk"), k=(8,)))


def test_several_seeds_read_the_text_in_one_order() -> None:
    assert [one.settings.data_seed for one in variants(TrainGrid(seed=(4, 5)))] == [4, 4]
    assert [one.settings.data_seed for one in variants(TrainGrid(TrainSettings(data_seed=9), seed=(4, 5)))] == [9, 9]
    assert "data_seed" not in variants(TrainGrid(seed=(4,)))[0].settings.given


SWEEP: list[dict[str, Any]] = [
    {},
    {"arch": "batchtopk", "seed": 7, "data_seed": 5},
    {"layer": 0, "site": "mlp_act", "d_sae": 80},
    {"site": "mlp_in", "site_out": "mlp_out"},
    {"arch": "jumprelu", "site": "resid_mid", "layer": 0, "site_out": "resid_post", "layer_out": 1},
]

SHORT = {"tokens": 48 * 64}
"""48 steps."""


def jobs(place: Place, prefix: str, sweep: list[dict[str, Any]] = SWEEP, **shared: Any) -> list[train.Job]:
    """One for each entry, in runs called `prefix` and its number."""
    known = [place.settings(**(SHORT | shared | one)) for one in sweep]
    return [train.Job(place.run(f"{prefix}{number}"), TrainSettings(**one)) for number, one in enumerate(known)]


def train_all(place: Place, prefix: str, *, resume: bool = False, **shared: Any) -> list[RunFolder]:
    wanted = jobs(place, prefix, **shared)
    train.train_all(wanted, Silent(), resume=resume)
    return [job.run for job in wanted]


def alone(place: Place, number: int, **shared: Any) -> RunFolder:
    """One of the sweep, by itself, with the buffer that the sweep had."""
    return place.train(f"alone{number}", **place.settings(**(SHORT | shared | SWEEP[number])))


def same(found: RunFolder, expected: RunFolder) -> None:
    assert timeless(found) == timeless(expected)
    assert_same(load_sae(found.sae).tensors, load_sae(expected.sae).tensors)
    assert load_sae(found.sae).spec == load_sae(expected.sae).spec
    trained = [run.record().config["train"] for run in (found, expected)]
    assert trained[0] == trained[1]


def test_each_is_what_it_would_be_alone(place: Place) -> None:
    """Sites, widths, architectures, seeds and transcoders side by side; weights and events to the bit."""
    runs = train_all(place, "together", buffer=700)
    for number, run in enumerate(runs):
        same(run, alone(place, number, buffer=700))
    weights = [load_sae(run.sae).tensors["W_enc"] for run in runs]
    assert len({values.tobytes() for values in weights}) == len(runs)


def test_one_forward_feeds_them_all(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(lm: LanguageModel, sites: Any, *inputs: Any) -> list[torch.Tensor]:
        calls.append(len(sites))
        return capture_all(lm, sites, *inputs)

    monkeypatch.setattr(activations, "capture_all", counted)
    train_all(place, "together", buffer=700)
    together = list(calls)
    calls.clear()
    alone(place, 0, buffer=700)
    assert len(together) == len(calls)
    assert set(together) == {5}  # resid_post 1, mlp_act 0, mlp_in 1, mlp_out 1, resid_mid 0; resid_post 1 once only


def asked_once() -> Callable[[SaeTrainer], None]:
    """Ctrl-C in the first of the trainings that comes to a step: a second one would not wait."""
    asked: list[SaeTrainer] = []

    def ask(trainer: SaeTrainer) -> None:
        if not asked:
            asked.append(trainer)
            ask_to_stop(trainer)

    return ask


@pytest.mark.parametrize("stop", [20, *(pytest.param(stop, marks=pytest.mark.slow) for stop in (1, 48))])
def test_stopped_together_they_go_on_together_or_alone(place: Place, stop: int) -> None:
    whole = train_all(place, "whole", buffer=700)
    with after_step(stop, asked_once()), pytest.raises(KeyboardInterrupt):
        train_all(place, "broken", buffer=700)
    for number in range(len(whole)):
        assert list(checkpoints(place.run(f"broken{number}").checkpoints)) == [stop]
    first = jobs(place, "broken", buffer=700)[3]
    train.train(first.run, TrainSettings(), Silent(), resume=True)
    same(first.run, whole[3])
    spoken = Spoken()
    train.train_all(jobs(place, "broken", buffer=700), spoken, resume=True)
    assert f"{first.run.path} is trained already" in spoken.said
    for number, run in enumerate(whole):
        same(place.run(f"broken{number}"), run)


def test_killed_while_checkpoints_are_written(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some have the new one, some only the old one: all go back to the old one, which none has let go."""
    whole = train_all(place, "whole", buffer=700)
    written: list[Path] = []
    save = train.TrainLoop.save.__globals__["save_checkpoint"]

    def dying(folder: Path, checkpoint: Any, part: Any) -> Path:
        if checkpoint.step == 40 and len([path for path in written if path.name == "step-40.h5"]) == 2:
            raise Killed
        written.append(save(folder, checkpoint, part))
        return written[-1]

    monkeypatch.setattr("engine.training.loop.save_checkpoint", dying)
    with pytest.raises(Killed):
        train_all(place, "broken", buffer=700, checkpoint_every=20)
    there = [list(checkpoints(place.run(f"broken{number}").checkpoints)) for number in range(5)]
    assert there == [[20, 40], [20, 40], [20], [20], [20]]
    monkeypatch.undo()
    monkeypatch.setattr(activations, "FORWARD_TOKENS", 256)
    spoken = Spoken()
    train.train_all(jobs(place, "broken", buffer=700, checkpoint_every=20), spoken, resume=True)
    assert "resumed at step 20 of 48" in spoken.said
    for number, run in enumerate(whole):
        assert timeless(place.run(f"broken{number}")) == timeless(run)
        assert_same(load_sae(place.run(f"broken{number}").sae).tensors, load_sae(run.sae).tensors)


def test_trained_apart_they_have_no_step_in_common(place: Place) -> None:
    with after_step(10, asked_once()), pytest.raises(KeyboardInterrupt):
        train_all(place, "broken", buffer=700)
    with after_step(20, kill), pytest.raises(Killed):
        place.train("broken1", resume=True, checkpoint_every=None)
    with after_step(30, ask_to_stop), pytest.raises(KeyboardInterrupt):
        place.train("broken1", resume=True)
    with pytest.raises(MonosemError, match="broken1 is at step 30, where not all of the others are") as caught:
        train_all(place, "broken", resume=True, buffer=700)
    assert "`resume=True` `out=" in (caught.value.hint or "")


def spoil_batchtopk(trainer: SaeTrainer) -> None:
    if trainer.settings.arch == "batchtopk":
        with torch.no_grad():
            trainer.sae.b_dec[0] = torch.nan


def test_one_that_fails_does_not_stop_the_others(place: Place) -> None:
    spoken = Spoken()
    wanted = jobs(place, "together", buffer=700, checkpoint_every=10)
    with (
        after_step(25, spoil_batchtopk),
        pytest.raises(WorkFailed, match=r"1 of 5 trainings failed; .*together1: the loss is"),
    ):
        train.train_all(wanted, spoken, resume=False)
    assert any("together1 has failed" in said and "the others continue" in said for said in spoken.said)
    for number, job in enumerate(wanted):
        record = job.run.record()
        ended = [event for event in read_events(job.run.events) if isinstance(event, EndEvent)]
        assert (record.status, job.run.sae.is_file(), len(ended)) == (
            ("failed", False, 0) if number == 1 else ("done", True, 1)
        )
    assert list(checkpoints(wanted[1].run.checkpoints)) == [20]
    assert "the loss is nan" in wanted[1].run.record().message


def test_those_that_cannot_share_a_pass_say_why(place: Place) -> None:
    first, second = (
        train.Job(place.run(name), TrainSettings(**place.settings(batch=batch)))
        for name, batch in (("a", 64), ("b", 32))
    )
    with pytest.raises(MonosemError, match="trainings with batch 64 and 32 cannot share one pass"):
        train.train_all([first, second], Silent(), resume=False)
    assert not first.run.path.exists()
    assert not second.run.path.exists()


@pytest.mark.parametrize("columns", [Columns(slice(2, 5)), Columns(slice(4, 6), slice(0, 3)), Columns(slice(None))])
def test_columns_joined_and_spread(columns: Columns) -> None:
    rows_ND = np.arange(28.0).reshape(4, 7)
    joined_ND = columns.join(rows_ND)
    read_ND, explained_NO = columns.of(torch.from_numpy(rows_ND))
    expected = [read_ND] if explained_NO is None else [read_ND, explained_NO]
    np.testing.assert_array_equal(joined_ND, np.concatenate(expected, 1))
    back_ND = np.full_like(rows_ND, -1)
    columns.spread(joined_ND, back_ND)
    np.testing.assert_array_equal(columns.join(back_ND), joined_ND)
    assert (back_ND == -1).sum() == 28 - joined_ND.size
