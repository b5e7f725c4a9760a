"""Schedules over a training's steps: learning rate, sparsity, resampling, checkpoints."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from store.files.errors import WorkFailed
from store.run.checkpoint import latest_checkpoint

CHECKPOINT_SECONDS = 120.0


@dataclass
class CheckpointClock:
    """Decides when checkpoints are due. It does not affect the result of a training."""

    every: int | None
    """Steps between checkpoints; None for one every `seconds`."""
    seconds: float = CHECKPOINT_SECONDS
    _saved: float = field(default_factory=time.perf_counter)

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is due after `step`."""
        return time.perf_counter() - self._saved >= self.seconds if self.every is None else step % self.every == 0

    def reset(self) -> None:
        """Start the next interval: a checkpoint has been written."""
        self._saved = time.perf_counter()


def diverged(what: str, folder: Path) -> WorkFailed:
    """Return the error of a training whose numbers went wrong; it names the last good checkpoint in the folder."""
    kept = latest_checkpoint(folder)
    there = f"The last good checkpoint is {kept}." if kept else "There is no checkpoint yet."
    return WorkFailed(what, f"Train again with a lower `lr` and another `out`. {there}")


def lr_factor(step: int, steps: int, warmup: int, decay: int) -> float:
    """Return the share of the peak learning rate at `step` (from 0) of `steps`.

    It rises linearly over the first `warmup` steps and falls linearly to 0 over the last `decay`.
    """
    rise = (step + 1) / warmup if step < warmup else 1.0
    left = steps - step
    fall = left / decay if left < decay else 1.0
    return min(rise, fall)


def warmth(step: int, warmup: int) -> float:
    """Return the share of the sparsity penalty at `step`: it rises linearly over the first `warmup` steps."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def resampling_steps(steps: int) -> tuple[int, ...]:
    """Return the steps after which dead features are resampled: every eighth of a run, in its first half.

    Bricken et al. 2023 resample at steps 25 000, 50 000, 75 000 and 100 000 of runs of 10⁵ to 10⁶ steps. The second
    half trains undisturbed.
    """
    return tuple(sorted({steps * i // 8 for i in (1, 2, 3, 4)} - {0}))
