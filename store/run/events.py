"""events.jsonl: one line per log point of a training, which other processes can follow."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from store.files.atomic import write_text
from store.files.errors import MonosemError, disk_errors
from store.files.regular_file import open_regular, read_stream, read_whole
from store.files.typed_json import JsonError, decode, parse

MOST = 64 << 20
"""Bytes read at once from a file that is followed."""


@dataclass(frozen=True, kw_only=True)
class TrainEvent:
    """One log point. `loss` is what the optimizer minimised; `terms` are its parts by name."""

    step: int
    tokens: int
    loss: float
    l0: float
    explained_variance: float
    dead: int
    """Features that have not fired within the dead window."""
    lr: float
    grad_norm: float
    tok_s: float
    """Tokens per second since the line before."""
    terms: dict[str, float] = field(default_factory=dict)
    explained_variance_standardised: float | None = None
    """The mean over dimensions for the last batch; None in files of older versions."""
    outlier_tokens: int | None = None
    """Tokens left out so far: `explained_variance` is that of ordinary ones."""
    explained_variance_counted: float | None = None
    """That of ordinary tokens and outliers together, estimated; None while no token of the block is left out."""


@dataclass(frozen=True, kw_only=True)
class EndEvent:
    """The last line of a finished training: totals without the index."""

    tokens: int
    seconds: float
    tok_s: float
    outlier_tokens: int | None = None
    """Tokens left out, which `tokens` does not count."""


def _values(event: TrainEvent | EndEvent) -> dict[str, Any]:
    """Return an event by the names of its fields, without those that an older version did not write."""
    return {name: value for name, value in asdict(event).items() if value is not None}


class EventLog:
    """Appends to events.jsonl, one write per line, so that only the last line can be incomplete."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, event: TrainEvent | EndEvent) -> None:
        """Append one line.

        Raises:
            MonosemError: it cannot be written.
        """
        head = {"event": "end"} if isinstance(event, EndEvent) else {}
        line = json.dumps(head | _values(event)) + "\n"
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
        with disk_errors(self._path), os.fdopen(open_regular(self._path, flags), "ab+") as stream:
            stream.seek(0, os.SEEK_END)
            if stream.tell():
                stream.seek(-1, os.SEEK_END)
                if stream.read(1) != b"\n":  # a full disk cut the line before: start a new one
                    line = "\n" + line
            stream.write(line.encode())

    def rewind(self, step: int) -> None:
        """Drop lines after `step`, as when training resumes from the checkpoint of that step."""
        kept = [e for e in read_events(self._path) if isinstance(e, TrainEvent) and e.step <= step]
        write_text(self._path, "".join(json.dumps(_values(event)) + "\n" for event in kept))


class News(NamedTuple):
    """New lines of an events file."""

    events: list[TrainEvent | EndEvent]
    restarted: bool
    """Whether the file was replaced or cut, as when training resumes: `events` are then all of its lines."""


class EventTail:
    """Follows an events file that another process appends to; reads each line once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = (0, 0)
        """Device and inode."""
        self._at = 0

    def poll(self) -> News:
        """Return the lines completed since the last call; none where the file is missing or cannot be read."""
        try:
            status = self._path.stat()
            restarted = (status.st_dev, status.st_ino) != self._file or status.st_size < self._at
            if restarted:
                self._file, self._at = (status.st_dev, status.st_ino), 0
            if status.st_size == self._at:
                return News([], restarted)
            with read_stream(self._path) as stream:
                stream.seek(self._at)
                whole = stream.read(MOST).rpartition(b"\n")[0]
        except (OSError, MonosemError):
            return News([], False)
        self._at += len(whole) + bool(whole)
        found = (_parsed(line) for line in whole.decode(errors="replace").split("\n"))
        return News([event for event in found if event is not None], restarted)


def read_events(path: Path) -> list[TrainEvent | EndEvent]:
    """Return all complete lines of an events file; a line that is still being written is left out."""
    if not path.is_file():
        return []
    found = [_parsed(line) for line in read_whole(path).decode(errors="replace").split("\n")]
    return [event for event in found if event is not None]


def _parsed(line: str) -> TrainEvent | EndEvent | None:
    """Return the event of a line; None for an incomplete or damaged one."""
    try:
        data = parse(line)
        is_end = isinstance(data, dict) and data.get("event") == "end"
        return decode(EndEvent, data, finite=False) if is_end else decode(TrainEvent, data, finite=False)
    except JsonError:
        return None
