"""Follows the training of one run by reading its files only: events.jsonl as it grows, run.json where it changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from store.files.errors import MonosemError
from store.files.typed_json import decode
from store.index.segment import common_path, covered, read_plan
from store.run.events import EndEvent, EventTail, TrainEvent
from store.run.folder import WORKING, RunFolder, RunRecord

WINDOW, WAITS = 20.0, 6
"""Seconds over which speed is measured, and the longest log intervals that they span at least.

A training that waits for each block of activations and then races through it has a speed only over several blocks.
"""


@dataclass(frozen=True)
class Training:
    """The log points of a training."""

    points: tuple[TrainEvent, ...] = ()
    end: EndEvent | None = None


@dataclass(frozen=True)
class _Planned:
    """The setting of a training that tells how far it is."""

    tokens: int | None = None


def planned_tokens(record: RunRecord) -> int | None:
    """Return how many tokens a run is to be trained on; None where that is unknown."""
    return decode(_Planned, record.config.get("train", {}), lenient=True).tokens or None


def recent_speed(points: tuple[TrainEvent, ...] | list[TrainEvent]) -> float:
    """Return the tokens per second over the last log intervals, the waits for activations in them; 0 without any."""
    tokens_P = np.diff([0, *(point.tokens for point in points)])
    speeds_P = np.array([point.tok_s for point in points])
    seconds_P = tokens_P / np.maximum(speeds_P, 1e-9)
    if not seconds_P.size:
        return 0.0
    back_P = np.cumsum(seconds_P[::-1])
    taken = int(np.searchsorted(back_P, max(WINDOW, WAITS * seconds_P.max()))) + 1
    return float(tokens_P[-taken:].sum() / max(back_P[min(taken, back_P.size) - 1], 1e-9))


def seconds_left(points: tuple[TrainEvent, ...] | list[TrainEvent], planned: int | None) -> float | None:
    """Return how long a training will still take at its present speed; None where that is unknown."""
    speed = recent_speed(points)
    left = (planned - points[-1].tokens) / speed if planned and points and speed > 0 else None
    return max(0.0, left) if left is not None and np.isfinite(left) else None


def indexed_contexts(run: RunFolder) -> tuple[int, int] | None:
    """Return the contexts that can be browsed and those planned; None where there is no index yet, or no more."""
    try:
        return covered(run.index).contexts, read_plan(common_path(run.index)).n_contexts
    except (MonosemError, OSError, KeyError, TypeError, ValueError):
        return None


class TrainingWatch:
    """Follows the training in one folder. What has been read stays if the files are cut or vanish."""

    def __init__(self, path: Path, record: RunRecord | None) -> None:
        """Prepare to follow.

        Args:
            path: the run's folder.
            record: its run.json; None where `path` is no run, so that there is nothing to follow.
        """
        self._folder = RunFolder(path) if record is not None else None
        self._tail = EventTail(path / "events.jsonl")
        self._signature = (0, 0)
        self.record = record
        self.training = Training()
        self.contexts: tuple[int, int] | None = None
        """While it is being indexed: contexts browsable and contexts planned."""
        self.gone = False
        """Whether the run's files have vanished."""

    @property
    def working(self) -> bool:
        """Whether the training may still write."""
        return self.record is not None and self.record.current_status() in WORKING

    def poll(self) -> bool:
        """Read new lines and return whether there is anything new.

        Raises:
            MonosemError: run.json is damaged.
        """
        if self._folder is None:
            return False
        news = self._tail.poll()
        restarted = news.restarted and bool(news.events)
        if restarted or news.events:
            points = () if restarted else self.training.points
            ends = [event for event in news.events if isinstance(event, EndEvent)]
            added = tuple(event for event in news.events if isinstance(event, TrainEvent))
            self.training = Training((*points, *added), ends[-1] if ends else None if added else self.training.end)
        return any([self._read_record(), self._read_index(), bool(news.events)])

    def _read_record(self) -> bool:
        assert self._folder is not None
        before, self.gone = self.gone, not self._folder.exists()
        if self.gone:
            return not before
        try:
            status = self._folder.run_json.stat()
        except OSError:
            return False
        signature = (status.st_mtime_ns, status.st_ino)
        changed, self._signature = signature != self._signature, signature
        if changed:
            self.record = self._folder.record()
        return changed or before

    def _read_index(self) -> bool:
        assert self._folder is not None
        indexing = self.record is not None and self.record.status == "indexing"
        before, self.contexts = self.contexts, indexed_contexts(self._folder) if indexing else None
        return self.contexts != before
