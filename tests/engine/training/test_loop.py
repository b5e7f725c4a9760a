"""The loop: log lines worked out again, checkpoints, trainings that were broken off or went wrong."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.data.activations import BlockShuffle
from engine.runtime.interrupt import stop_request
from engine.runtime.progress import Silent
from engine.runtime.sizes import SAMPLE_ROWS
from engine.sae.base import SaeSettings
from engine.training import loop
from engine.training.loop import Member, TrainLoop
from engine.training.optim import resample
from engine.training.trainer import SaeTrainer, TrainerSettings
from store.files.errors import WorkFailed
from store.run.checkpoint import latest_checkpoint, load_checkpoint
from store.run.events import EndEvent, TrainEvent, read_events
from store.run.folder import RunFolder, RunRecord
from tests.engine.architectures import each_architecture, each_trained_long, sparsity
from tests.engine.broken_off import Killed, after_step, ask_to_stop, assert_same, kill, steps_logged, timeless

CPU = torch.device("cpu")


@dataclass
class Noise:
    """Blocks of 50 random rows around a mean; NaN from row `spoilt_from` on."""

    spoilt_from: int = 10**9
    d_in: int = 6
    block: int = field(default=0)

    def next_block(self, rows: int) -> list[torch.Tensor]:
        """One piece."""
        generator = torch.Generator().manual_seed(self.block)
        acts_ND = torch.randn(50, self.d_in, generator=generator) * torch.arange(1.0, self.d_in + 1) + 3
        acts_ND[max(0, self.spoilt_from - 50 * self.block) :] = torch.nan
        self.block += 1
        return [acts_ND[:rows]]

    def position(self) -> dict[str, Any]:
        """Return the next block."""
        return {"block": self.block}

    def seek(self, position: dict[str, Any]) -> None:
        """Go to a block."""
        self.block = int(position["block"])


def settings_of(arch: str, **changes: Any) -> TrainerSettings:
    known: dict[str, Any] = {
        "lr": 0.05,
        "batch": 16,
        "steps": 40,
        "warmup": 4,
        "decay": 20,
        "dead_after": 64,
        "seed": 3,
    }
    return TrainerSettings(arch=arch, sae=SaeSettings(d_in=6, d_sae=20, **sparsity(arch, l1=2.0)), **(known | changes))


class Alone(TrainLoop):
    """A loop of one."""

    @property
    def run(self) -> RunFolder:
        return self.members[0].run

    @property
    def trainer(self) -> SaeTrainer:
        return self.members[0].trainer


def loop_in(
    folder: Path, arch: str = "topk", source: Noise | None = None, every: int | None = None, **changes: Any
) -> Alone:
    run = RunFolder(folder)
    if not run.exists():
        folder.mkdir(parents=True, exist_ok=True)
        run.create(RunRecord())
    settings = settings_of(arch, **changes)
    shuffle = BlockShuffle(source or Noise(), settings.batch, settings.seed, settings.tokens)
    return Alone([Member(run, SaeTrainer(settings, CPU))], shuffle, every, Silent())


def projected_norm(total: torch.Tensor, of: SaeTrainer) -> float:
    """Length of the gradient, less what would change the length of decoder rows."""
    named = dict(of.sae.named_parameters())
    grads = dict(zip(named, torch.autograd.grad(total, list(named.values())), strict=True))
    rows_FD = of.sae.W_dec.detach()
    grads["W_dec"] = grads["W_dec"] - (grads["W_dec"] * rows_FD).sum(1, keepdim=True) * rows_FD
    return float(torch.cat([grad.flatten() for grad in grads.values()]).norm())


def test_log_lines_are_means_over_the_steps_since_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainLoop, "log_points", 6)  # of 40 steps: every sixth is logged, and the last
    made = loop_in(tmp_path)
    made.finish()
    *events, end = read_events(made.run.events)
    again = loop_in(tmp_path / "again")
    again.trainer.start(again.shuffle.peek(SAMPLE_ROWS))
    begun = 0
    for event, upto in zip(events, [6, 12, 18, 24, 30, 36, 40], strict=True):
        assert isinstance(event, TrainEvent)
        losses, terms, norms, errors, variances, active = [], [], [], 0.0, 0.0, 0
        for _ in range(begun, upto):
            x_BD = again.shuffle.next_batch()
            scaled_BD = x_BD * again.trainer.scale
            dead_F = again.trainer.silent_F >= 64
            loss = again.trainer.sae.loss(scaled_BD, dead_F if dead_F.any() else None, 1.0)
            losses.append(loss.total.item())
            terms.append(loss.terms["unexplained"].item())
            norms.append(projected_norm(loss.total, again.trainer))
            with torch.no_grad():
                errors += (scaled_BD - again.trainer.sae(scaled_BD)).square().sum().item()
                active += int((again.trainer.sae.encode(scaled_BD).act_BK > 0).sum())
            variances += (scaled_BD - scaled_BD.mean(0)).square().sum().item()
            again.trainer.step(x_BD)
        assert (event.step, event.tokens) == (upto, upto * 16)
        assert event.loss == pytest.approx(np.mean(losses), rel=1e-5)
        assert event.terms["unexplained"] == pytest.approx(np.mean(terms), rel=1e-5)
        assert event.l0 == pytest.approx(active / ((upto - begun) * 16), rel=1e-6)
        assert event.explained_variance == pytest.approx(1 - errors / variances, rel=1e-4, abs=1e-4)
        assert event.dead == again.trainer.n_dead
        assert event.lr == pytest.approx(0.05 * min(upto / 4, 1, (40 - upto + 1) / 20))
        assert event.grad_norm == pytest.approx(np.mean(norms), rel=1e-4)
        begun = upto
    assert isinstance(end, EndEvent)
    assert end.tokens == 640
    assert end.tok_s == pytest.approx(640 / end.seconds)


@pytest.mark.parametrize(("steps", "lines"), [(23, 23), (24, 24), (54, 27)])
def test_about_as_many_lines_as_points(tmp_path: Path, steps: int, lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long training 200."""
    assert TrainLoop.log_points == 200
    monkeypatch.setattr(TrainLoop, "log_points", 24)
    made = loop_in(tmp_path, steps=steps, batch=4)
    made.finish()
    assert len(steps_logged(made.run)) == lines
    assert steps_logged(made.run)[-1] == steps


