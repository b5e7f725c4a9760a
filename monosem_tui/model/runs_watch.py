"""Watches the folder of runs by reading files only, so that watching cannot disturb the work."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from monosem_tui.model.run_summary import RunRow, damaged, listed
from monosem_tui.model.training_watch import planned_tokens, recent_speed, seconds_left
from store.files.errors import MonosemError
from store.index.segment import common_path, complete_segments, covered, read_plan
from store.run.counted_noun import TOKEN, CountedNoun
from store.run.events import EventTail, TrainEvent
from store.run.folder import WORKING, RunFolder, RunRecord, list_runs

COURSE = 24
"""Columns of the curve next to a run in training."""


@dataclass(frozen=True)
class TrainingProgress:
    """The progress of a training."""

    tokens: int
    planned: int | None
    tok_s: float
    seconds_left: float | None
    loss: float
    dead: int
    course: tuple[float, ...]
    """Explained variance since the start, at most `COURSE` values of 0 or more."""


@dataclass(frozen=True)
class RunState:
    """The present state of a run."""

    row: RunRow
    message: str
    title: str
    """Model, site and size in one line."""
    created: float
    """Seconds since the epoch; 0 where unknown."""
    progress: TrainingProgress | None = None
    """None unless it is training."""
    contexts: tuple[int, int] | None = None
    """While it is being indexed: contexts browsable and contexts planned."""
    noun: CountedNoun = TOKEN
    """The noun for what it is trained on."""

    @property
    def path(self) -> Path:
        """The run's folder."""
        return Path(self.row.path)

    @property
    def browsable(self) -> bool:
        """Whether there is an index or a part of one."""
        run = RunFolder(self.path)
        return run.features.is_file() or complete_segments(run.index) > 0

    @property
    def working(self) -> bool:
        """Whether a process is working on it."""
        return self.row.status in WORKING


@dataclass
class _Known:
    """The result of the last look at a run."""

    tail: EventTail
    signature: tuple[int, int] = (0, 0)
    record: RunRecord | None = None
    trouble: str = ""
    points: list[TrainEvent] = field(default_factory=list)
    planned_contexts: int | None = None


class RunsWatch:
    """Polls every run under a folder, reading only changed files. Call `poll` from one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, _Known] = {}

    def poll(self) -> tuple[RunState, ...]:
        """Return all runs, newest first."""
        runs = list_runs(self._root)
        paths = {run.path for run in runs}
        self._known = {path: known for path, known in self._known.items() if path in paths}
        return tuple(self._look(run) for run in runs)

    def _look(self, run: RunFolder) -> RunState:
        known = self._known.setdefault(run.path, _Known(EventTail(run.events)))
        _read_record(run, known)
        if known.record is None:
            bare = damaged(run, known.trouble)
            return RunState(bare.row, bare.message, "", 0.0)
        news = known.tail.poll()
        if news.restarted:
            known.points = []
        known.points += [event for event in news.events if isinstance(event, TrainEvent)]
        found = listed(run, known.record, known.points[-1] if known.points else None)
        return RunState(
            found.row,
            found.message,
            known.record.spec.title() if found.row.arch else "",
            known.record.created,
            _progress(known) if found.row.status == "training" else None,
            _contexts(run, known) if found.row.status == "indexing" else None,
            known.record.noun,
        )


def _read_record(run: RunFolder, known: _Known) -> None:
    """Read run.json if it has changed."""
    try:
        status = run.run_json.stat()
        signature = (status.st_mtime_ns, status.st_ino)
        if signature != known.signature:
            known.record, known.signature = run.record(), signature
    except MonosemError as error:
        known.record, known.trouble = None, error.what
    except OSError as error:
        known.record, known.trouble = None, str(error)


def _progress(known: _Known) -> TrainingProgress | None:
    if not known.points or known.record is None:
        return None
    last = known.points[-1]
    planned = planned_tokens(known.record)
    return TrainingProgress(
        tokens=last.tokens,
        planned=planned,
        tok_s=recent_speed(known.points),
        seconds_left=seconds_left(known.points, planned),
        loss=last.loss,
        dead=last.dead,
        course=course([point.explained_variance for point in known.points]),
    )


def course(values: list[float]) -> tuple[float, ...]:
    """Average neighbours of a series to at most `COURSE` values, none below 0."""
    finite = np.nan_to_num(np.array(values, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    pieces = np.array_split(finite, min(COURSE, len(finite))) if len(finite) else []
    return tuple(max(0.0, float(piece.mean())) for piece in pieces)


def _contexts(run: RunFolder, known: _Known) -> tuple[int, int] | None:
    try:
        if known.planned_contexts is None:
            known.planned_contexts = read_plan(common_path(run.index)).n_contexts
        return covered(run.index).contexts, known.planned_contexts
    except (MonosemError, OSError, KeyError, TypeError, ValueError):
        return None  # missing: not written yet, or removed
