"""Every long phase reports from its first forward pass on, and a training says at its end what the time went to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.commands import extract, train, train_lm
from engine.runtime.progress import Task
from store.run.folder import RunFolder
from store.settings.extract import ExtractSettings
from store.settings.lm import LmSettings
from store.settings.train import TrainSettings
from tests.engine.trainings import Place, Spoken


class _Counted:
    def __init__(self) -> None:
        self.amounts: list[int] = []

    def advance(self, amount: int, **facts: float | str) -> None:
        del facts
        self.amounts.append(amount)


class Phases(Spoken):
    """Keeps every task's total, and the amounts that it reported."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, tuple[int | None, list[int]]] = {}

    @contextmanager
    def task(self, title: str, total: int | None, unit: str, done: int = 0) -> Iterator[Task]:
        """Open a task that counts."""
        del unit, done
        counted = _Counted()
        self.tasks[title] = total, counted.amounts
        yield counted


@pytest.fixture
def here(tmp_path: Path, tiny_lm: Path, tiny_text: Path) -> Place:
    """A place with the tiny model."""
    return Place(tmp_path, str(tiny_lm), str(tiny_text))


def test_a_training_reports_its_first_activations_and_its_shares(here: Place) -> None:
    seen = Phases()
    train.train(here.run("a"), TrainSettings(**here.settings(context=16, buffer=4096)), seen, resume=False)
    total, amounts = seen.tasks["first activations"]
    assert total is not None
    assert sum(amounts) == total
    assert re.fullmatch(r"time: model .* s \(\d+%\), text .*, SAE .* of .* s", seen.said[-1])


def test_a_training_on_shards_has_no_model_to_report(here: Place) -> None:
    shards, seen = here.extract("shards"), Phases()
    wanted = TrainSettings(
        activations=str(shards.path), tokens=2000, batch=64, d_sae=48, k=4, index=False, device="cpu"
    )
    train.train(here.run("b"), wanted, seen, resume=False)
    assert "first activations" not in seen.tasks
    assert not any(text.startswith("time: ") for text in seen.said)


def test_an_extraction_reports_each_forward_pass(here: Place) -> None:
    seen = Phases()
    wanted = ExtractSettings(**here.subject(tokens=20_000, context=16))
    extract.extract(here.run("c"), wanted, seen, resume=False)
    total, amounts = seen.tasks["extracting"]
    assert sum(amounts) == total
    assert len([amount for amount in amounts if amount]) > 1


def test_a_vocabulary_is_learnt_in_sight(here: Place) -> None:
    seen, run = Phases(), RunFolder(here.folder / "lm")
    small = LmSettings(data=here.text, tokens=2048, vocab=300, d_model=16, heads=2, context=32, samples=0, device="cpu")
    train_lm.train_lm(run, small, seen, resume=False)
    assert sum(seen.tasks["learning a vocabulary of 300 tokens"][1]) > 1
