"""Small trainings in a folder: what they read, what they are asked for, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.commands import extract, train
from engine.runtime.progress import Silent
from store.run.folder import RunFolder
from store.settings.extract import ExtractSettings
from store.settings.train import TrainSettings
from tests.engine.architectures import AIMED


class Spoken(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)


@dataclass(frozen=True)
class Place:
    """Folder and text of trainings."""

    folder: Path
    model: str
    text: str

    def run(self, name: str) -> RunFolder:
        """A run by name."""
        return RunFolder(self.folder / name)

    def subject(self, **changes: Any) -> dict[str, Any]:
        """Model, text and site."""
        known = {"model": self.model, "data": self.text, "layer": 1, "context": 32, "seed": 5, "device": "cpu"}
        return known | changes

    def settings(self, arch: str = "topk", **changes: Any) -> dict[str, Any]:
        """A training of 93 steps over more than one epoch of the text."""
        sparsity: dict[str, Any] = {"k": 4} if arch in AIMED else {"l1": 3.0, "dead_after": 200}
        known = {"arch": arch, "tokens": 6000, "batch": 64, "d_sae": 48, "buffer": 700, "index": False}
        return self.subject(**(known | sparsity | changes))

    def train(self, name: str, *, resume: bool = False, **settings: Any) -> RunFolder:
        """`monosem train`."""
        run = self.run(name)
        train.train(run, TrainSettings(**settings), Silent(), resume=resume)
        return run

    def extract(self, name: str, **changes: Any) -> RunFolder:
        """`monosem extract`, of as much as `settings` trains on."""
        run = self.run(name)
        extract.extract(
            run,
            ExtractSettings(**self.subject(**({"tokens": 6000, "keep": "float32"} | changes))),
            Silent(),
            resume=False,
        )
        return run