def test_checkpoints_are_taken_when_due_and_only_the_last_is_kept(tmp_path: Path) -> None:
    made = loop_in(tmp_path, every=7)
    seen: list[list[str]] = []
    with after_step(29, lambda _: seen.append([path.name for path in made.run.checkpoints.iterdir()])):
        made.finish()
    assert seen == [["step-28.h5"]]
    assert [path.name for path in made.run.checkpoints.iterdir()] == ["step-35.h5"]


def test_checkpoints_by_the_clock(tmp_path: Path) -> None:
    made = loop_in(tmp_path)
    made.checkpoint_seconds = 0.0
    made.finish()
    assert [path.name for path in made.run.checkpoints.iterdir()] == ["step-40.h5"]
    other = loop_in(tmp_path / "other")
    other.finish()
    assert latest_checkpoint(other.run.checkpoints) is None


def weights_of(made: Alone) -> dict[str, NDArray[np.float32]]:
    return made.trainer.weights()


@each_architecture
def test_a_loop_that_was_stopped_goes_on_as_if_it_had_not_been(
    tmp_path: Path, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainLoop, "log_points", 6)
    whole = loop_in(tmp_path / "whole", arch)
    whole.finish()
    for stop in (1, 5, 6, 23, 39, 40) if arch == "topk" else (23,):
        folder = tmp_path / f"broken-at-{stop}"
        broken = loop_in(folder, arch)
        with after_step(stop, ask_to_stop), pytest.raises(KeyboardInterrupt):
            broken.finish()
        assert latest_checkpoint(broken.run.checkpoints) == broken.run.checkpoints / f"step-{stop}.h5"
        resumed = loop_in(folder, arch)
        assert resumed.resume()
        assert resumed.trainer.step_count == stop
        resumed.finish()
        assert_same(weights_of(resumed), weights_of(whole))
        assert timeless(resumed.run) == timeless(whole.run)
        seconds = [event.seconds for event in read_events(resumed.run.events) if isinstance(event, EndEvent)]
        assert len(seconds) == 1
        assert seconds[0] > broken.seconds > 0


