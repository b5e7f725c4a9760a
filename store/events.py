"""events.jsonl: one line per log point of a training, appended so that another terminal can follow it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from store.atomic import write_text
from store.errors import disk_errors
from store.spec import known_fields


@dataclass(frozen=True, kw_only=True)
class TrainEvent:
    """One log point. `loss` is what the optimizer saw; `terms` are its parts by name."""

    step: int
    tokens: int
    loss: float
    l0: float
    explained_variance: float
    dead: int
    """Features silent for the dead window at this point."""
    lr: float
    grad_norm: float
    tok_s: float
    """Tokens a second since the line before."""
    terms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EndEvent:
    """The last line of a finished training: the whole of it, index left out."""

    tokens: int
    seconds: float
    tok_s: float


class EventLog:
    """Appends to events.jsonl, one write a line, so that a reader never meets half of one in the middle."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, event: TrainEvent | EndEvent) -> None:
        """Add one line."""
        head = {"event": "end"} if isinstance(event, EndEvent) else {}
        line = json.dumps(head | asdict(event)) + "\n"
        with disk_errors(self._path), self._path.open("ab+") as stream:
            stream.seek(0, os.SEEK_END)
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # a full disk cut the line before: keep ours whole
                    line = "\n" + line
            stream.write(line.encode())

    def rewind(self, step: int) -> None:
        """Drop lines behind `step`, as when training resumes from a checkpoint taken there."""
        kept = [e for e in read_events(self._path) if isinstance(e, TrainEvent) and e.step <= step]
        write_text(self._path, "".join(json.dumps(asdict(event)) + "\n" for event in kept))


def read_events(path: Path) -> list[TrainEvent | EndEvent]:
    """All complete lines of an events file; a line that is still being written is left out."""
    if not path.is_file():
        return []
    events: list[TrainEvent | EndEvent] = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            data: dict[str, Any] = json.loads(line)
            kind: type[TrainEvent | EndEvent] = EndEvent if data.get("event") == "end" else TrainEvent
            events.append(kind(**known_fields(kind, data)))
        except (ValueError, TypeError, AttributeError):
            continue
    return events
