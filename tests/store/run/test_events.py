"""events.jsonl: written a line at a time, followed by another terminal, taken back when a training resumes."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from store.run.events import EndEvent, EventLog, EventTail, News, TrainEvent, read_events


def event(step: int, **more: object) -> TrainEvent:
    values = {"loss": 0.1, "l0": 16.0, "explained_variance": 0.9, "dead": 3, "lr": 1e-3, "grad_norm": 2.0, "tok_s": 5.0}
    return TrainEvent(step=step, tokens=step * 64, **values | more)  # type: ignore[arg-type]


END = EndEvent(tokens=640, seconds=2.5, tok_s=256.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_round_trip(path: Path) -> None:
    assert read_events(path) == []
    events = [event(1), event(2, terms={"aux": 0.5}), END]
    for each in events:
        EventLog(path).append(each)
    assert read_events(path) == events


def test_the_documented_lines(path: Path) -> None:
    EventLog(path).append(event(1))
    EventLog(path).append(END)
    first, last = (json.loads(line) for line in path.read_text().splitlines())
    assert list(first)[:9] == ["step", "tokens", *asdict(event(1))][2:11]
    assert set(first) >= {"step", "tokens", "loss", "l0", "explained_variance", "dead", "lr", "grad_norm", "tok_s"}
    assert last == {"event": "end", "tokens": 640, "seconds": 2.5, "tok_s": 256.0}


@pytest.mark.parametrize("cut", [1, 2, 30])
def test_a_line_that_is_still_being_written(path: Path, cut: int) -> None:
    EventLog(path).append(event(1))
    EventLog(path).append(event(2))
    path.write_bytes(path.read_bytes()[:-cut])
    whole = [event(1), event(2)] if cut == 1 else [event(1)]
    assert read_events(path) == whole
    EventLog(path).append(event(3))
    assert read_events(path) == [*whole, event(3)]


def test_what_is_no_event_is_left_out(path: Path) -> None:
    EventLog(path).append(event(1))
    broken = ["", "null", "[1]", '{"step": 3}', "{", '{"event": "end"}', '{"step": ' + "9" * 5000 + "}"]
    with path.open("ab") as stream:
        stream.write("".join(line + "\n" for line in broken).encode() + b"\xff\n")
        stream.write(json.dumps(asdict(event(2)) | {"of a later version": 1}).encode() + b"\n")
    assert read_events(path) == [event(1), event(2)]


@pytest.mark.parametrize("step", [0, 1, 25, 30, 99])
def test_rewind(path: Path, step: int) -> None:
    log = EventLog(path)
    for each in (10, 20, 30):
        log.append(event(each))
    log.append(END)
    with path.open("ab") as stream:
        stream.write(b'{"step": 40, "to')
    log.rewind(step)
    kept = [event(each) for each in (10, 20, 30) if each <= step]
    assert read_events(path) == kept
    assert path.read_bytes().count(b"\n") == len(kept)
    log.append(event(31))
    assert read_events(path) == [*kept, event(31)]


def test_rewind_without_a_file(path: Path) -> None:
    EventLog(path).rewind(0)
    assert read_events(path) == []


def test_a_tail_brings_each_line_once(path: Path) -> None:
    tail = EventTail(path)
    assert tail.poll() == News([], False)
    log = EventLog(path)
    log.append(event(1))
    assert tail.poll() == News([event(1)], True)
    assert tail.poll() == News([], False)
    log.append(event(2))
    with path.open("ab") as stream:
        stream.write(b'{"step": 3, "tok')
    assert tail.poll() == News([event(2)], False)
    assert tail.poll() == News([], False)
    log.append(event(4))  # a line of its own behind the torn one
    log.append(END)
    assert tail.poll() == News([event(4), END], False)


def test_a_tail_begins_anew_when_training_resumes(path: Path) -> None:
    log, tail = EventLog(path), EventTail(path)
    for step in (10, 20, 30):
        log.append(event(step))
    assert len(tail.poll().events) == 3
    log.rewind(10)
    log.append(event(11))
    assert tail.poll() == News([event(10), event(11)], True)
    path.unlink()
    assert tail.poll() == News([], False)


@pytest.mark.parametrize("value", ['"1"', "[]", "true", "{}", '"nan"', "9" * 400])
def test_a_number_that_is_none_is_no_event(path: Path, value: str) -> None:
    data = asdict(event(1)) | {"loss": 0}
    path.write_text(json.dumps(data).replace('"loss": 0', f'"loss": {value}') + "\n")
    assert read_events(path) == []
    assert EventTail(path).poll() == News([], True)
