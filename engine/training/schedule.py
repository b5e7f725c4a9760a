"""Learning rate and sparsity over a run: numbers between 0 and 1 that depend on the step alone."""

from __future__ import annotations


def lr_factor(step: int, steps: int, warmup: int, decay: int) -> float:
    """Share of the peak learning rate at `step` (from 0) of `steps`.

    Rises linearly over the first `warmup` steps, falls linearly to 0 over the last `decay`.
    """
    rise = (step + 1) / warmup if step < warmup else 1.0
    left = steps - step
    fall = left / decay if left < decay else 1.0
    return min(rise, fall)


def warmth(step: int, warmup: int) -> float:
    """Share of the sparsity penalty at `step`: rises linearly over the first `warmup` steps."""
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def resampling_steps(steps: int) -> tuple[int, ...]:
    """Steps after which dead features are resampled.

    Bricken et al. 2023 resample at steps 25 000, 50 000, 75 000 and 100 000 of a run of some 10⁵ to 10⁶: here at the
    same spacing of an eighth of the run, in its first half, so that the last half trains undisturbed.
    """
    return tuple(sorted({steps * i // 8 for i in (1, 2, 3, 4)} - {0}))
