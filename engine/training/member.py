"""One of the autoencoders trained in one pass: its trainer, its log lines, and when it has failed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.data.activations import Columns
from engine.data.ordinary_tokens import LeftOut
from engine.training.schedule import diverged
from engine.training.sinks import Sinks
from engine.training.trainer import SaeTrainer, Tally
from store.files.errors import WorkFailed
from store.run.checkpoint import Checkpoint, Part
from store.run.events import EndEvent, EventLog, TrainEvent
from store.run.folder import RunFolder

EXPLODED = 1000
"""Ratio of the loss to the first one logged from which it has exploded."""


@dataclass
class Member:
    """One of the autoencoders trained in one pass over the same activations."""

    run: RunFolder
    trainer: SaeTrainer
    columns: Columns = field(default_factory=lambda: Columns(slice(None)))
    sinks: Sinks | None = None
    """Sinks of log lines besides the run's events."""
    failure: WorkFailed | None = None
    """Why it takes no further steps."""
    first_loss: float | None = None
    last: TrainEvent | None = None
    """The last log line of this process that says what is explained with outliers; None where none was left out."""

    @property
    def part(self) -> Part:
        """The features that this process trains."""
        ranks = self.trainer.shard.ranks
        return Part(ranks.rank, ranks.number)

    @property
    def writes(self) -> bool:
        """Whether this process writes the run's events and weights: of several with parts of it, the first."""
        return self.part.index == 0

    def restore(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint, and rewind the events to its step."""
        self.trainer.restore(checkpoint.state["trainer"], checkpoint.arrays)
        self.first_loss = checkpoint.state.get("first_loss")
        self.rewind(checkpoint.step)

    def rewind(self, step: int) -> None:
        """Remove the events after a step."""
        if self.writes:
            EventLog(self.run.events).rewind(step)

    def note(self, event: TrainEvent | EndEvent) -> None:
        """Append to the run's events."""
        if self.writes:
            EventLog(self.run.events).append(event)

    def log(self, seconds: float, outliers: int, left_out: LeftOut | None = None) -> TrainEvent:
        """Write the log line for the steps since the last one, and start a new tally.

        `outliers` is the number of tokens left out so far, `left_out` those of the current block.

        Raises:
            WorkFailed: the loss is not finite or has exploded.
        """
        trainer, batch = self.trainer, self.trainer.settings.batch
        tally, trainer.tally = trainer.tally, Tally()
        rows = tally.steps * batch
        counted = None
        if left_out is not None:
            counted = trainer.counted_variance(tally, left_out.share, *self.columns.of(left_out.rows_ND))
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
            explained_variance_standardised=trainer.standardised_variance(),
            outlier_tokens=outliers,
            explained_variance_counted=counted,
        )
        self.last = self.last if counted is None else event
        if not math.isfinite(event.loss):
            raise self.failed(f"the loss is {event.loss}")
        if self.first_loss is None:
            self.first_loss = event.loss
        elif event.loss > EXPLODED * max(self.first_loss, 1e-6):
            raise self.failed(f"the loss has exploded from {self.first_loss:.3g} to {event.loss:.3g}")
        self.note(event)
        if self.sinks is not None:
            self.sinks.log(event)
        return event

    def check_sound(self) -> None:
        """Refuse to continue with weights that are NaN or infinite.

        Raises:
            WorkFailed: names the last good checkpoint.
        """
        if not self.trainer.is_sound():
            raise self.failed("some weights are NaN or infinite")

    def failed(self, what: str) -> WorkFailed:
        """Return the error that ends this training."""
        return diverged(f"{what} at step {self.trainer.step_count}", self.run.checkpoints)
