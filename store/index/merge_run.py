"""Merging the segments that a run has into its features.h5, and clearing them away when they are not needed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from store.files.errors import MonosemError
from store.files.sealed_hdf5 import open_sealed
from store.index.merge import merge
from store.index.segment import Covered, IndexPlan, common_path, complete_segments, covered, discard, read_plan
from store.run.folder import RunFolder
from store.run.spec import known_fields


@dataclass(frozen=True)
class Holding:
    """What an index covers, and what it was to cover."""

    plan: IndexPlan
    contexts: int
    tokens: int

    @property
    def complete(self) -> bool:
        """Whether it covers all that was planned."""
        return self.contexts >= self.plan.n_contexts


def held_by_features(features: Path) -> Holding | None:
    """What a features.h5 covers; None where there is none.

    Raises:
        MonosemError: it is damaged.
    """
    if not features.is_file():
        return None
    with open_sealed(features, "features") as file:
        plan = IndexPlan(**known_fields(IndexPlan, json.loads(file.attrs["plan"])))
        return Holding(plan, len(file["corpus/contexts/start"]), int(file.attrs["n_tokens"]))


def held_by_segments(index: Path) -> Holding | None:
    """What the segments written so far cover; None where there are none."""
    if not complete_segments(index):
        return None
    found: Covered = covered(index)
    return Holding(read_plan(common_path(index)), found.contexts, found.tokens)


def clear_merged(run: RunFolder) -> bool:
    """Remove segments that features.h5 holds already: what is left where a process was killed right behind its merge.

    Gives whether there were any. The caller holds the run's lock.
    """
    segments, features = held_by_segments(run.index), held_by_features(run.features)
    if segments is None or features is None or not segments.complete or segments != features:
        return False
    discard(run.index)
    return True


def merge_run(run: RunFolder, memory: int, *, partial: bool, overwrite: bool) -> Holding:
    """Merge what segments a run has into features.h5, and remove them if they are all that was planned.

    Those of an unfinished index stay, so that it can still be finished. The caller holds the run's lock.

    Args:
        run: a run with an index being built.
        memory: bytes to stay under.
        partial: take an unfinished index as it is.
        overwrite: replace a features.h5 that is of other text, or of more of it.

    Raises:
        MonosemError: there is nothing to merge, or one of the two was needed and not given.
    """
    segments, features = held_by_segments(run.index), held_by_features(run.features)
    if segments is None:
        raise _nothing(run, features)
    if features == segments:
        clear_merged(run)
        return features
    if not segments.complete and not partial:
        raise MonosemError(
            f"the index of {run.path} is unfinished: {segments.contexts:,} of {segments.plan.n_contexts:,} contexts",
            f"monosem index {run.path} --resume finishes it; `partial=True` merges what there is, segments are kept.",
        )
    if features is not None and not overwrite and not _grows(features, segments):
        raise MonosemError(
            f"{run.path} has another index already, of {features.contexts:,} contexts of {features.plan.data}",
            "`overwrite=True` puts this one in its place.",
        )
    merge(run.index, run.features, memory, partial=partial)
    if segments.complete:
        discard(run.index)
    return segments


def _grows(old: Holding, new: Holding) -> bool:
    """Whether the new one holds all of the old one."""
    return old.plan == new.plan and old.contexts <= new.contexts


def _nothing(run: RunFolder, features: Holding | None) -> MonosemError:
    if features is not None:
        return MonosemError(f"{run.path} has no segments to merge: its features.h5 is all there is")
    return MonosemError(f"{run.path} has no index to merge", f"Make one with: monosem index {run.path}")
