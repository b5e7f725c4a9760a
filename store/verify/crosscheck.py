"""Check the parts of an index file against each other.

Memory is a byte per token and some numbers per feature; it does not grow with the number of activations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.columns import CorpusColumns
from store.index.feature_groups import feature_groups
from store.index.feature_ids import FeatureIds
from store.index.index_file import IndexFile

BLOCK = 1 << 20
"""Entries, or tokens, looked at together."""


class IndexEntries(NamedTuple):
    """Consecutive entries of one of the orders."""

    token: NDArray[np.int64]
    feature: NDArray[np.int64]
    act: NDArray[np.float16]

    def bits(self) -> NDArray[np.uint16]:
        """Return the activations as integers of the same order."""
        return self.act.view(np.uint16)


@dataclass
class _Digest:
    """Sum over entries of hashes of their first fields: independent of the order of entries.

    Two different sets of entries have the same sum with probability 2⁻⁶⁴.
    """

    fields: int
    """1: token; 2: token and feature; 3: the whole entry."""
    total: int = 0

    def take(self, entries: IndexEntries) -> None:
        drawn = np.zeros(len(entries.token), np.uint64)
        for values in (entries.token, entries.feature, entries.bits())[: self.fields]:
            drawn = _mixed(drawn ^ values.astype(np.uint64))
        self.total = (self.total + int(drawn.sum(dtype=np.uint64))) % (1 << 64)


def index_problem(file: IndexFile, block: int = BLOCK) -> str:
    """Return what is inconsistent in features.h5 or a segment, or "".

    Both orders must hold the same (token, feature, activation) entries, each in its order, on tokens that
    count; contexts must cover the corpus, and the columns must follow from the entries.

    Raises:
        ValueError: a dataset holds impossible values.
    """
    if problem := _corpus_problem(file):
        return problem
    forward, inverted = _Digest(3), _Digest(3)
    problem = _forward_problem(file, block, forward)
    inverted_problem = _inverted_problem(file, block, inverted)
    if forward.total != inverted.total:
        return f"the two orders differ in their {_differing(file, block)}"
    return problem or inverted_problem


def _differing(file: IndexFile, block: int) -> str:
    for fields, name in ((1, "tokens"), (2, "features")):
        forward, inverted = _Digest(fields), _Digest(fields)
        for entries in _forward(file, block):
            forward.take(entries)
        for entries in _inverted(file, block):
            inverted.take(entries)
        if forward.total != inverted.total:
            return name
    return "activations"


def _corpus_problem(file: IndexFile) -> str:
    """Check that contexts and documents cover the tokens, and the counts in the file's attributes."""
    n_tokens, counted_N = file.lengths["N"], file.whole("corpus/counted")
    for name, found in (("n_tokens", n_tokens), ("n_counted", int(counted_N.sum()))):
        if (stated := file.number(name)) != found:
            return f"{name} is {stated}, but the corpus has {found}"
    start_C, length_C, document_C = (file.whole(f"corpus/contexts/{name}") for name in ("start", "length", "document"))
    end_C = np.cumsum(length_C, dtype=np.int64)
    if (start_C != end_C - length_C).any():
        return "corpus/contexts/start does not follow from their lengths"
    if end_C[-1] != n_tokens:
        return "corpus/contexts do not cover the corpus"
    start_R, id_R = file.whole("corpus/documents/start"), file.whole("corpus/documents/id")
    if (np.diff(start_R) <= 0).any():
        return "corpus/documents/start does not rise"
    if (id_R[np.searchsorted(start_R, start_C, side="right") - 1] != document_C).any():
        return "corpus/contexts/document does not follow from corpus/documents"
    return ""


def _forward(file: IndexFile, block: int) -> Iterator[IndexEntries]:
    indptr, act, feature = file.array("forward/indptr"), file.array("forward/act"), FeatureIds(file)
    for first in range(0, len(indptr) - 1, block):
        edges = indptr[first : first + block + 1]
        for start in range(int(edges[0]), int(edges[-1]), block):
            stop = min(start + block, int(edges[-1]))
            token = first + _rows(edges, start, stop)
            yield IndexEntries(token, feature[start:stop].astype(np.int64), act[start:stop])


def _inverted(file: IndexFile, block: int) -> Iterator[IndexEntries]:
    """Yield blocks of whole features, or pieces of a single one."""
    indptr = file.whole("inverted/indptr")
    token, act = file.array("inverted/token"), file.array("inverted/act")
    for first, last in feature_groups(np.diff(indptr), block):
        edges = indptr[first : last + 1]
        for start in range(int(edges[0]), int(edges[-1]), block):
            stop = min(start + block, int(edges[-1]))
            feature = first + _rows(edges, start, stop)
            yield IndexEntries(token[start:stop].astype(np.int64), feature, act[start:stop])


def _rows(edges: NDArray[np.int64], start: int, stop: int) -> NDArray[np.int64]:
    """Return the row of each entry start … stop-1, counted from the row of edges[0]."""
    inside = np.clip(edges, start, stop)
    return np.repeat(np.arange(len(edges) - 1), inside[1:] - inside[:-1])


def _forward_problem(file: IndexFile, block: int, digest: _Digest) -> str:
    problem, before = "", (-1, -1)
    counted_N = file.whole("corpus/counted")
    for entries in _forward(file, block):
        digest.take(entries)
        if not counted_N[entries.token].all():
            problem = "forward/feature fires on tokens that do not count"
        token, feature = _after(before[0], entries.token), _after(before[1], entries.feature)
        if ((np.diff(token) == 0) & (np.diff(feature) <= 0)).any():
            problem = "forward/feature does not rise inside a token"
        before = int(token[-1]), int(feature[-1])
    return problem


def _inverted_problem(file: IndexFile, block: int, digest: _Digest) -> str:
    count_F = np.diff(file.whole("inverted/indptr"))
    columns, at, problem = CorpusColumns.empty(count_F, file.exponent_F), 0, ""
    vocab = file.span("corpus/tokens").mapped()
    before = (-1, -1, 0)
    for entries in _inverted(file, block):
        digest.take(entries)
        columns.take(at, entries.act, entries.token, lambda token_E: vocab[token_E])
        at += len(entries.token)
        token, feature = _after(before[0], entries.token), _after(before[1], entries.feature)
        bits = _after(before[2], entries.bits().astype(np.int64))
        same, step = np.diff(feature) == 0, np.diff(bits)
        if (step[same] > 0).any():
            problem = "inverted/act does not fall inside a feature"
        elif (np.diff(token)[same & (step == 0)] <= 0).any():
            problem = problem or "inverted/token does not rise among equal activations"
        before = int(token[-1]), int(feature[-1]), int(bits[-1])
    return problem or _column_problem(file, columns)


def _column_problem(file: IndexFile, columns: CorpusColumns) -> str:
    for name, values in columns.by_name().items():
        found = file.whole(f"feature/{name}")
        # A tolerance, as sums of many numbers depend on the order of addition.
        if found.shape != values.shape or not np.allclose(found, values, rtol=1e-12, atol=0.0):
            return f"feature/{name} does not follow from the activations"
    return ""


def _after(before: int, values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `values` with the last value of the block before in front."""
    return np.concatenate([np.array([before], np.int64), values])


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Apply the finalizer of SplitMix64: every bit of the result depends on every bit of the value."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
