"""From a source of activations to sae.h5: steps, log lines, checkpoints, and a good end whenever it is stopped."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from engine.activations import BlockShuffle
from engine.interrupt import StopRequest, stop_request
from engine.progress import Progress, Task
from engine.training.trainer import SaeTrainer, Tally
from store.checkpoint import Checkpoint, latest_checkpoint, load_checkpoint, save_checkpoint
from store.errors import WorkFailed
from store.events import EndEvent, EventLog, TrainEvent
from store.run import RunFolder

SAMPLE_ROWS = 16_384
"""Activations that set the scale, the mean and so the start of a training."""
LOG_POINTS = 200
CHECKPOINT_SECONDS = 120.0
CARRY = "shuffle.carry"


@dataclass
class TrainLoop:
    """One autoencoder's training in one run folder."""

    run: RunFolder
    trainer: SaeTrainer
    shuffle: BlockShuffle
    checkpoint_every: int | None
    """Steps; None for one every CHECKPOINT_SECONDS. When a checkpoint is taken has no influence on the result."""
    progress: Progress
    seconds: float = 0.0
    """Time spent in training before this process took over."""
    logged_at: float = 0.0
    """How much of it was spent when the last line was logged."""

    def resume(self) -> bool:
        """Go back to the latest checkpoint; False when there is none and training starts from the beginning."""
        path = latest_checkpoint(self.run.checkpoints)
        log = EventLog(self.run.events)
        if path is None:
            log.rewind(0)
            return False
        checkpoint = load_checkpoint(path)
        self.trainer.restore(checkpoint.state["trainer"], checkpoint.arrays)
        self.shuffle.restore(checkpoint.state["shuffle"], checkpoint.arrays[CARRY])
        self.seconds, self.logged_at = float(checkpoint.state["seconds"]), float(checkpoint.state["logged_at"])
        log.rewind(checkpoint.step)
        self.progress.say(f"resumed at step {checkpoint.step} of {self.trainer.settings.steps}")
        return True

    def finish(self) -> None:
        """Train to the last step.

        Raises:
            KeyboardInterrupt: someone asked to stop; a checkpoint was written.
            WorkFailed: loss or weights are no numbers; the last good checkpoint is named.
        """
        trainer, batch = self.trainer, self.trainer.settings.batch
        began = time.perf_counter() - self.seconds
        if trainer.step_count == 0:
            trainer.start(self.shuffle.peek(SAMPLE_ROWS))
        total = trainer.settings.tokens
        task = self.progress.task("training", total, "tokens", trainer.step_count * batch)
        with stop_request() as request, task as bar:
            self._steps(request, bar, began)
        if not trainer.is_sound():
            raise self._failure("the weights are not all finite numbers any more")
        self.seconds = time.perf_counter() - began
        EventLog(self.run.events).append(
            EndEvent(tokens=total, seconds=self.seconds, tok_s=total / max(self.seconds, 1e-9))
        )

    def _steps(self, request: StopRequest, bar: Task, began: float) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        log_every = max(1, settings.steps // LOG_POINTS)
        logged = began + self.logged_at
        saved = time.perf_counter()
        shown = trainer.step_count
        while trainer.step_count < settings.steps:
            trainer.step(self.shuffle.next_batch())
            step, now = trainer.step_count, time.perf_counter()
            if step % log_every == 0 or step == settings.steps:
                event = self._log(now - logged)
                bar.advance((step - shown) * settings.batch, **_facts(event))
                logged, shown = now, step
            if request.asked or self._checkpoint_due(step, now - saved):
                self.seconds, self.logged_at = now - began, logged - began
                self.save()
                saved = time.perf_counter()
            if request.asked:
                raise KeyboardInterrupt

    def _checkpoint_due(self, step: int, seconds: float) -> bool:
        if self.checkpoint_every is None:
            return seconds >= CHECKPOINT_SECONDS
        return step % self.checkpoint_every == 0

    def save(self) -> None:
        """Write a checkpoint of this very step.

        Raises:
            WorkFailed: its weights are worthless; the last good checkpoint stays.
        """
        if not self.trainer.is_sound():
            raise self._failure("the weights are not all finite numbers any more")
        values, arrays = self.trainer.state()
        shuffle, carry_ND = self.shuffle.state()
        state = {"trainer": values, "shuffle": shuffle, "seconds": self.seconds, "logged_at": self.logged_at}
        save_checkpoint(self.run.checkpoints, Checkpoint(self.trainer.step_count, arrays | {CARRY: carry_ND}, state))

    def _log(self, seconds: float) -> TrainEvent:
        """Write the line for the steps since the last, and begin a new tally."""
        trainer, batch = self.trainer, self.trainer.settings.batch
        tally, trainer.tally = trainer.tally, Tally()
        rows = tally.steps * batch
        event = TrainEvent(
            step=trainer.step_count,
            tokens=trainer.step_count * batch,
            loss=float(tally.loss) / tally.steps,
            l0=float(tally.n_active) / rows,
            explained_variance=1.0 - float(tally.squared_error) / max(float(tally.variance), 1e-30),
            dead=trainer.n_dead,
            lr=trainer.lr_at(trainer.step_count - 1),
            grad_norm=float(tally.grad_norm) / tally.steps,
            tok_s=rows / max(seconds, 1e-9),
            terms={name: float(value) / tally.steps for name, value in tally.terms.items()},
        )
        if not math.isfinite(event.loss):
            raise self._failure(f"the loss is {event.loss}")
        EventLog(self.run.events).append(event)
        return event

    def _failure(self, what: str) -> WorkFailed:
        kept = latest_checkpoint(self.run.checkpoints)
        return WorkFailed(
            f"{what} at step {self.trainer.step_count}",
            "Begin again with a lower --lr and another --out. "
            + (f"The last good checkpoint is {kept}." if kept else "No checkpoint was taken yet."),
        )


def _facts(event: TrainEvent) -> dict[str, float | int | str]:
    """What a progress line shows."""
    return {
        "loss": event.loss,
        "explained_variance": event.explained_variance,
        "l0": event.l0,
        "dead": event.dead,
        "tok_s": event.tok_s,
    }
