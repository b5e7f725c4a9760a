"""A synthetic run as large as wanted, made with the store's own writers: speed at the size of real dictionaries.

    python -m tests.large_store FOLDER [FEATURES] [TOKENS]

Words follow Zipf's law. Of a token's 16 features 14 belong to its word and 2 are drawn with a few favourites, so that
densities spread over several powers of ten, as they do in real dictionaries. Shapes: N tokens, F features, K a token.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.merge import merge
from store.run import Results, RunFolder, RunRecord
from store.segment import (
    IndexPlan,
    SegmentBuilder,
    SparseRows,
    StaticColumns,
    TokenRows,
    segment_path,
    write_common,
)
from store.spec import SaeSpec
from store.vocab import Vocabulary
from store.weights import SaeWeights, save_sae

CONTEXT, CONTEXTS_PER_SEGMENT, WORDS, D_IN, LISTED = 256, 512, 20_000, 16, 10
OF_WORD, OF_CHANCE = 14, 2


def build_large(folder: Path, features: int = 131_072, tokens: int = 1_000_000) -> RunFolder:
    """Write a finished run of that size (rounded down to whole contexts) into `folder`."""
    rng = np.random.default_rng(0)
    run, contexts = RunFolder(folder), tokens // CONTEXT
    spec = SaeSpec(model="synthetic", layer=6, site="resid_post", arch="topk", d_in=D_IN, d_sae=features, k=16)
    results = Results(tokens=tokens, explained_variance=0.9, l0=16.0, alive=features)
    run.create(RunRecord(status="done", spec=spec, results=results))
    sae = _weights(rng, spec)
    save_sae(run.sae, sae)
    plan = IndexPlan(
        data="synthetic",
        corpus_digest="",
        sae_digest="",
        packing="packed",
        context=CONTEXT,
        seed=0,
        n_contexts=contexts,
    )
    vocabulary = Vocabulary.from_tokens([b"<|bos|>", *(b" word%d" % word for word in range(1, WORDS))])
    write_common(run.index, plan, vocabulary, sae, _columns(rng, features))
    of_word_VK = rng.integers(0, features, (WORDS, OF_WORD))
    for number, first in enumerate(range(0, contexts, CONTEXTS_PER_SEGMENT)):
        n = min(CONTEXTS_PER_SEGMENT, contexts - first) * CONTEXT
        builder = SegmentBuilder(features)
        builder.add(*_rows(rng, of_word_VK, features, first, n))
        builder.seal(segment_path(run.index, number), first * CONTEXT, first)
    merge(run.index, run.features)
    shutil.rmtree(run.index)
    return run


def _weights(rng: np.random.Generator, spec: SaeSpec) -> SaeWeights:
    rows_FD = rng.standard_normal((spec.d_sae, spec.d_in)).astype(np.float32)
    rows_FD /= np.linalg.norm(rows_FD, axis=1, keepdims=True)
    zeros = {"b_enc": np.zeros(spec.d_sae, np.float32), "b_dec": np.zeros(spec.d_in, np.float32)}
    return SaeWeights(spec, {"W_enc": np.ascontiguousarray(rows_FD.T), "W_dec": rows_FD, **zeros})


def _columns(rng: np.random.Generator, features: int) -> StaticColumns:
    falling = -np.sort(-rng.random((features, LISTED)).astype(np.float32), axis=1)
    tokens = rng.integers(1, WORDS, (2, features, LISTED)).astype(np.int32)
    near = rng.integers(0, features, (features, LISTED)).astype(np.int32)
    return StaticColumns(np.ones(features, np.float32), tokens[0], falling, tokens[1], -falling, near, falling)


def _rows(
    rng: np.random.Generator, of_word_VK: NDArray[np.int64], features: int, first: int, n: int
) -> tuple[TokenRows, SparseRows]:
    """One segment's tokens and their active features, BOS at the head of each context left out."""
    token_N = (rng.zipf(1.2, n) % (WORDS - 1) + 1).astype(np.int32)
    token_N[::CONTEXT] = 0
    by_chance = (features * rng.random((n, OF_CHANCE)) ** 4).astype(np.int64)
    feature_NK = np.sort(np.concatenate([of_word_VK[token_N], by_chance], axis=1), axis=1)
    act_NK = rng.gamma(2.0, 0.5, feature_NK.shape).astype(np.float32)
    keep_NK = np.diff(feature_NK, axis=1, prepend=-1) > 0
    keep_NK[::CONTEXT] = False
    indptr = np.concatenate([[0], np.cumsum(keep_NK.sum(1))])
    document_N = (first + np.arange(n) // CONTEXT).astype(np.int64)
    lengths = np.full(n // CONTEXT, CONTEXT, np.int32)
    return (
        TokenRows(token_N, token_N != 0, document_N, lengths),
        SparseRows(indptr, feature_NK[keep_NK], act_NK[keep_NK]),
    )


if __name__ == "__main__":
    build_large(Path(sys.argv[1]), *map(int, sys.argv[2:]))