@each_trained_long
def test_a_loop_that_was_killed_goes_back_to_its_checkpoint(tmp_path: Path, arch: str) -> None:
    whole = loop_in(tmp_path / "whole", arch)
    whole.finish()
    for died in (3, 17, 38):  # before the first checkpoint, and some way behind one
        with after_step(died, kill), pytest.raises(Killed):
            made = loop_in(tmp_path / "broken", arch, every=10)
            assert made.resume() is (died == 38)
            made.finish()
    assert steps_logged(made.run)[-1] == 37
    resumed = loop_in(tmp_path / "broken", arch, every=10)
    assert resumed.resume()
    assert resumed.trainer.step_count == 30
    assert steps_logged(resumed.run)[-1] == 30  # what is done again is not told twice
    resumed.finish()
    assert_same(weights_of(resumed), weights_of(whole))
    assert timeless(resumed.run) == timeless(whole.run)


def test_features_were_resampled_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or else the tests above would say nothing of it."""
    counts: list[int] = []

    def counted(*given: Any) -> int:
        counts.append(resample(*given))
        return counts[-1]

    monkeypatch.setattr("engine.training.trainer.resample", counted)
    loop_in(tmp_path, "relu").finish()
    assert len(counts) == 4
    assert max(counts) > 0


def test_a_loss_that_is_no_number_names_the_last_good_checkpoint(tmp_path: Path) -> None:
    made = loop_in(tmp_path, source=Noise(spoilt_from=300), every=4)
    with pytest.raises(WorkFailed) as caught:
        made.finish()
    first_bad = steps_logged(made.run)[-1] + 1
    assert 19 <= first_bad <= 22  # 18 batches of 16 are whole before row 300, and its block ends at row 350
    kept = made.run.checkpoints / f"step-{(first_bad - 1) // 4 * 4}.h5"
    assert f"the loss is nan at step {first_bad}" in caught.value.what
    assert f"The last good checkpoint is {kept}." in caught.value.hint
    assert caught.value.exit_code == 1
    checkpoint = load_checkpoint(kept)
    assert {"sae.W_enc", "sae.W_dec", "sae.b_enc", "sae.b_dec", "adam.exp_avg.W_enc"} <= checkpoint.arrays.keys()
    assert all(np.isfinite(values).all() for name, values in checkpoint.arrays.items() if name != loop.CARRY)
    assert not made.trainer.is_sound()
    assert all(np.isfinite(event.loss) for event in read_events(made.run.events) if isinstance(event, TrainEvent))


def test_a_loss_that_is_no_number_before_any_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(WorkFailed, match="There is no checkpoint yet"):
        loop_in(tmp_path, source=Noise(spoilt_from=300)).finish()


def test_a_loss_that_explodes_stops_the_training(tmp_path: Path) -> None:
    def blow_up(made: SaeTrainer) -> None:
        with torch.no_grad():
            made.sae.b_dec.fill_(1e4)

    made = loop_in(tmp_path, every=4)
    with after_step(10, blow_up), pytest.raises(WorkFailed, match=r"has exploded from .* at step 11") as caught:
        made.finish()
    assert f"The last good checkpoint is {made.run.checkpoints / 'step-8.h5'}." in caught.value.hint
    assert steps_logged(made.run)[-1] == 10


def spoil(made: SaeTrainer) -> None:
    with torch.no_grad():
        made.sae.b_enc[0] = torch.nan


@pytest.mark.parametrize("step", [8, 40])
def test_worthless_weights_are_never_kept(tmp_path: Path, step: int) -> None:
    """The step's loss was still finite, and a checkpoint is due; or no further step would notice."""
    made = loop_in(tmp_path, every=4 if step == 8 else 30)
    with after_step(step, spoil), pytest.raises(WorkFailed, match=f"some weights are NaN or infinite at step {step}"):
        made.finish()
    assert [path.name for path in made.run.checkpoints.iterdir()] == ["step-4.h5" if step == 8 else "step-30.h5"]
    assert not any(isinstance(event, EndEvent) for event in read_events(made.run.events))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_does_not_wait(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_request() as request:
        assert not request.asked
        os.kill(os.getpid(), number)
        assert request.asked
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_elsewhere_than_in_the_main_thread_nothing_is_caught() -> None:
    found: list[bool] = []
    before = signal.getsignal(signal.SIGINT)

    def work() -> None:
        with stop_request() as request:
            found.append(request.asked)
            found.append(signal.getsignal(signal.SIGINT) is before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False, True]
