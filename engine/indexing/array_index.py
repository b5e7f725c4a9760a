"""Build the feature index over a user's array: rows stand for tokens, and their numbers for text.

A row's text is `#1234`, its number in the file. Contexts are up to `CONTEXT` consecutive rows and documents `DOCUMENT`
rows, so that a page shows what fires on the rows around. Every row counts. Of an array with more rows than are asked
for, whole blocks are drawn by seed. Without a model there are no logit effects, and no neurons to compare with.

Shapes: N rows, D width of a row, F = d_sae, T listed tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.data.arrays import Array, Span, sample_spans
from engine.data.ordinary_tokens import OrdinaryTokens, kept_limits, places_of
from engine.indexing.encoder import encode_rows
from engine.indexing.index_build import Encoded, Passage, has_begun_index, write_segments
from engine.indexing.value_range import exponents_of
from engine.jobs.array_source import check_row_width
from engine.ranks.group import ALONE, Ranks
from engine.runtime.progress import Progress
from engine.runtime.sizes import LISTED, SAMPLE_ROWS
from engine.sae.base import Sae
from engine.sae.neighbours import neighbours
from engine.sae.registry import from_weights
from store.files.errors import MonosemError
from store.index.segment import ROWS, TOKEN_BITS, IndexPlan, StaticColumns, TokenRows, write_common
from store.index.segment_writer import checked_memory
from store.index.vocabulary import Vocabulary
from store.run.folder import RunFolder
from store.run.ordinary import save_limits
from store.run.weights import load_sae, sae_digest
from store.settings.train import MAX_NORM

CONTEXT, DOCUMENT = 32, 1024
"""Rows of a context and of a document."""
TOGETHER = 64
"""Contexts read and encoded at once."""
MOST_ROWS = 1 << TOKEN_BITS
"""Rows of an index at most: each is a token of its own."""


@dataclass(frozen=True)
class ArrayRows:
    """The rows of an array that an index covers."""

    array: Array
    digest: str
    """SHA-256 of the whole array."""
    seed: int
    spans: tuple[Span, ...]
    """A context each, in the order of the file."""

    @classmethod
    def of(cls, array: Array, digest: str, rows: int, seed: int) -> ArrayRows:
        """Choose rows.

        Raises:
            MonosemError: none are asked for, or more than an index holds.
        """
        if not 1 <= rows <= MOST_ROWS:
            raise MonosemError(f"an index of an array holds 1 to {MOST_ROWS} rows, not {rows}", "Change `tokens`.")
        drawn = [(0, array.n)] if rows >= array.n else sample_spans(array, "all", rows, seed)
        spans = ((at, min(at + CONTEXT, stop)) for start, stop in _joined(drawn) for at in range(start, stop, CONTEXT))
        return cls(array, digest, seed, tuple(spans))

    def plan(self, run: RunFolder) -> IndexPlan:
        """Return the plan of a run's index over them."""
        return IndexPlan(
            data=self.array.spec,
            corpus_digest=self.digest,
            sae_digest=sae_digest(run.sae),
            packing=ROWS,
            context=CONTEXT,
            seed=self.seed,
            n_contexts=len(self.spans),
        )

    @property
    def row_N(self) -> NDArray[np.int64]:
        """Return the numbers of the rows."""
        return np.concatenate([np.arange(start, stop) for start, stop in self.spans])

    def before(self, context: int) -> int:
        """Return how many rows lie before a context."""
        return sum(stop - start for start, stop in self.spans[:context])

    def sample(self) -> torch.Tensor:
        """Return the first of them, float32: enough to measure what is usual.

        Raises:
            MonosemError: a value is NaN or infinite.
        """
        return torch.cat([piece_ND.float() for piece_ND in self.array.checked(self.spans[: SAMPLE_ROWS // CONTEXT])])


def _joined(spans: list[Span]) -> list[Span]:
    """Return spans in which those that touch are one."""
    found: list[Span] = []
    for start, stop in spans:
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found


def build_array_index(
    run: RunFolder,
    rows: ArrayRows,
    device: torch.device,
    progress: Progress,
    *,
    memory: int | None = None,
    ranks: Ranks = ALONE,
) -> None:
    """Build features.h5 of a run over rows of an array. The first rank holds the lock, and alone needs the digest.

    Continues after the segments of an interrupted call with the same settings; the result is the same to the byte.

    Args:
        run: a run with sae.h5.
        rows: the rows.
        device: where to encode.
        progress: receives reports.
        memory: bytes for collecting, sorting and merging; None for the default. Ranks share them.
        ranks: this process's place among those that build the index.

    Raises:
        MonosemError: the run has no sae.h5, the rows have another width or hold NaN, or unfinished segments are from
            other settings.
    """
    memory = checked_memory(memory)
    sae, ordinary = _begun(run, rows, device, ranks)

    def between(first: int, stop: int) -> Passage:
        return Passage(rows.before(first), _encoded(rows, sae, ordinary, first, stop))

    write_segments(run, len(rows.spans), between, memory, progress, at_once=TOGETHER, ranks=ranks)


def _begun(run: RunFolder, rows: ArrayRows, device: torch.device, ranks: Ranks) -> tuple[Sae, OrdinaryTokens]:
    """Return what rows are encoded and judged by; the first rank writes what all segments have in common."""
    weights = load_sae(run.sae)
    sae = from_weights(weights, device)
    check_row_width(rows.array, weights.spec.d_in, weights.spec.d_out)

    def begin() -> OrdinaryTokens:
        plan, sample_ND = rows.plan(run), rows.sample().to(device)
        if not has_begun_index(run, plan):
            names = Vocabulary.from_tokens([b"#%d" % row for row in rows.row_N.tolist()])
            write_common(run.index, plan, names, weights, _columns(sae, sample_ND[:, : weights.spec.d_in]))
        found = kept_limits(run)
        if found is None:
            places = places_of(weights.spec.d_in, weights.spec.d_out)
            found = OrdinaryTokens.measured(sample_ND, places, MAX_NORM)
            save_limits(run.ordinary, found.limits_2D)
        return found.of_input()

    return sae, ranks.shared(begin)


def _columns(sae: Sae, sample_ND: torch.Tensor) -> StaticColumns:
    """Return what follows from the weights: decoder norms and neighbours, and no logit effects."""
    near_id, near_cosine = neighbours(sae.W_dec, LISTED)
    none, nothing = np.zeros((len(near_id), 0), np.int32), np.zeros((len(near_id), 0), np.float32)
    with torch.no_grad():
        norm = sae.read_in(sample_ND).norm(dim=1).median().item()
        lengths_F = sae.W_dec.norm(dim=1).cpu().numpy()
    return StaticColumns(
        lengths_F, none, nothing, none, nothing, near_id, near_cosine, exponent_F=exponents_of(sae, norm)
    )


def _encoded(rows: ArrayRows, sae: Sae, ordinary: OrdinaryTokens, begin: int, end: int) -> Encoded:
    """Yield the contexts from `begin` to `end` - 1 with their activations."""
    device = sae.W_dec.device
    for first in range(begin, end, TOGETHER):
        spans = rows.spans[first : min(first + TOGETHER, end)]
        row_N = np.concatenate([np.arange(start, stop) for start, stop in spans])
        x_ND = torch.cat([piece_ND.float() for piece_ND in rows.array.checked(spans)])[:, : sae.settings.d_in]
        x_ND = x_ND.contiguous().to(device)
        counted_N = np.ones(len(row_N), np.bool_)
        one = TokenRows(
            token_N=np.arange(first_of := rows.before(first), first_of + len(row_N), dtype=np.int32),
            counted_N=counted_N,
            document_N=row_N // DOCUMENT,
            length_C=np.array([stop - start for start, stop in spans], np.int32),
            outlier_N=ordinary.outliers(x_ND).cpu().numpy(),
        )
        yield one, encode_rows(sae, x_ND, counted_N)
