"""From activations to trained autoencoders: steps, log lines, checkpoints, and a good end whenever it is stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean
from typing import TypeVar

import numpy as np

from engine.data.activations import BlockShuffle, Columns
from engine.runtime.interrupt import StopRequest, stop_request
from engine.runtime.progress import Progress, Task
from engine.training.sinks import Sinks
from engine.training.trainer import SaeTrainer, Tally
from store.files.errors import MonosemError, WorkFailed
from store.run.checkpoint import (
    Checkpoint,
    checkpoints,
    forget_others,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from store.run.events import EndEvent, EventLog, TrainEvent
from store.run.folder import RunFolder

T = TypeVar("T")

SAMPLE_ROWS = 16_384
"""Activations that set the scale, the mean and so the start of a training."""
LOG_POINTS = 200
CHECKPOINT_SECONDS = 120.0
EXPLODED = 1000
"""A loss this many times the first one logged has exploded."""
CARRY = "shuffle.carry"


@dataclass
class Member:
    """One of the autoencoders that are trained on one pass."""

    run: RunFolder
    trainer: SaeTrainer
    columns: Columns = field(default_factory=lambda: Columns(slice(None)))
    sinks: Sinks | None = None
    """Where lines go beside the run's own events."""
    failure: WorkFailed | None = None
    """Why it takes no further step."""
    first_loss: float | None = None

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to a checkpoint, in the events too."""
        self.trainer.restore(checkpoint.state["trainer"], checkpoint.arrays)
        self.first_loss = checkpoint.state.get("first_loss")
        EventLog(self.run.events).rewind(checkpoint.step)

    def log(self, seconds: float) -> TrainEvent:
        """Write the line for the steps since the last, and begin a new tally.

        Raises:
            WorkFailed: the loss is no number, or has exploded.
        """
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
            raise self.failed(f"the loss is {event.loss}")
        if self.first_loss is None:
            self.first_loss = event.loss
        elif event.loss > EXPLODED * max(self.first_loss, 1e-6):
            raise self.failed(f"the loss has exploded from {self.first_loss:.3g} to {event.loss:.3g}")
        EventLog(self.run.events).append(event)
        if self.sinks is not None:
            self.sinks.log(event)
        return event

    def check_sound(self) -> None:
        """Refuse to go on with weights that are worth nothing.

        Raises:
            WorkFailed: the last good checkpoint is named.
        """
        if not self.trainer.is_sound():
            raise self.failed("the weights are not all finite numbers any more")

    def failed(self, what: str) -> WorkFailed:
        """The error that ends this training."""
        kept = latest_checkpoint(self.run.checkpoints)
        return WorkFailed(
            f"{what} at step {self.trainer.step_count}",
            "Begin again with a lower `lr` and another `out`. "
            + (f"The last good checkpoint is {kept}." if kept else "No checkpoint was taken yet."),
        )


@dataclass
class TrainLoop:
    """Trainings in run folders of their own that share every batch; all are at the same step."""

    members: Sequence[Member]
    shuffle: BlockShuffle
    checkpoint_every: int | None
    """Steps; None for one every CHECKPOINT_SECONDS. When a checkpoint is taken has no influence on the result."""
    progress: Progress
    seconds: float = 0.0
    """Time spent in training before this process took over."""
    logged_at: float = 0.0
    """How much of it was spent when the last line was logged."""

    def resume(self) -> bool:
        """Go back to the latest step that all have a checkpoint of; False when training starts from the beginning.

        Raises:
            MonosemError: they were trained apart since, and have no step in common.
        """
        found = [checkpoints(member.run.checkpoints) for member in self.members]
        common = set.intersection(*(set(steps) for steps in found))
        if not common and any(found):
            step, furthest = max((max(steps, default=0), number) for number, steps in enumerate(found))
            path = self.members[furthest].run.path
            raise MonosemError(
                f"{path} is at step {step}, where not all of the others are",
                f"Finish it by itself, then the others: `resume=True` `out={path}`",
            )
        if not common:
            for member in self.members:
                EventLog(member.run.events).rewind(0)
            return False
        step = max(common)
        values, carry_ND = {}, np.empty((0, 0), np.float32)
        for number, (member, steps) in enumerate(zip(self.members, found, strict=True)):
            checkpoint = load_checkpoint(steps[step])
            member.restore(checkpoint)
            values, own_ND = checkpoint.state, checkpoint.arrays[CARRY]
            if number == 0:
                carry_ND = np.zeros((len(own_ND), self.shuffle.width), np.float32)
            member.columns.spread(own_ND, carry_ND)
        self.shuffle.restore(values["shuffle"], carry_ND)
        self.seconds, self.logged_at = float(values["seconds"]), float(values["logged_at"])
        self.progress.say(f"resumed at step {step} of {self.members[0].trainer.settings.steps}")
        return True

    @property
    def step_count(self) -> int:
        """Steps that all of them have taken."""
        return next((m.trainer.step_count for m in self.members if m.failure is None), 0)

    def finish(self) -> None:
        """Train to the last step. One of several that fails is left behind with its `failure`.

        Raises:
            KeyboardInterrupt: someone asked to stop; checkpoints were written.
            WorkFailed: loss or weights of the only one, or of all, are no numbers; the last good checkpoint is named.
        """
        settings = self.members[0].trainer.settings
        began = time.perf_counter() - self.seconds
        if self.step_count == 0:
            sample_ND = self.shuffle.peek(SAMPLE_ROWS)
            for member in self.members:
                member.trainer.start(*member.columns.of(sample_ND))
        several = f"training {len(self.members)} autoencoders" if len(self.members) > 1 else "training"
        task = self.progress.task(several, settings.tokens, "tokens", self.step_count * settings.batch)
        with stop_request() as request, task as bar:
            self._steps(request, bar, began)
        for member in self._going():
            self._guarded(member, member.check_sound)
        self.seconds = time.perf_counter() - began
        end = EndEvent(tokens=settings.tokens, seconds=self.seconds, tok_s=settings.tokens / max(self.seconds, 1e-9))
        for member in self._going():
            EventLog(member.run.events).append(end)

    def _going(self) -> list[Member]:
        return [member for member in self.members if member.failure is None]

    def _guarded(self, member: Member, work: Callable[[], T]) -> T | None:
        """Do it; where it fails, go on with the others, if there are any."""
        try:
            return work()
        except WorkFailed as failure:
            member.failure = failure
            if not self._going():
                raise
            self.progress.say(f"{member.run.name} has failed: {failure.what}; the others go on")
            return None

    def _steps(self, request: StopRequest, bar: Task, began: float) -> None:
        settings = self.members[0].trainer.settings
        log_every = max(1, settings.steps // LOG_POINTS)
        logged = began + self.logged_at
        saved = time.perf_counter()
        shown = self.step_count
        while self.step_count < settings.steps:
            rows_ND = self.shuffle.next_batch()
            for member in self._going():
                member.trainer.step(*member.columns.of(rows_ND))
            step, now = self.step_count, time.perf_counter()
            if step % log_every == 0 or step == settings.steps:
                events = [self._guarded(member, partial(member.log, now - logged)) for member in self._going()]
                bar.advance((step - shown) * settings.batch, **_facts([event for event in events if event]))
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
        """Write checkpoints of this very step.

        Raises:
            WorkFailed: its weights are worthless; the last good checkpoint stays.
        """
        shuffle, carry_ND = self.shuffle.state()
        times = {"seconds": self.seconds, "logged_at": self.logged_at}
        written = []
        for member in self._going():
            self._guarded(member, member.check_sound)
        for member in self._going():
            values, arrays = member.trainer.state()
            state = {"trainer": values, "shuffle": shuffle, "first_loss": member.first_loss} | times
            arrays[CARRY] = member.columns.join(carry_ND)
            written.append(
                save_checkpoint(member.run.checkpoints, Checkpoint(member.trainer.step_count, arrays, state))
            )
        for path in written:
            forget_others(path)


def _facts(events: Sequence[TrainEvent]) -> dict[str, float | int | str]:
    """What a progress line shows: of several, the means."""
    return {
        "loss": fmean(event.loss for event in events),
        "explained_variance": fmean(event.explained_variance for event in events),
        "l0": fmean(event.l0 for event in events),
        "dead": round(fmean(event.dead for event in events)),
        "tok_s": events[0].tok_s,
    }
