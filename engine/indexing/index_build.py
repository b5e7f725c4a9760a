"""Steps that every index is built by, of text as of an array: its plan, segments in one pass, their merge."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from itertools import chain
from typing import NamedTuple, TypeAlias

from engine.jobs.resume import differing
from engine.ranks.group import ALONE, Ranks, Span
from engine.runtime.interrupt import StopRequest, stop_request
from engine.runtime.progress import Progress, Task
from store.files.errors import MonosemError
from store.index.early_segments import early_segments, missing, number_early
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
from store.index.segment_writer import SegmentWriter, rank_memory
from store.run.folder import RunFolder

Encoded: TypeAlias = Generator[tuple[TokenRows, SparseRows], None, None]
"""Whole contexts and their activations, in the order of the index."""


class Passage(NamedTuple):
    """A range of an index's contexts."""

    first_token: int
    """Tokens in front of it."""
    batches: Encoded


def has_begun_index(run: RunFolder, plan: IndexPlan) -> bool:
    """Return whether a run has segments of this index; the remains of one without segments are removed.

    Raises:
        MonosemError: its segments are from other settings.
    """
    if not complete_segments(run.index) and not early_segments(run.index):
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
    run: RunFolder,
    n_contexts: int,
    between: Callable[[int, int], Passage],
    memory: int,
    progress: Progress,
    *,
    at_once: int,
    ranks: Ranks = ALONE,
) -> None:
    """Write what is missing of an index's segments, common.h5 being there, and merge them into features.h5.

    Several ranks take a part each; the first one merges, and the others return when their part is sealed.

    Args:
        run: the run.
        n_contexts: contexts of the whole index.
        between: returns the contexts of a half-open range; ranges are asked for in the order of the corpus.
        memory: bytes to stay under, for all ranks of this machine together.
        progress: receives reports.
        at_once: contexts of a forward; ranks take whole ones.
        ranks: this process's place among those that build the index.
    """
    spans = ranks.shared(lambda: _left(run, n_contexts))
    own = ranks.part(spans, at_once)
    part, missing_part = (sum(stop - first for first, stop in some) for some in (own, spans))
    total, done = (n_contexts, n_contexts - missing_part) if ranks.alone else (part, 0)
    share = rank_memory(memory, ranks.on_machine)
    with stop_request() as request, progress.task(ranks.titled("indexing"), total, "contexts", done) as bar:
        lost = [_sealed(run, between(*span), share, bar, request, span[0], ranks) for span in own]
    clipped, too_small = (sum(counts) for counts in zip((0, 0), *chain(*ranks.gathered(lost)), strict=True))
    if not ranks.first:
        return
    if clipped:
        progress.say(f"{clipped} activations are too large for the index: stored as the largest that it holds")
    if too_small:
        progress.say(f"{too_small} activations are too small for the index (below 2⁻²⁴ of its unit): not stored")
    number_early(run.index)
    progress.say("merging the index")
    merge(run.index, run.features, memory)
    discard(run.index)


def _left(run: RunFolder, n_contexts: int) -> list[Span]:
    """Return the contexts that no segment covers; early segments that can be numbered are."""
    number_early(run.index)
    return missing(run.index, n_contexts)


def _sealed(
    run: RunFolder, passage: Passage, memory: int, bar: Task, request: StopRequest, first: int, ranks: Ranks
) -> tuple[int, int]:
    """Write segments of a passage; return how many activations were too large and too small.

    Raises:
        KeyboardInterrupt: a stop was asked for; what was made until then is sealed.
    """
    if ranks.first:
        number_early(run.index)
    with IndexFile.open(common_path(run.index), "common") as common:
        early = None if ranks.first else (first, passage.first_token)
        writer = SegmentWriter(run.index, common.lengths["F"], memory, common.exponent_F, early=early)
    with writer as filling, closing(passage.batches) as coming:
        for rows, active in coming:
            filling.add(rows, active)
            bar.advance(len(rows.length_C))
            if request.asked:
                raise KeyboardInterrupt
    return filling.clipped, filling.lost
