"""Merge segments into features.h5: a k-way merge of sorted runs in bounded memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.contiguous import ArraySpan
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, put
from store.index.columns import CorpusColumns
from store.index.exponents import Exponents, schema_version
from store.index.feature_groups import feature_groups
from store.index.index_file import IndexFile, check_consecutive, open_segment
from store.index.offsets_file import offsets_path
from store.index.segment import common_path, covered, read_plan, segment_path
from store.index.segment_columns import OpenSegments, joined, joined_packed
from store.index.text_spans import BY_CONTEXT, BY_RUN, BY_TOKEN, GROUP

MAX_TOKENS = 1 << 32
"""Tokens that the uint32 of inverted/token can number."""
BYTES_PER_ENTRY = 56
"""Working memory per entry: as a key with room to sort, as read, as written; twice, because one piece is sorted while
another is written."""
MERGE_BYTES = 1 << 27
"""Working memory of a merge, about: larger pieces are sorted no faster (docs/benchmarks.md)."""
MAPS = 64
"""Segments whose tokens are mapped at once if all tokens do not fit into memory."""
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class SegmentArrays:
    """Places of one segment's arrays. Nothing of it is in memory, and no file is open."""

    first_token: int
    n_tokens: int
    tokens: ArraySpan
    indptr: ArraySpan
    token: ArraySpan
    act: ArraySpan


def merge(
    index: Path, target: Path, memory: int = MERGE_BYTES, *, partial: bool = False, most: int = MAX_TOKENS
) -> None:
    """Write `target` (features.h5) from an index folder. Its bytes depend neither on the segments nor on the memory.

    Args:
        index: folder with common.h5 and segments.
        target: the file to write, all or nothing.
        memory: bytes of working memory to stay under, beside some 150 per feature.
        partial: merge segments that cover less than the plan; the plan stays as it is.

    Raises:
        MonosemError: there is no segment, or they do not cover the plan and it is not `partial`.
    """
    plan = read_plan(common_path(index))
    found = covered(index)
    if not found.segments or (found.contexts < plan.n_contexts and not partial):
        raise MonosemError(
            f"{index} holds {found.contexts:,} of {plan.n_contexts:,} contexts",
            "Finish it with monosem index --resume.",
        )
    if found.tokens > most:
        raise MonosemError(f"an index holds up to {most:,} tokens", "Lower `index_tokens`.")
    paths = [segment_path(index, number) for number in range(found.segments)]
    with (
        reading(index),
        IndexFile.open(common_path(index), "common") as file,
        OpenSegments(paths) as opened,
        create_sealed(target, "features", schema_version(file.exponent_F, located=_are_located(opened))) as out,
    ):
        out.attrs["plan"] = plan.to_json()
        out.attrs["first_token"] = 0
        out.attrs["first_context"] = 0
        for name in ("vocab", "sae", "feature"):
            file.file.copy(name, out)
        segments = [_located(path, file) for path in paths]
        check_consecutive([(segment.first_token, segment.n_tokens) for segment in segments])
        _merge_corpus(out, opened)
        _merge_forward(out, opened, index)
        _merge_inverted(out, segments, memory, file.exponent_F)
    offsets_path(target).unlink(missing_ok=True)  # of the index before


def _are_located(segments: OpenSegments) -> bool:
    """Return whether any segment knows what its tokens cover of the original text."""
    return any(GROUP in file for file in segments)


def _located(path: Path, common: IndexFile) -> SegmentArrays:
    with open_segment(path, common) as file:
        return SegmentArrays(
            first_token=file.number("first_token"),
            n_tokens=file.lengths["N"],
            tokens=file.span("corpus/tokens"),
            indptr=file.span("inverted/indptr"),
            token=file.span("inverted/token"),
            act=file.span("inverted/act"),
        )


