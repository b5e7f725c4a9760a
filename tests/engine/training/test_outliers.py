"""Trainings that leave outliers out: full batches, every architecture, resumed to the bit, counted and reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.commands import train
from engine.data.activations import BlockShuffle, Columns
from engine.data.ordinary_tokens import OrdinaryBlocks
from engine.sae.base import SaeSettings
from engine.training.loop import Member, TrainLoop
from engine.training.trainer import SaeTrainer, TrainerSettings
from store.run.events import EndEvent, TrainEvent, read_events
from store.run.folder import RunFolder, RunRecord
from store.run.ordinary import load_limits
from store.run.weights import load_sae
from store.settings.train import TrainSettings
from tests.engine.architectures import AIMED, each_trained_long
from tests.engine.broken_off import after_step, ask_to_stop, assert_same, timeless
from tests.engine.training.test_loop import CPU, Noise
from tests.engine.trainings import Spoken

FAR = 200
F64 = NDArray[np.float64]


class Noisy(Noise):
    """Blocks of noise; the 14th row of every other one is far away in the last dimension."""

    def next_block(self, rows: int) -> list[torch.Tensor]:
        """One piece."""
        (acts_ND,) = super().next_block(rows)
        acts_ND[13:14, -1] += 1e4 * (self.block % 2 == 0)
        return [acts_ND]


@pytest.fixture(scope="module")
def array(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 000 rows, of which every two-hundredth is far from the others."""
    rows_ND = np.random.default_rng(0).standard_normal((4000, 6), np.float32) * np.arange(1, 7, dtype=np.float32)
    rows_ND[::FAR] *= 1000
    path = tmp_path_factory.mktemp("arrays") / "acts.npy"
    np.save(path, rows_ND)
    return path


def settings(array: Path, arch: str = "topk", **changes: Any) -> TrainSettings:
    sparsity: dict[str, Any] = {"k": 2} if arch in AIMED else {"l1": 1.0}
    known = {"arch": arch, "tokens": 6400, "batch": 64, "buffer": 900, "d_sae": 24, "index": False, "device": "cpu"}
    return TrainSettings(activations=str(array), **(known | sparsity | changes))


@each_trained_long
def test_a_resumed_training_is_the_same_to_the_bit(arch: str, array: Path, tmp_path: Path) -> None:
    whole, broken, said = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "broken"), Spoken()
    train.train(whole, settings(array, arch), said, resume=False)
    with after_step(37, ask_to_stop), pytest.raises(KeyboardInterrupt):
        train.train(broken, settings(array, arch), Spoken(), resume=False)
    train.train(broken, TrainSettings(), Spoken(), resume=True)
    assert_same(load_sae(whole.sae).tensors, load_sae(broken.sae).tensors)
    assert timeless(whole) == timeless(broken)
    end = read_events(whole.events)[-1]
    assert isinstance(end, EndEvent)
    outliers = whole.record().results.outlier_tokens
    assert end.tokens == 6400 and end.outlier_tokens == outliers == broken.record().results.outlier_tokens
    assert outliers is not None and abs(outliers - 6400 / FAR) < 8
    part = 100 * outliers / (6400 + outliers)
    assert f"{outliers} outlier rows ({part:.2g}%) were left out of the training" in said.said
    assert any(line.endswith("hold 100% of the variance") for line in said.said)
    assert (load_limits(whole.ordinary, 6) == load_limits(broken.ordinary, 6)).all()  # type: ignore[union-attr]


def test_scale_and_loss_are_those_of_ordinary_rows(array: Path, tmp_path: Path) -> None:
    rows_ND = np.load(array)
    ordinary_ND = np.delete(rows_ND, np.s_[::FAR], 0)
    for most, of_ND in ((5.0, ordinary_ND), (0.0, rows_ND)):
        run, scales = RunFolder(tmp_path / f"{most:g}"), list[float]()
        with after_step(1, lambda trainer, scales=scales: scales.append(trainer.scale)):
            train.train(run, settings(array, max_norm=most), Spoken(), resume=False)
        assert scales == [pytest.approx((6 / of_ND.var(0).sum()) ** 0.5, rel=0.3)]
        assert bool(run.record().results.outlier_tokens) == bool(most)


