"""Merge a run's segments into its features.h5, and remove them when they are no longer needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.index.index_file import IndexFile
from store.index.merge import merge
from store.index.segment import IndexPlan, SegmentCoverage, common_path, complete_segments, covered, discard, read_plan
from store.run.folder import RunFolder
from store.run.weights import sae_digest


@dataclass(frozen=True)
class IndexCoverage:
    """The plan of an index, and how much of it exists."""

    plan: IndexPlan
    contexts: int
    tokens: int

    @property
    def complete(self) -> bool:
        """Whether it covers the whole plan."""
        return self.contexts >= self.plan.n_contexts


def features_coverage(features: Path) -> IndexCoverage | None:
    """Return the coverage of a features.h5; None where there is none.

    Raises:
        MonosemError: it is damaged.
    """
    if not features.is_file():
        return None
    with IndexFile.open(features, "features") as file, reading(features):
        return IndexCoverage(IndexPlan.from_json(file.file.attrs["plan"]), file.lengths["C"], file.lengths["N"])


def segments_coverage(index: Path) -> IndexCoverage | None:
    """Return the coverage of the segments written so far; None where there are none."""
    from store.index.early_segments import early_segments

    if not complete_segments(index) and not early_segments(index):
        return None
    found: SegmentCoverage = covered(index)
    return IndexCoverage(read_plan(common_path(index)), found.contexts, found.tokens)


def clear_merged(run: RunFolder) -> bool:
    """Remove segments that features.h5 already has, as a process killed right after its merge leaves them.

    Beside a complete features.h5, segments that cannot be read go too; those of another index stay. Return whether
    there were any. The caller holds the run's lock.
    """
    if not run.index.is_dir() or not run.features.is_file():
        return False
    segments, features = _readable(segments_coverage, run.index), _readable(features_coverage, run.features)
    if features is None or not features.complete or segments not in (None, features):
        return False
    discard(run.index)
    return True


def _readable(coverage: Callable[[Path], IndexCoverage | None], path: Path) -> IndexCoverage | None:
    try:
        return coverage(path)
    except MonosemError:
        return None


def merge_run(run: RunFolder, memory: int, *, partial: bool, overwrite: bool) -> IndexCoverage:
    """Merge a run's segments into features.h5, and remove them if they cover the plan.

    Segments of an unfinished index stay, so that it can still be finished. A finished index stays as it is. The caller
    holds the run's lock.

    Args:
        run: a run with an index being built.
        memory: bytes to stay under.
        partial: merge an unfinished index.
        overwrite: replace a features.h5 of other text, or of more text.

    Raises:
        MonosemError: there is nothing to merge, the segments are of another autoencoder, or `partial` or `overwrite`
            was needed and not given.
    """
    from store.index.early_segments import number_early

    number_early(run.index)
    segments, features = segments_coverage(run.index), features_coverage(run.features)
    if segments is None and features is not None and features.complete:
        return features
    if segments is None:
        raise _nothing_to_merge(run, features)
    if features == segments:
        clear_merged(run)
        return features
    if not segments.complete and not partial:
        raise MonosemError(
            f"the index of {run.path} is unfinished: {segments.contexts:,} of {segments.plan.n_contexts:,} contexts",
            f"monosem index {run.path} --resume finishes it; `partial=True` merges it as it is and keeps the segments.",
        )
    if features is not None and not overwrite and not _grows(features, segments):
        raise MonosemError(
            f"{run.path} has another index already, of {features.contexts:,} contexts of {features.plan.data}",
            "`overwrite=True` replaces it.",
        )
    if run.sae.is_file() and segments.plan.sae_digest != sae_digest(run.sae):
        raise MonosemError(f"{run.index} is the index of another autoencoder than {run.sae}", f"Remove {run.index}.")
    merge(run.index, run.features, memory, partial=partial)
    if segments.complete:
        discard(run.index)
    return segments


def _grows(old: IndexCoverage, new: IndexCoverage) -> bool:
    """Return whether the new index has all of the old one."""
    return old.plan == new.plan and old.contexts <= new.contexts


def _nothing_to_merge(run: RunFolder, features: IndexCoverage | None) -> MonosemError:
    if features is not None:
        return MonosemError(f"{run.path} has no segments to merge, only its features.h5")
    return MonosemError(f"{run.path} has no index to merge", f"Make one with: monosem index {run.path}")
