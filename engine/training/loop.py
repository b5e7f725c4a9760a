"""The training loop: steps, log lines, checkpoints, and a clean end whenever it is stopped.

Shapes: N rows, D values read per row by all members.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import ClassVar, TypeVar

import numpy as np
import torch

from engine.data.activations import BlockShuffle, Columns, Meter
from engine.data.ordinary_tokens import OUTLIERS, LeftOut, OrdinaryBlocks
from engine.ranks.group import ALONE, Ranks
from engine.runtime.interrupt import StopRequest, stop_request
from engine.runtime.progress import Progress, Task
from engine.runtime.sizes import SAMPLE_ROWS
from engine.training.agreement import Agreement
from engine.training.member import Member
from engine.training.schedule import CHECKPOINT_SECONDS, CheckpointClock
from engine.training.trainer import TrainerSettings
from store.files.errors import MonosemError, WorkFailed
from store.files.hdf5_arrays import reading
from store.run.checkpoint import (
    Checkpoint,
    checkpoints,
    forget_others,
    load_checkpoint,
    save_checkpoint,
)
from store.run.counted_noun import TOKEN, CountedNoun
from store.run.events import EndEvent, TrainEvent
from store.run.folder import RunFolder

T = TypeVar("T")

CARRY, ORDINARY = "shuffle.carry", "ordinary"
EXPLAINED, COUNTED = "explained_variance", "explained_variance_counted"
"""Facts of the progress line: of ordinary tokens, and with outliers."""


@dataclass
class TrainLoop:
    """Trainings with run folders of their own that share every batch, and so are at the same step."""

    members: Sequence[Member]
    shuffle: BlockShuffle
    checkpoint_every: int | None
    """Steps between checkpoints; None for one every `checkpoint_seconds`."""
    progress: Progress
    ordinary: OrdinaryBlocks | None = None
    """Leaves outliers out of what is shuffled; None for a source without."""
    meter: Meter | None = None
    """Measures the model's time; None where activations were stored."""
    noun: CountedNoun = TOKEN
    """The noun for what it trains on."""
    ranks: Ranks = ALONE
    """This process's place among those that take the same steps, each with members of its own, or with none."""
    others: Sequence[tuple[RunFolder, Columns]] = ()
    """The trainings of other ranks: where their checkpoints are, and what they read."""
    common: TrainerSettings | None = None
    """Settings of any training, for a rank without members."""
    log_points: ClassVar[int] = 200
    """Log lines of a training, about."""
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    seconds: float = 0.0
    """Training time before this process took over."""
    logged_at: float = 0.0
    """Training time at the last log line."""
    waited: float = 0.0
    """Seconds spent on waiting for activations."""
    step_count: int = 0
    """Steps that the members have taken."""

    @property
    def settings(self) -> TrainerSettings:
        """The settings of one training; batch and steps are those of all."""
        return self.common or self.members[0].trainer.settings

    def resume(self) -> bool:
        """Restore the latest step that all members have a checkpoint of; return False if there is no checkpoint.

        Raises:
            MonosemError: the members have been trained separately since, and have no step in common.
        """
        own = {member.run.path: member for member in self.members}
        places = [*((member.run, member.columns) for member in self.members), *self.others]
        step = self.ranks.shared(lambda: common_step([run for run, _ in places]))
        if step is None:
            for one in self.members:
                one.rewind(0)
            return False
        values, carry_ND, limits_2D = {}, np.empty((0, 0), np.float32), np.ones((2, self.shuffle.width), np.float32)
        for number, (run, columns) in enumerate(places):
            path = checkpoints(run.checkpoints)[step]
            member = own.get(run.path)
            if member:
                checkpoint = load_checkpoint(path, member.part, member.trainer.axes)
            else:
                checkpoint = load_checkpoint(path, names={CARRY, ORDINARY})
            with reading(path):
                if member:
                    member.restore(checkpoint)
                values, own_ND = checkpoint.state, checkpoint.arrays[CARRY]
                if number == 0:
                    carry_ND = np.zeros((len(own_ND), self.shuffle.width), np.float32)
                columns.spread(own_ND, carry_ND)
                if has_limits := ORDINARY in checkpoint.arrays:
                    columns.spread(checkpoint.arrays[ORDINARY], limits_2D)
        if self.ordinary is not None:
            self.ordinary.resume(limits_2D if has_limits else None)
        with reading(path):
            self.shuffle.restore(values["shuffle"], carry_ND)
            self.seconds, self.logged_at = float(values["seconds"]), float(values["logged_at"])
        self.step_count = step
        self.progress.say(f"resumed at step {step} of {self.settings.steps}")
        return True

    @property
    def outliers(self) -> int:
        """Outliers left out up to the end of the current block."""
        return int(self.shuffle.after.get(OUTLIERS, 0))

    def _left_out(self) -> LeftOut | None:
        return None if self.ordinary is None else self.ordinary.left_out(self.shuffle.after)

    def finish(self) -> None:
        """Train to the last step. A member that fails stops with its `failure`; the others continue.

        Raises:
            KeyboardInterrupt: the process was asked to stop; checkpoints were written.
            WorkFailed: the loss or weights of every remaining member are NaN or infinite; names its last checkpoint.
                Of several ranks none raises it: members have their `failure`.
        """
        settings = self.settings
        here = time.perf_counter()
        began = here - self.seconds
        if self.step_count == 0:
            sample_ND = self._first_rows()
            for member in self.members:
                member.trainer.start(*member.columns.of(sample_ND))
            for place, shares in {} if self.ordinary is None else self.ordinary.shares.items():
                for line in shares.lines(self.noun):
                    self.progress.say(f"{place}: {line}")
        number = len(self.members) + len(self.others)
        several = f"training {number} autoencoders" if number > 1 else "training"
        task = self.progress.task(several, settings.tokens, self.noun.many, self.step_count * settings.batch)
        with stop_request() as request, task as bar:
            self._steps(request, bar, began)
        for member in self._going():
            self._guarded(member, member.check_sound)
        self.seconds = time.perf_counter() - began
        end = EndEvent(
            tokens=settings.tokens,
            seconds=self.seconds,
            tok_s=settings.tokens / max(self.seconds, 1e-9),
            outlier_tokens=self.outliers,
        )
        for member in self._going():
            member.note(end)
        self._say_outliers(settings.tokens)
        self._say_shares(time.perf_counter() - here)

    def _say_outliers(self, tokens: int) -> None:
        """Say how many tokens were left out of the training, and what of them is explained."""
        if not self.outliers:
            return
        part = 100 * self.outliers / (tokens + self.outliers)
        self.progress.say(f"{self.outliers} outlier {self.noun.many} ({part:.2g}%) were left out of the training")
        if last := _facts([member.last for member in self._going() if member.last is not None]):
            ordinary, counted = last[EXPLAINED], last[COUNTED]
            self.progress.say(
                f"explained variance at the end: {ordinary:.3f} of ordinary {self.noun.many}, {counted:.3f} of all"
            )

    def _first_rows(self) -> torch.Tensor:
        """Return rows to initialise from. This makes the first block, which may take minutes."""
        began = time.perf_counter()
        if self.meter is None:
            return self.shuffle.peek(SAMPLE_ROWS)
        with self.progress.task("first activations", self.meter.contexts, "contexts") as bar:
            self.meter.report = bar.advance
            rows_ND = self.shuffle.peek(SAMPLE_ROWS)
        self.waited += time.perf_counter() - began
        return rows_ND

    def _say_shares(self, total: float) -> None:
        """Say what the time went to. The model runs in a thread of its own, so shares may add up to more than all."""
        if self.meter is not None:
            parts = ("model", self.meter.model_seconds), ("text", self.meter.text_seconds), ("SAE", total - self.waited)
            shares = ", ".join(f"{name} {seconds:.1f} s ({seconds / total:.0%})" for name, seconds in parts)
            self.progress.say(f"time: {shares} of {total:.1f} s")

    def _going(self) -> list[Member]:
        return [member for member in self.members if member.failure is None]

    def _guarded(self, member: Member, work: Callable[[], T]) -> T | None:
        """Do the work; if it fails, mark the member as failed and continue with the others, if any."""
        try:
            return work()
        except WorkFailed as failure:
            member.failure = failure
            if not self._going() and self.ranks.alone:
                raise
            self.progress.say(f"{member.run.name} has failed: {failure.what}; the others continue")
            return None

    def _steps(self, request: StopRequest, bar: Task, began: float) -> None:
        settings = self.settings
        log_every = max(1, settings.steps // self.log_points)
        logged = began + self.logged_at
        clock = CheckpointClock(self.checkpoint_every, self.checkpoint_seconds)
        shown = self.step_count
        agreement = Agreement(self.ranks, at_fixed_steps=self.checkpoint_every is not None)
        while self.step_count < settings.steps and agreement.goes_on:
            asked = time.perf_counter()
            rows_ND = self.shuffle.next_batch()
            self.waited += time.perf_counter() - asked
            for member in self._going():
                member.trainer.step(*member.columns.of(rows_ND))
            self.step_count += 1
            step, now = self.step_count, time.perf_counter()
            if step % log_every == 0 or step == settings.steps:
                counts = now - logged, self.outliers, self._left_out()
                events = [self._guarded(one, partial(one.log, *counts)) for one in self._going()]
                bar.advance((step - shown) * settings.batch, **_facts([event for event in events if event]))
                logged, shown = now, step
            agreement.reach(step, stop=request.asked, save=clock.is_due(step), going=bool(self._going()))
            if agreement.stops or agreement.saves:
                self.seconds, self.logged_at = now - began, logged - began
                self.save()
                clock.reset()
            if agreement.stops:
                raise KeyboardInterrupt

    def save(self) -> None:
        """Write checkpoints of the current step.

        Raises:
            WorkFailed: all members' weights are NaN or infinite; the last good checkpoints stay.
        """
        for member in self._going():
            self._guarded(member, member.check_sound)
        for member in self._going():
            if not member.writes:
                step, arrays = member.trainer.step_count, member.trainer.state()[1]
                save_checkpoint(member.run.checkpoints, Checkpoint(step, arrays), member.part)
        # A file is written after the parts that belong to it, and all are written before earlier ones are removed.
        self.ranks.gathered(None)
        written = [self._written(member) for member in self._going() if member.writes]
        self.ranks.gathered(None)
        for path in written:
            forget_others(path)

    def _written(self, member: Member) -> Path:
        """Write the checkpoint of a member, or its first part, and return its path."""
        shuffle, carry_ND = self.shuffle.state()
        values, arrays = member.trainer.state()
        times = {"seconds": self.seconds, "logged_at": self.logged_at}
        state = {"trainer": values, "shuffle": shuffle, "first_loss": member.first_loss} | times
        arrays[CARRY] = member.columns.join(carry_ND)
        if self.ordinary is not None and self.ordinary.ordinary is not None:
            arrays[ORDINARY] = member.columns.join(self.ordinary.ordinary.limits_2D)
        return save_checkpoint(
            member.run.checkpoints, Checkpoint(member.trainer.step_count, arrays, state), member.part
        )


def common_step(runs: Sequence[RunFolder]) -> int | None:
    """Return the latest step that all trainings have a checkpoint of; None where none of them has any.

    Raises:
        MonosemError: they have been trained separately since, and have no step in common.
    """
    found = [checkpoints(run.checkpoints) for run in runs]
    common = set.intersection(*(set(steps) for steps in found))
    if not common and any(found):
        step, furthest = max((max(steps, default=0), number) for number, steps in enumerate(found))
        path = runs[furthest].path
        raise MonosemError(
            f"{path} is at step {step}, where not all of the others are",
            f"Finish it alone, then the others: `resume=True` `out={path}`",
        )
    return max(common, default=None)


def _facts(events: Sequence[TrainEvent]) -> dict[str, float]:
    """Return the figures of a progress line, averaged over members; none without events."""
    if not events:
        return {}
    counted = [event.explained_variance_counted for event in events if event.explained_variance_counted is not None]
    return {
        "loss": fmean(event.loss for event in events),
        EXPLAINED: fmean(event.explained_variance for event in events),
        **({COUNTED: fmean(counted)} if counted else {}),
        "l0": fmean(event.l0 for event in events),
        "dead": round(fmean(event.dead for event in events)),
        "tok_s": events[0].tok_s,
    }