def member(folder: Path, columns: Columns, d_out: int | None) -> Member:
    run = RunFolder(folder)
    folder.mkdir(exist_ok=True)
    run.create(RunRecord())
    sae = SaeSettings(d_in=3, d_sae=8, k=2, d_out=d_out)
    wanted = TrainerSettings(
        arch="topk", sae=sae, lr=0.01, batch=16, steps=40, warmup=4, decay=20, dead_after=64, seed=0
    )
    return Member(run, SaeTrainer(wanted, CPU), columns)


def stop_once(trainer: SaeTrainer) -> None:
    """Interrupt the process after the step of the last member."""
    if trainer.settings.sae.d_out is not None:
        ask_to_stop(trainer)


def trained(folder: Path, *, upto: int | None = None) -> list[Member]:
    """An autoencoder and a transcoder on one pass, in which only the transcoder's target has outliers."""
    folder.mkdir(exist_ok=True)
    x, y = slice(0, 3), slice(3, 6)
    members = [member(folder / "sae", Columns(x), None), member(folder / "coder", Columns(x, y), 3)]
    blocks = OrdinaryBlocks(Noisy(), {"x": x, "y": y}, 5.0)
    loop = TrainLoop(members, BlockShuffle(blocks, 16, 0, 640), 10, Spoken(), blocks)
    loop.resume()
    if upto is None:
        loop.finish()
    else:
        with after_step(upto, stop_once), pytest.raises(KeyboardInterrupt):
            loop.finish()
    return members


def test_a_row_that_is_an_outlier_at_one_site_is_left_out_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.data.ordinary_tokens.LEAST_ROWS", 50)
    whole, broken = (
        trained(tmp_path / "whole"),
        (trained(tmp_path / "broken", upto=25), trained(tmp_path / "broken"))[1],
    )
    for one, other in zip(whole, broken, strict=True):
        assert_same(one.trainer.weights(), other.trainer.weights())
        assert timeless(one.run) == timeless(other.run)
        end = read_events(one.run.events)[-1]
        assert isinstance(end, EndEvent) and end.outlier_tokens == 6


def explained(error_NO: F64, wanted_NO: F64) -> float:
    return float(1 - (error_NO**2).sum() / ((wanted_NO - wanted_NO.mean(0)) ** 2).sum())


def test_counted_tokens_are_explained_as_if_measured_together() -> None:
    rng = np.random.default_rng(1)
    ordinary_ND, outlier_ND = rng.standard_normal((64, 6)), rng.standard_normal((16, 6)) * 30 + 50
    wanted = TrainerSettings(
        arch="topk", sae=SaeSettings(d_in=6, d_sae=24, k=2), lr=0.0, batch=64, steps=9, warmup=1, decay=1,
        dead_after=640, seed=0,
    )  # fmt: skip
    trainer = SaeTrainer(wanted, CPU)
    trainer.start(torch.from_numpy(ordinary_ND).float())
    trainer.step(torch.from_numpy(ordinary_ND).float())
    found = trainer.counted_variance(trainer.tally, 16 / 80, torch.from_numpy(outlier_ND).float())
    scaled_ND = np.concatenate([ordinary_ND, outlier_ND]) * trainer.scale
    with torch.no_grad():
        error_ND = scaled_ND - trainer.sae(torch.from_numpy(scaled_ND).float()).double().numpy()
    assert found == pytest.approx(explained(error_ND, scaled_ND), abs=1e-5)
    assert abs(found - explained(error_ND[:64], scaled_ND[:64])) > 0.05


def test_the_log_has_both_figures_where_a_block_has_outliers(array: Path, tmp_path: Path) -> None:
    run, said = RunFolder(tmp_path / "run"), Spoken()
    train.train(run, settings(array), said, resume=False)
    points = [event for event in read_events(run.events) if isinstance(event, TrainEvent)]
    both = [point for point in points if point.explained_variance_counted is not None]
    assert len(both) > 0.9 * len(points)  # a short last block may have no outliers
    last = both[-1]
    assert last.explained_variance_counted != pytest.approx(last.explained_variance, abs=1e-3)
    line = f"explained variance at the end: {last.explained_variance:.3f} of ordinary rows, "
    assert f"{line}{last.explained_variance_counted:.3f} of all" in said.said