def _merge_corpus(out: h5py.File, segments: OpenSegments) -> None:
    totals = {"clipped": 0, "n_tokens": 0, "n_counted": 0}
    first_tokens, begins, before = [], [], None
    for file in segments:
        totals = {name: total + int(file.attrs[name]) for name, total in totals.items()}
        first_tokens.append(int(file.attrs["first_token"]))
        ids = file["corpus/documents/id"]
        begins.append(int(ids[0] == before))  # a document that continues in the next segment begins once
        before = ids[-1]
    for name, total in totals.items():
        out.attrs[name] = total
    corpus = out.create_group("corpus")
    joined(corpus, "tokens", segments, "corpus/tokens")
    joined_packed(corpus, "counted", segments, "corpus/counted")
    if any("corpus/role" in file for file in segments):
        joined_packed(corpus, "role", segments, "corpus/role", size_of="corpus/tokens")
    if any("corpus/outliers" in file for file in segments):
        joined(corpus, "outliers", segments, "corpus/outliers", add=first_tokens)
    contexts, documents = corpus.create_group("contexts"), corpus.create_group("documents")
    joined(contexts, "start", segments, "corpus/contexts/start", add=first_tokens)
    for name in ("length", "document"):
        joined(contexts, name, segments, f"corpus/contexts/{name}")
    joined(documents, "start", segments, "corpus/documents/start", add=first_tokens, skip=begins)
    joined(documents, "id", segments, "corpus/documents/id", skip=begins)
    if not _are_located(segments):
        return
    text = corpus.create_group("text")
    for names, size_of, skip in (
        (BY_TOKEN, "tokens", []),
        (BY_CONTEXT, "contexts/start", []),
        (BY_RUN, "documents/id", begins),
    ):
        for name in names:
            joined_packed(text, name, segments, f"{GROUP}/{name}", size_of=f"corpus/{size_of}", skip=skip)


def _merge_forward(out: h5py.File, segments: OpenSegments, index: Path) -> None:
    forward = out.create_group("forward")
    entries, columns = [], set()
    for file in segments:
        entries.append(len(file["forward/act"]))
        columns.add(tuple((name, str(column.dtype)) for name, column in sorted(file["forward"].items())))
    if len(columns) > 1:
        raise MonosemError(f"{index} has segments of different versions of monosem", "Remove it and index again.")
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(entries)[:-1]]).tolist()
    # Each segment's first row starts where the last one of the segment before ends.
    joined(forward, "indptr", segments, "forward/indptr", add=offsets, skip=[0] + [1] * (len(entries) - 1))
    for name, _ in columns.pop():
        if name != "indptr":
            joined(forward, name, segments, f"forward/{name}")


