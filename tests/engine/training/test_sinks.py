"""Sinks: what they receive, and that a training does not depend on them."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest

from engine.training import sinks
from engine.training.sinks import SINKS, check_sinks, open_sinks, scalars
from store.files.errors import MonosemError
from store.run.events import TrainEvent, read_events
from store.run.folder import RunFolder, RunRecord
from store.run.weights import load_sae
from store.settings.train import TrainSettings
from tests.engine.broken_off import after_step, ask_to_stop, assert_same
from tests.engine.trainings import Place, Spoken

EVENT = TrainEvent(
    step=3, tokens=96, loss=0.5, l0=4.0, explained_variance=0.9, dead=2, lr=0.01, grad_norm=1.5, tok_s=70.0,
    terms={"aux": 0.25},
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, tiny_lm: Path, tiny_text: Path) -> Place:
    return Place(tmp_path, str(tiny_lm), str(tiny_text))


class FakeSink:
    """Keeps its lines; optionally fails at the third."""

    made: ClassVar[list[FakeSink]] = []
    fails = False

    def __init__(self, run: RunFolder, settings: Any, tokens: int) -> None:
        self.run, self.settings, self.tokens = run, settings, tokens
        self.steps: list[int] = []
        self.closed = False
        FakeSink.made.append(self)

    def log(self, event: TrainEvent) -> None:
        if FakeSink.fails and len(self.steps) == 2:
            raise ConnectionError("the line is dead")
        self.steps.append(event.step)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeSink]:
    FakeSink.made, FakeSink.fails = [], False
    monkeypatch.setitem(SINKS, "json", FakeSink)  # a name that can be imported
    return FakeSink


def logged(run: RunFolder) -> list[int]:
    return [event.step for event in read_events(run.events) if isinstance(event, TrainEvent)]


def test_a_sink_is_told_every_line(place: Place, fake: type[FakeSink]) -> None:
    run = place.train("run", **place.settings(log_to="json"))
    (sink,) = fake.made
    assert sink.steps == logged(run)
    assert (sink.closed, sink.tokens, sink.settings["d_sae"]) == (True, 0, 48)
    assert_same(load_sae(run.sae).tensors, load_sae(place.train("plain", **place.settings()).sae).tensors)


def test_a_resumed_training_goes_on_telling(place: Place, fake: type[FakeSink]) -> None:
    settings = place.settings(log_to="json")
    with after_step(40, ask_to_stop), pytest.raises(KeyboardInterrupt):
        place.train("run", **settings)
    run = place.train("run", resume=True, **settings)
    first, second = fake.made
    assert first.closed
    assert second.tokens == 40 * 64
    assert first.steps + second.steps == logged(run)


def test_a_sink_that_fails_is_dropped(place: Place, fake: type[FakeSink]) -> None:
    from engine.commands.train import train

    fake.fails = True
    spoken, run = Spoken(), place.run("run")
    train(run, TrainSettings(**place.settings(log_to="json")), spoken, resume=False)
    assert spoken.said.count("json takes no further lines: ConnectionError: the line is dead") == 1
    assert fake.made[0].steps == logged(run)[:2]
    assert run.sae.is_file()


def test_what_is_unknown_or_missing_is_said_before_any_work(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MonosemError, match="logs cannot go to 'paper'"):
        place.train("run", **place.settings(log_to="tensorboard,paper"))
    monkeypatch.setattr(sinks, "find_spec", lambda name: None)
    with pytest.raises(MonosemError, match="wandb is not installed") as caught:
        place.train("run", **place.settings(log_to="wandb"))
    assert "pip install 'monosem[wandb]'" in (caught.value.hint or "")
    assert not place.run("run").path.exists()


def test_names_are_taken_once(fake: type[FakeSink]) -> None:
    assert check_sinks("json, json,") == ["json"]
    assert check_sinks("") == []


def test_scalars_are_the_numbers_of_a_line() -> None:
    assert scalars(EVENT)["terms/aux"] == 0.25
    assert scalars(EVENT)["explained_variance"] == 0.9
    assert len(scalars(EVENT)) == 8


def test_weights_and_biases_is_called_as_it_wants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own library is asked for one run that a resumed training finds again, with the settings as its config."""
    calls: list[tuple[str, Any]] = []

    def init(**given: Any) -> Any:
        calls.append(("init", given))
        return SimpleNamespace(
            log=lambda values, step: calls.append(("log", (values, step))),
            finish=lambda: calls.append(("finish", None)),
        )

    module = ModuleType("wandb")
    module.__spec__ = ModuleSpec("wandb", None)
    module.__dict__.update(init=init, env=SimpleNamespace(get_project=lambda: None))
    monkeypatch.setitem(sys.modules, "wandb", module)
    run = RunFolder(tmp_path / "mine")
    run.path.mkdir()
    run.create(RunRecord())
    for _ in range(2):
        told = open_sinks("wandb", run, {"k": 4}, 0, Spoken())
        told.log(EVENT)
        told.close()
    (_, first), log, (finish, _), (_, second) = calls[:4]
    assert (first["project"], first["name"], first["resume"], first["config"]) == ("monosem", "mine", "allow", {"k": 4})
    assert first["id"] == second["id"]
    assert log == ("log", (scalars(EVENT) | {"tokens": 96}, 3))
    assert finish == "finish"


def test_a_service_that_cannot_be_reached_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any) -> Any:
        raise RuntimeError("no key")

    monkeypatch.setitem(SINKS, "json", refuse)
    with pytest.raises(MonosemError, match="json cannot be opened: no key"):
        open_sinks("json", RunFolder(tmp_path), {}, 0, Spoken())


def test_tensorboard_files_can_be_read_back(place: Place) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is an extra")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    settings = place.settings(log_to="tensorboard")
    with after_step(40, ask_to_stop), pytest.raises(KeyboardInterrupt):
        place.train("run", **settings)
    run = place.train("run", resume=True, **settings)
    read = EventAccumulator(str(run.path / "tensorboard"))
    read.Reload()
    expected = {event.tokens: event.loss for event in read_events(run.events) if isinstance(event, TrainEvent)}
    found = {scalar.step: scalar.value for scalar in read.Scalars("loss")}
    assert found == pytest.approx(expected, rel=1e-6)
