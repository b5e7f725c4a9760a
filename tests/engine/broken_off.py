"""Trainings that are broken off on purpose, and how to tell that another is the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from engine.training.trainer import SaeTrainer
from store.run.events import TrainEvent, read_events
from store.run.folder import RunFolder


@contextmanager
def after_step(number: int, then: Callable[[SaeTrainer], None]) -> Iterator[None]:
    """Run a function right after one step of any training."""
    step = SaeTrainer.step

    def watched(self: SaeTrainer, x_BD: torch.Tensor, y_BO: torch.Tensor | None = None) -> None:
        step(self, x_BD, y_BO)
        if self.step_count == number:
            then(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SaeTrainer, "step", watched)
        yield


def ask_to_stop(_: SaeTrainer) -> None:
    """Interrupt the process as Ctrl-C does."""
    os.kill(os.getpid(), signal.SIGINT)


class Killed(BaseException):
    """As if the process were gone at once: nothing is saved."""


def kill(_: SaeTrainer) -> None:
    raise Killed


def steps_logged(run: RunFolder) -> list[int]:
    return [event.step for event in read_events(run.events) if isinstance(event, TrainEvent)]


def timeless(run: RunFolder) -> list[dict[str, Any]]:
    """All events without what a clock says."""
    found = [asdict(event) for event in read_events(run.events)]
    for event in found:
        del event["tok_s"]
        event.pop("seconds", None)
    return found


def assert_same(found: Mapping[str, NDArray[Any]], expected: Mapping[str, NDArray[Any]]) -> None:
    """Require equality to the bit."""
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert np.isfinite(values).all()
        assert np.array_equal(found[name], values), name