def _merge_inverted(
    out: h5py.File, segments: Sequence[SegmentArrays], memory: int, exponent_F: Exponents | None
) -> None:
    """Write inverted/* and the columns that follow from it, piece by piece."""
    vocabulary = _Vocabulary(segments, memory // 4)
    budget = max(1, min(memory - vocabulary.n_bytes, MERGE_BYTES) // BYTES_PER_ENTRY)
    count = np.diff(segments[0].indptr.read())
    for segment in segments[1:]:
        count += np.diff(segment.indptr.read())
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    inverted = out.create_group("inverted")
    put(inverted, "indptr", indptr)
    token_out = inverted.create_dataset("token", (int(indptr[-1]),), np.uint32)
    act_out = inverted.create_dataset("act", (int(indptr[-1]),), np.float16)
    columns = CorpusColumns.empty(count, exponent_F)
    at = 0
    with closing(_prefetched(_pieces(segments, count, indptr, budget), segments)) as blocks:
        for block in blocks:
            end = at + len(block.token)
            token_out[at:end] = block.token
            act_out[at:end] = block.act
            columns.take(at, block.act, block.token, vocabulary.ids)
            at = end
    columns.write(out["feature"])


@dataclass(frozen=True)
class MergePiece:
    """Entries sorted at once: of features [first, last), the range of entries in each segment."""

    first: int
    last: int
    spans: list[tuple[int, int]]


@dataclass(frozen=True)
class MergedBlock:
    """Merged entries of the inverted order."""

    token: NDArray[np.uint32]
    act: NDArray[np.float16]


def _pieces(
    segments: Sequence[SegmentArrays], count: NDArray[np.int64], indptr: NDArray[np.int64], budget: int
) -> Iterator[MergePiece]:
    """Yield all entries in pieces of at most `budget`; a feature with more is cut at activation values."""
    for first, last in feature_groups(count, budget):
        edges = [segment.indptr.read(first, last + 1)[[0, -1]] for segment in segments]
        bounds = [(int(start), int(stop)) for start, stop in edges]
        small = last - first > 1 or indptr[last] - indptr[first] <= budget
        for spans in [bounds] if small else _value_cuts(segments, bounds, budget):
            yield MergePiece(first, last, spans)


def _value_cuts(
    segments: Sequence[SegmentArrays], bounds: list[tuple[int, int]], budget: int
) -> Iterator[list[tuple[int, int]]]:
    """Cut one feature's runs at common activation values into pieces of at most `budget` entries.

    A piece is larger only where a single value has more entries.
    """
    per_value = np.zeros(1 << 16, np.int64)
    for segment, (first, last) in zip(segments, bounds, strict=True):
        for start in range(first, last, budget):
            run = segment.act.read(start, min(start + budget, last)).view(np.uint16)
            per_value += np.bincount(run, minlength=1 << 16)
    ends = [first for first, _ in bounds]
    values = np.flatnonzero(per_value)[::-1]
    for _, group_last in feature_groups(per_value[values], budget):
        lowest = int(values[group_last - 1])
        starts, ends = ends, [_end_of(s.act, lowest, *span) for s, span in zip(segments, bounds, strict=True)]
        yield list(zip(starts, ends, strict=True))


def _end_of(act: ArraySpan, lowest: int, first: int, last: int) -> int:
    """Return the end (exclusive) of the entries with bits ≥ `lowest`, in a run that falls from `first` to `last`."""
    run = act.mapped().view(np.uint16)
    return bisect_right(run, -lowest, first, last, key=lambda bits: -int(bits))


def _prefetched(pieces: Iterator[MergePiece], segments: Sequence[SegmentArrays]) -> Generator[MergedBlock, None, None]:
    """Yield the block of each piece; the next one is sorted while the caller uses this one."""
    with ThreadPoolExecutor(1, "merging") as thread:
        coming = None
        for piece in pieces:
            made, coming = coming, thread.submit(_sorted_block, segments, piece)
            if made is not None:
                yield made.result()
        if coming is not None:
            yield coming.result()


def _sorted_block(segments: Sequence[SegmentArrays], piece: MergePiece) -> MergedBlock:
    """Merge one span of each segment's inverted arrays: by feature, falling activation, token.

    Packed into one integer these sort in that order. Each run is sorted already, which numpy's stable sort uses.
    """
    total = sum(stop - start for start, stop in piece.spans)
    keys, at = np.empty(total, np.uint64), 0
    runs = [(s, span) for s, span in zip(segments, piece.spans, strict=True) if span[1] > span[0]]
    if len(runs) == 1:
        ((segment, span),) = runs
        return MergedBlock(segment.token.read(*span) + np.uint32(segment.first_token), segment.act.read(*span))
    for segment, (start, stop) in runs:
        run = keys[at : at + stop - start]
        edges = np.clip(segment.indptr.read(piece.first, piece.last + 1), start, stop)
        run[:] = np.repeat(np.arange(piece.last - piece.first, dtype=np.uint64), np.diff(edges))
        run <<= np.uint64(16)
        run |= ~segment.act.read(start, stop).view(np.uint16)
        run <<= np.uint64(32)
        run |= segment.token.read(start, stop) + np.uint32(segment.first_token)
        at += stop - start
    keys.sort(kind="stable")
    token = (keys & _LOW).astype(np.uint32)
    keys >>= np.uint64(32)
    return MergedBlock(token, (~keys.astype(np.uint16)).view(np.float16))


class _Vocabulary:
    """Vocabulary ids by corpus place: held in memory if all fit, else looked up in the segments."""

    def __init__(self, segments: Sequence[SegmentArrays], room: int) -> None:
        self._segments = segments
        self._ends = np.array([segment.first_token + segment.n_tokens for segment in segments])
        self._mapped = lru_cache(MAPS)(lambda number: segments[number].tokens.mapped())
        n_bytes = 4 * int(self._ends[-1])
        self.n_bytes = n_bytes if n_bytes <= room else 0
        """Memory in use."""
        self._whole = np.concatenate([segment.tokens.read() for segment in segments]) if self.n_bytes else None

    def ids(self, token: NDArray[Any]) -> NDArray[np.int32]:
        """Return the ids of some places, in their order."""
        if self._whole is not None:
            found: NDArray[np.int32] = self._whole[token]
            return found
        owner = np.searchsorted(self._ends, token, side="right")
        found = np.empty(len(token), np.int32)
        for number in np.flatnonzero(np.bincount(owner)).tolist():
            own = np.flatnonzero(owner == number)
            found[own] = self._mapped(number)[token[own] - np.uint32(self._segments[number].first_token)]
        return found
