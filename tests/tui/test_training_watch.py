"""How fast a training is and how long it will take, as its log tells."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from monosem_tui.model.training_watch import recent_speed, seconds_left
from store.run.events import TrainEvent


def logged(speeds: Sequence[float], tokens: int = 1000) -> tuple[TrainEvent, ...]:
    """Log points `tokens` apart, each with the tokens per second since the one before."""
    figures = {"loss": 0.1, "l0": 4.0, "explained_variance": 0.9, "dead": 0, "lr": 1e-3, "grad_norm": 1.0}
    return tuple(
        TrainEvent(step=n + 1, tokens=tokens * (n + 1), tok_s=speed, **figures) for n, speed in enumerate(speeds)
    )


def test_waits_for_activations_count_in_the_speed() -> None:
    block = [10.0, *[1000.0] * 99]
    assert recent_speed(logged(block * 20)) == pytest.approx(100_000 / (100 + 99), rel=0.1)


def test_the_speed_is_of_late_not_of_the_whole() -> None:
    assert recent_speed(logged([100.0] * 5 + [1000.0] * 500)) == pytest.approx(1000.0)


def test_what_is_left_takes_as_long_as_what_was_done() -> None:
    points = logged([10.0, *[1000.0] * 99] * 5)
    assert seconds_left(points, 2 * points[-1].tokens) == pytest.approx(5 * 199, rel=0.01)


def test_nothing_logged_has_no_speed() -> None:
    assert recent_speed(()) == 0.0
    assert seconds_left((), 1000) is None
