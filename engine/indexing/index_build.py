"""Steps that every index is built by, of text as of an array: its plan, segments in one pass, their merge."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from typing import TypeAlias

from engine.jobs.resume import differing
from engine.runtime.interrupt import stop_request
from engine.runtime.progress import Progress
from store.files.errors import MonosemError
from store.index.index_file import IndexFile
from store.index.merge import merge
from store.index.segment import (
    IndexPlan,
    SparseRows,
    TokenRows,
    common_path,
    complete_segments,
    discard,
    read_plan,
)
from store.index.segment_writer import SegmentWriter
from store.run.folder import RunFolder

Encoded: TypeAlias = Generator[tuple[TokenRows, SparseRows], None, None]
"""Whole contexts and their activations, in the order of the index."""


def has_begun_index(run: RunFolder, plan: IndexPlan) -> bool:
    """Return whether a run has segments of this index; the remains of one without segments are removed.

    Raises:
        MonosemError: its segments are from other settings.
    """
    if not complete_segments(run.index):
        discard(run.index)
        return False
    others = differing(read_plan(common_path(run.index)), plan)
    if others:
        raise MonosemError(
            f"{run.index} holds an unfinished index made with another {others}",
            f"Use the same settings to finish it, or remove {run.index}.",
        )
    return True


def write_segments(
    run: RunFolder, n_contexts: int, after: Callable[[int], Encoded], memory: int, progress: Progress
) -> None:
    """Write what is missing of an index's segments, common.h5 being there, and merge them into features.h5.

    Args:
        run: the run.
        n_contexts: contexts of the whole index.
        after: yields all contexts after the first so many.
        memory: bytes to stay under.
        progress: receives reports.
    """
    with IndexFile.open(common_path(run.index), "common") as common:
        writer = SegmentWriter(run.index, common.lengths["F"], memory, common.exponent_F)
    with stop_request() as request, writer as filling:
        done = filling.n_contexts
        with progress.task("indexing", n_contexts, "contexts", done) as bar, closing(after(done)) as coming:
            for rows, active in coming:
                filling.add(rows, active)
                bar.advance(len(rows.length_C))
                if request.asked:
                    raise KeyboardInterrupt
    if filling.clipped:
        progress.say(f"{filling.clipped} activations are too large for the index: stored as the largest that it holds")
    if filling.lost:
        progress.say(f"{filling.lost} activations are too small for the index (below 2⁻²⁴ of its unit): not stored")
    progress.say("merging the index")
    merge(run.index, run.features, memory)
    discard(run.index)
