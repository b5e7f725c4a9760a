"""Further destinations of a training's log lines: TensorBoard, Weights & Biases. Off by default.

A sink only listens: neither what it does nor its failures influence the training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.run.events import TrainEvent
from store.run.folder import RunFolder

PROJECT = "monosem"


class Sink(Protocol):
    """Receives the log lines of a training."""

    def log(self, event: TrainEvent) -> None:
        """Log a line."""

    def close(self) -> None:
        """Flush and close; no line follows."""


def scalars(event: TrainEvent) -> dict[str, float]:
    """Return the numbers of a line by name, the loss's parts as `terms/NAME`."""
    names = [field.name for field in fields(event) if field.name not in ("step", "tokens", "terms")]
    values = {name: getattr(event, name) for name in names}
    return {name: float(value) for name, value in values.items() if value is not None} | {
        f"terms/{name}": value for name, value in event.terms.items()
    }


class TensorBoardSink:
    """Event files in RUN/tensorboard, over tokens. On resuming, later lines are purged."""

    def __init__(self, run: RunFolder, settings: Mapping[str, Any], tokens: int) -> None:
        del settings
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(run.path / "tensorboard"), purge_step=tokens + 1 if tokens else None)

    def log(self, event: TrainEvent) -> None:
        """Log a line."""
        for name, value in scalars(event).items():
            self._writer.add_scalar(name, value, event.tokens)

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()


class WandbSink:
    """A run of the project "monosem", continued by a resumed training; WANDB_PROJECT and the like are respected."""

    def __init__(self, run: RunFolder, settings: Mapping[str, Any], tokens: int) -> None:
        del tokens
        wandb: Any = import_module("wandb")
        record = run.record()
        self._run = wandb.init(
            project=wandb.env.get_project() or PROJECT,
            name=run.name,
            id=hashlib.sha256(f"{run.name} {record.created}".encode()).hexdigest()[:16],
            resume="allow",
            reinit="create_new",
            dir=str(run.path),
            config=dict(settings),
        )

    def log(self, event: TrainEvent) -> None:
        """Log a line."""
        self._run.log(scalars(event) | {"tokens": event.tokens}, step=event.step)

    def close(self) -> None:
        """Wait until all lines are sent."""
        self._run.finish()


SINKS: dict[str, Callable[[RunFolder, Mapping[str, Any], int], Sink]] = {
    "tensorboard": TensorBoardSink,
    "wandb": WandbSink,
}


def check_sinks(text: str) -> list[str]:
    """Return the names of sinks in a comma-separated list.

    Raises:
        MonosemError: a name is unknown, or its package is not installed.
    """
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in SINKS:
            raise MonosemError(f"logs cannot go to {name!r}", f"`log_to` takes {' or '.join(SINKS)}.")
    for name in names:
        if find_spec(name) is None:
            raise MonosemError(f"{name} is not installed", f"pip install 'monosem[{name}]', or leave `log_to` out.")
    return names


class Sinks:
    """The sinks of a training. A sink that fails is reported and dropped; the training continues."""

    def __init__(self, sinks: Sequence[tuple[str, Sink]], progress: Progress) -> None:
        self._sinks = dict(sinks)
        self._progress = progress

    def log(self, event: TrainEvent) -> None:
        """Log a line to all sinks."""
        for name, sink in list(self._sinks.items()):
            self._try(name, lambda sink=sink: sink.log(event))  # type: ignore[misc]

    def close(self) -> None:
        """Close all sinks."""
        for name, sink in list(self._sinks.items()):
            self._try(name, sink.close)
        self._sinks.clear()

    def _try(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # a service or its library may raise anything
            self._sinks.pop(name, None)
            self._progress.say(f"{name} takes no further lines: {type(error).__name__}: {error}")


def open_sinks(text: str, run: RunFolder, settings: Mapping[str, Any], tokens: int, progress: Progress) -> Sinks:
    """Open the sinks that `text` names, for an existing run trained on `tokens` tokens so far.

    Raises:
        MonosemError: a sink is unknown, not installed, or cannot be opened.
    """
    found = []
    for name in check_sinks(text):
        try:
            found.append((name, SINKS[name](run, settings, tokens)))
        except Exception as error:
            raise MonosemError(f"{name} cannot be opened: {error}", "Leave `log_to` out to train without.") from error
    return Sinks(found, progress)
