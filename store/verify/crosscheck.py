"""Check the parts of an index file against each other.

Memory is a byte per token and some numbers per feature; it does not grow with the number of activations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.contiguous import ArraySpan
from store.index.columns import CorpusColumns
from store.index.feature_ids import FeatureIds
from store.index.merge import feature_groups

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


def index_problem(file: h5py.File, block: int = BLOCK) -> str:
    """Return what is inconsistent in an index file, or "".

    Both orders must hold the same (token, feature, activation) entries, each in its order, on tokens that
    count; contexts must cover the corpus, and the columns must follow from the entries.
    """
    n, n_inverted = len(file["forward/act"]), len(file["inverted/act"])
    if n != n_inverted:
        return f"the forward order holds {n} entries, the inverted order {n_inverted}"
    problem = _bad_pointers(file, "forward", len(file["corpus/tokens"]), block) or _bad_pointers(
        file, "inverted", len(file["feature/count"]), block
    )
    problem = problem or _corpus_problem(file)
    if problem:
        return problem
    forward, inverted = _Digest(3), _Digest(3)
    problem = _forward_problem(file, block, forward)
    inverted_problem = _inverted_problem(file, block, inverted)
    if forward.total != inverted.total:
        return f"the two orders differ in their {_differing(file, block)}"
    return problem or inverted_problem


def _differing(file: h5py.File, block: int) -> str:
    for fields, name in ((1, "tokens"), (2, "features")):
        forward, inverted = _Digest(fields), _Digest(fields)
        for entries in _forward(file, block):
            forward.take(entries)
        for entries in _inverted(file, block):
            inverted.take(entries)
        if forward.total != inverted.total:
            return name
    return "activations"


def _bad_pointers(file: h5py.File, order: str, rows: int, block: int) -> str:
    """Check that indptr rises from 0 to the number of entries, one step per row."""
    indptr, n = file[f"{order}/indptr"], len(file[f"{order}/act"])
    sound = len(indptr) == rows + 1 and indptr[0] == 0 and indptr[-1] == n
    for start in range(0, rows, block):
        sound = sound and bool((np.diff(indptr[start : start + block + 1]) >= 0).all())
    return "" if sound else f"{order}/indptr does not rise from 0 to the number of entries"


def vocabulary_problem(file: h5py.File) -> str:
    """Return why `vocab/` cannot be the bytes of tokens, or ""."""
    strings, offsets = file["vocab/strings"], file["vocab/offsets"]
    for name, column, kind in (("strings", strings, "u"), ("offsets", offsets, "i")):
        if not isinstance(column, h5py.Dataset) or column.ndim != 1 or column.dtype.kind != kind:
            return f"vocab/{name} is not a column of whole numbers"
    offset_V = offsets[()]
    if not len(offset_V) or offset_V[0] != 0 or offset_V[-1] != len(strings) or (np.diff(offset_V) < 0).any():
        return "vocab/offsets do not rise from 0 to the number of bytes in vocab/strings"
    return ""


def _corpus_problem(file: h5py.File) -> str:
    """Check that contexts and documents cover the tokens, and the counts in the file's attributes."""
    corpus = file["corpus"]
    n_tokens, counted_N = len(corpus["tokens"]), corpus["counted"][()]
    if len(counted_N) != n_tokens:
        return f"corpus/counted has {len(counted_N)} values for {n_tokens} tokens"
    for name, found in (("n_tokens", n_tokens), ("n_counted", int(counted_N.sum()))):
        if file.attrs[name] != found:
            return f"{name} is {file.attrs[name]}, but the corpus has {found}"
    contexts, documents = corpus["contexts"], corpus["documents"]
    length_C = contexts["length"][()].astype(np.int64)
    end_C = np.cumsum(length_C)
    if len(contexts["start"]) != len(length_C) or (contexts["start"][()] != end_C - length_C).any():
        return "corpus/contexts/start does not follow from their lengths"
    if (length_C <= 0).any() or length_C.sum() != n_tokens or len(contexts["document"]) != len(length_C):
        return "corpus/contexts do not cover the corpus"
    start_D = documents["start"][()]
    inside = len(start_D) > 0 and start_D[0] == 0 and start_D[-1] < n_tokens and bool((np.diff(start_D) > 0).all())
    if not inside or len(documents["id"]) != len(start_D):
        return "corpus/documents/start does not rise from 0"
    document_C = documents["id"][()][np.searchsorted(start_D, contexts["start"][()], side="right") - 1]
    if (document_C != contexts["document"][()]).any():
        return "corpus/contexts/document does not follow from corpus/documents"
    return ""


def _forward(file: h5py.File, block: int) -> Iterator[IndexEntries]:
    indptr, act, feature = file["forward/indptr"], file["forward/act"], FeatureIds.of(file)
    for first in range(0, len(indptr) - 1, block):
        edges = indptr[first : first + block + 1]
        for start in range(int(edges[0]), int(edges[-1]), block):
            stop = min(start + block, int(edges[-1]))
            token = first + _rows(edges, start, stop)
            yield IndexEntries(token, feature[start:stop].astype(np.int64), act[start:stop])


def _inverted(file: h5py.File, block: int) -> Iterator[IndexEntries]:
    """Yield blocks of whole features, or pieces of a single one."""
    indptr = file["inverted/indptr"][()]
    token, act = file["inverted/token"], file["inverted/act"]
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


def _forward_problem(file: h5py.File, block: int, digest: _Digest) -> str:
    problem, before = "", (-1, -1)
    counted_N = file["corpus/counted"][()]
    for entries in _forward(file, block):
        digest.take(entries)
        if not counted_N[entries.token].all():
            problem = "forward/feature fires on tokens that do not count"
        token, feature = _after(before[0], entries.token), _after(before[1], entries.feature)
        if ((np.diff(token) == 0) & (np.diff(feature) <= 0)).any():
            problem = "forward/feature does not rise inside a token"
        before = int(token[-1]), int(feature[-1])
    return problem


def _inverted_problem(file: h5py.File, block: int, digest: _Digest) -> str:
    count_F = np.diff(file["inverted/indptr"][()])
    columns, at, problem = CorpusColumns.empty(count_F), 0, ""
    vocab = ArraySpan.of(Path(file.filename), file["corpus/tokens"]).mapped()
    before = (-1, -1, 0)
    for entries in _inverted(file, block):
        digest.take(entries)
        if entries.token.max() >= len(vocab):
            return ""  # tokens beyond the corpus: the digests differ
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


def _column_problem(file: h5py.File, columns: CorpusColumns) -> str:
    expected: dict[str, NDArray[Any]] = {
        "count": columns.count_F,
        "max": columns.max_F,
        "sum": columns.sum_F,
        "quantiles": columns.quantiles_FQ,
        "top_token": columns.top_token_F,
        "top_sum": columns.top_sum_F,
    }
    for name, values in expected.items():
        if file[f"feature/{name}"].shape != values.shape:
            return f"feature/{name} has the shape {file[f'feature/{name}'].shape}, not {values.shape}"
        # A tolerance, as sums of many numbers depend on the order of addition.
        if not np.allclose(file[f"feature/{name}"][()], values, rtol=1e-12, atol=0.0):
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
