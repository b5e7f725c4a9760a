"""Segments into features.h5: a k-way merge of sorted runs in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from store.columns import CorpusColumns
from store.errors import MonosemError
from store.hdf5 import create_sealed, mapped, open_sealed, put
from store.segment import common_path, complete_segments, read_plan, segment_path

MAX_TOKENS = 1 << 32
"""Tokens that the uint32 of inverted/token can name."""
BYTES_PER_ENTRY = 64
"""Working memory of one non-zero in the merge: key, token, activation, and the copies that sorting makes."""
MERGE_BYTES = 1 << 27
"""Working memory of a merge, about: larger parts are sorted no faster (docs/benchmarks.md)."""
ROWS = 1 << 20
"""Rows copied at once where nothing has to be sorted."""


@dataclass(frozen=True)
class Segment:
    """One segment's arrays, memory-mapped."""

    first_token: int
    tokens: NDArray[np.int32]
    indptr: NDArray[np.int64]
    token: NDArray[np.uint32]
    act: NDArray[np.float16]
    file: h5py.File


def merge(index: Path, target: Path, memory: int = MERGE_BYTES) -> None:
    """Write `target` (features.h5) from a complete index folder.

    Args:
        index: folder with common.h5 and every segment of its plan.
        memory: bytes of working memory to stay under, beyond a byte a token and an array of [d_sae] a segment.

    Raises:
        MonosemError: a segment is missing.
    """
    plan = read_plan(common_path(index))
    found = complete_segments(index)
    if found < plan.n_segments:
        raise MonosemError(
            f"{index} holds {found} of {plan.n_segments} segments", "Finish it with monosem index --resume."
        )
    with ExitStack() as stack:
        common = stack.enter_context(open_sealed(common_path(index), "common"))
        segments = [_open(segment_path(index, number), stack) for number in range(plan.n_segments)]
        if segments[-1].first_token + len(segments[-1].tokens) > MAX_TOKENS:
            raise MonosemError(f"an index holds up to {MAX_TOKENS:,} tokens", "Lower --index-tokens.")
        out = stack.enter_context(create_sealed(target, "features"))
        out.attrs["plan"] = common.attrs["plan"]
        out.attrs["first_token"] = 0
        out.attrs["first_context"] = 0
        for name in ("clipped", "n_tokens", "n_counted"):
            out.attrs[name] = sum(int(segment.file.attrs[name]) for segment in segments)
        for name in ("vocab", "sae", "feature"):
            common.copy(name, out)
        _merge_corpus(out, segments)
        _merge_forward(out, segments)
        _merge_inverted(out, segments, max(1, memory // BYTES_PER_ENTRY))


def _open(path: Path, stack: ExitStack) -> Segment:
    file = stack.enter_context(open_sealed(path, "segment"))
    inverted = file["inverted"]
    return Segment(
        first_token=int(file.attrs["first_token"]),
        tokens=mapped(path, file["corpus/tokens"]),
        indptr=inverted["indptr"][()],
        token=mapped(path, inverted["token"]),
        act=mapped(path, inverted["act"]),
        file=file,
    )


def _merge_corpus(out: h5py.File, segments: Sequence[Segment]) -> None:
    corpus = out.create_group("corpus")
    _append(corpus, "tokens", [s.file["corpus/tokens"] for s in segments])
    put(corpus, "counted", np.concatenate([s.file["corpus/counted"][()] for s in segments]), packed=True)
    contexts, documents = corpus.create_group("contexts"), corpus.create_group("documents")
    put(contexts, "start", np.concatenate([s.file["corpus/contexts/start"][()] + s.first_token for s in segments]))
    for name in ("length", "document"):
        put(contexts, name, np.concatenate([s.file[f"corpus/contexts/{name}"][()] for s in segments]))
    start = np.concatenate([s.file["corpus/documents/start"][()] + s.first_token for s in segments])
    ids = np.concatenate([s.file["corpus/documents/id"][()] for s in segments])
    keep = np.diff(ids, prepend=ids[:1] - 1) != 0
    put(documents, "start", start[keep])
    put(documents, "id", ids[keep])


def _merge_forward(out: h5py.File, segments: Sequence[Segment]) -> None:
    forward = out.create_group("forward")
    n_tokens = sum(len(segment.tokens) for segment in segments)
    indptr = forward.create_dataset("indptr", (n_tokens + 1,), np.int64)
    indptr[0] = at = offset = 0
    for segment in segments:
        source = segment.file["forward/indptr"]
        for start in range(1, len(source), ROWS):
            block = source[start : start + ROWS] + offset
            indptr[at + 1 : at + 1 + len(block)] = block
            at += len(block)
        offset += int(source[-1])
    for name in ("feature", "act"):
        _append(forward, name, [s.file[f"forward/{name}"] for s in segments])


def _append(group: h5py.Group, name: str, sources: Sequence[h5py.Dataset]) -> None:
    total = sum(len(source) for source in sources)
    target = group.create_dataset(name, (total,), sources[0].dtype)
    at = 0
    for source in sources:
        for start in range(0, len(source), ROWS):
            block = source[start : start + ROWS]
            target[at : at + len(block)] = block
            at += len(block)


def _merge_inverted(out: h5py.File, segments: Sequence[Segment], budget: int) -> None:
    """Write inverted/* and the columns that follow from it, `budget` entries at a time."""
    count = np.sum([np.diff(s.indptr) for s in segments], axis=0)
    indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    inverted = out.create_group("inverted")
    put(inverted, "indptr", indptr)
    token_out = inverted.create_dataset("token", (int(indptr[-1]),), np.uint32)
    act_out = inverted.create_dataset("act", (int(indptr[-1]),), np.float16)
    columns = CorpusColumns.empty(count)
    for first, last in feature_groups(count, budget):
        for block in _sorted_blocks(segments, first, last, indptr, budget):
            token_out[block.at : block.at + len(block.token)] = block.token
            act_out[block.at : block.at + len(block.act)] = block.act
            columns.take(block.feature, block.act, block.vocab, block.at)
    columns.write(out["feature"])


def feature_groups(count: NDArray[np.int64], budget: int) -> Iterator[tuple[int, int]]:
    """Consecutive features [first, last) with at most `budget` entries together (one feature may have more)."""
    ends = np.cumsum(count)
    first, d_sae = 0, len(count)
    while first < d_sae:
        done = ends[first - 1] if first else 0
        last = int(np.searchsorted(ends, done + budget, side="right"))
        last = min(max(last, first + 1), first + (1 << 16), d_sae)
        yield first, last
        first = last


@dataclass(frozen=True)
class Block:
    """Merged entries of the inverted order, from entry `at` on."""

    token: NDArray[np.uint32]
    act: NDArray[np.float16]
    vocab: NDArray[np.int32]
    feature: NDArray[np.int64]
    at: int


def _sorted_blocks(
    segments: Sequence[Segment], first: int, last: int, indptr: NDArray[np.int64], budget: int
) -> Iterator[Block]:
    """The merged entries of features [first, last).

    A feature with more than `budget` entries comes in several blocks, cut at activation values.
    """
    at = int(indptr[first])
    bounds = [(int(s.indptr[first]), int(s.indptr[last])) for s in segments]
    small = last - first > 1 or indptr[last] - at <= budget
    for spans in [bounds] if small else _value_cuts(segments, bounds, budget):
        block = _sort_spans(segments, spans, first, last, at)
        yield block
        at += len(block.token)


def _value_cuts(
    segments: Sequence[Segment], bounds: list[tuple[int, int]], budget: int
) -> Iterator[list[tuple[int, int]]]:
    """Cut one feature's runs at common activation values into pieces of at most `budget` entries.

    Pieces hold more only where a single value does.
    """
    runs = [s.act[a:b].view(np.uint16) for s, (a, b) in zip(segments, bounds, strict=True)]
    per_value = np.zeros(1 << 16, np.int64)
    for run in runs:
        for start in range(0, len(run), budget):
            per_value += np.bincount(run[start : start + budget], minlength=1 << 16)
    ends = [0 for _ in runs]
    values = np.flatnonzero(per_value)[::-1]
    for _, group_last in feature_groups(per_value[values], budget):
        lowest = np.uint16(values[group_last - 1])
        starts, ends = ends, [len(run) - int(np.searchsorted(run[::-1], lowest)) for run in runs]
        yield [(a + s, a + e) for (a, _), s, e in zip(bounds, starts, ends, strict=True)]


def _sort_spans(segments: Sequence[Segment], spans: list[tuple[int, int]], first: int, last: int, at: int) -> Block:
    """Merge one span of each segment's inverted arrays: by feature, falling activation, token.

    Segments cover rising token ranges, so with the runs laid end to end equal activations are already in token order.
    The packed key carries each entry's place, which makes an ordinary sort of integers stable.
    """
    parts = [(s, slice(a, b)) for s, (a, b) in zip(segments, spans, strict=True)]
    token = np.concatenate([s.token[span].astype(np.int64) + s.first_token for s, span in parts])
    act = np.concatenate([s.act[span] for s, span in parts])
    vocab = np.concatenate([s.tokens[s.token[span]] for s, span in parts])
    feature = np.concatenate([_feature_of(s.indptr, span, first, last) for s, span in parts])
    falling = np.uint64(0xFFFF) - act.view(np.uint16).astype(np.uint64)
    place = np.arange(len(act), dtype=np.uint64)
    keys = ((feature - first).astype(np.uint64) << np.uint64(48)) | (falling << np.uint64(32)) | place
    keys.sort()
    order = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return Block(token[order].astype(np.uint32), act[order], vocab[order], feature[order], at)


def _feature_of(indptr: NDArray[np.int64], span: slice, first: int, last: int) -> NDArray[np.int64]:
    """The feature of each inverted entry in `span`, all of them in [first, last)."""
    edges = np.clip(indptr[first : last + 1], span.start, span.stop)
    return np.repeat(np.arange(first, last), np.diff(edges))
