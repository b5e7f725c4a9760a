"""A store as large as real ones, made without a model through the engine's own writers: it measures the build too.

    python -m tests.bench.big_store FOLDER [--features 131072] [--tokens 10M] [--active 32] [--memory 2G]

Words follow Zipf's law, and so do the features that belong to words; a tenth of what fires is drawn from favourites of
the whole dictionary, so densities run from some that fire on every third token to many that hardly ever do.
Activations are skewed, and strongest where a word is rare. Documents are of any length, laid end to end in contexts.
What a context holds follows from its number, so the file is the same whatever the memory, and a killed build goes on.

Shapes: N tokens, F features, K active features a token, C contexts, V vocabulary, T listed tokens or neighbours.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from monosem_tui.cli.options import count, size
from store.index.merge import merge
from store.index.segment import IndexPlan, SparseRows, StaticColumns, TokenRows, common_path, discard, write_common
from store.index.segment_writer import SegmentWriter, checked_memory
from store.index.vocabulary import Vocabulary
from store.run.folder import Results, RunFolder, RunRecord
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, save_sae

CONTEXT, BATCH_CONTEXTS = 256, 64
WORDS, D_IN, LISTED = 32_000, 16, 10
DOCUMENT = 700
"""Tokens of a document, on average."""
COMMON = 1 / 10
"""Share of what fires that belongs to no word."""
SYLLABLES = "an be co da el fi go ha in ja ka lo mi no or pa qu re so ta un va we xy yo ze".split()

LOGIT_BINS = 40


@dataclass(frozen=True)
class Made:
    """The built store, and the cost of building it."""

    run: RunFolder
    sweep_s: float
    """Drawing what fires, sorting it and sealing it."""
    drawing_s: float
    """Seconds of that for drawing."""
    merge_s: float
    peak_bytes: int
    """Largest resident size of this process."""


def build_big(folder: Path, features: int, tokens: int, active: int, memory: int | None = None, seed: int = 1) -> Made:
    """Write a finished run of that size, rounded down to whole batches, into `folder`; goes on with one begun.

    Another `seed` gives other features on the same text.
    """
    run, rng = RunFolder(folder), np.random.default_rng(0)
    n_contexts = max(1, tokens // (CONTEXT * BATCH_CONTEXTS)) * BATCH_CONTEXTS
    spec = SaeSpec(
        model="synthetic", layer=6, site="resid_post", arch="topk", d_in=D_IN, d_sae=features, k=active, excluded="bos"
    )
    results = Results(tokens=tokens, explained_variance=0.9, l0=float(active), alive=features)
    run.create(RunRecord(status="done", spec=spec, results=results))
    weights = _weights(rng, spec)
    save_sae(run.sae, weights)
    plan = IndexPlan(
        data="synthetic",
        corpus_digest="",
        sae_digest="",
        packing="packed",
        context=CONTEXT,
        seed=0,
        n_contexts=n_contexts,
    )
    if not common_path(run.index).is_file():
        write_common(run.index, plan, _vocabulary(rng), weights, _columns(rng, weights))
    began, drawing = time.perf_counter(), 0.0
    budget, text = checked_memory(memory), _Text(features, active, seed)
    with SegmentWriter(run.index, features, budget) as filling:
        for first in range(filling.n_contexts, n_contexts, BATCH_CONTEXTS):
            before = time.perf_counter()
            drawn = text.batch(first)
            drawing += time.perf_counter() - before
            filling.add(*drawn)
    swept = time.perf_counter()
    merge(run.index, run.features, budget)
    merged = time.perf_counter()
    discard(run.index)
    return Made(run, swept - began, drawing, merged - swept, _peak())


def _peak() -> int:
    """This process's largest resident size; what getrusage gives has that of the process it was forked from in it."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(1024 * int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))


class _Text:
    """Draws the tokens and activations of each batch of contexts, the same for the same batch."""

    def __init__(self, features: int, active: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._features, self._active = features, active
        share = 1 / np.arange(2, WORDS + 2) ** 1.05
        self._words = np.cumsum(share / share.sum())
        own = active - round(COMMON * active)
        self._of_word_VK = (features * rng.random((WORDS, own)) ** 1.5).astype(np.int64)
        self._order_F = rng.permutation(features)
        self._typical_V = (1 + np.log1p(np.arange(WORDS)) / 4).astype(np.float32)

    def batch(self, first: int) -> tuple[TokenRows, SparseRows]:
        """The contexts from number `first` on."""
        rng = np.random.default_rng([2, first])
        n = BATCH_CONTEXTS * CONTEXT
        token_N = (1 + np.searchsorted(self._words, rng.random(n))).clip(1, WORDS - 1).astype(np.int32)
        token_N[::CONTEXT] = 0
        lengths = rng.integers(DOCUMENT // 8, 2 * DOCUMENT, n // (DOCUMENT // 8) + 1)
        document_N = (first * CONTEXT + np.repeat(np.arange(len(lengths)), lengths)[:n]).astype(np.int64)
        length_C = np.full(BATCH_CONTEXTS, CONTEXT, np.int32)
        return TokenRows(token_N, token_N != 0, document_N, length_C), self._fired(rng, token_N)

    def _fired(self, rng: np.random.Generator, token_N: NDArray[np.int32]) -> SparseRows:
        n, common = len(token_N), round(COMMON * self._active)
        favourite_NK = (self._features * rng.random((n, common), np.float32) ** 12).astype(np.int64)
        feature_NK = np.concatenate([self._of_word_VK[token_N], favourite_NK], axis=1)
        # Part of a word's features depend on what is around it.
        wander_N = rng.integers(0, 64, n)
        feature_NK[:, ::3] = (feature_NK[:, ::3] + 977 * wander_N[:, None]) % self._features
        feature_NK.sort(axis=1)
        keep_NK = np.diff(feature_NK, axis=1, prepend=-1) > 0
        keep_NK[token_N == 0] = False
        act_NK = rng.standard_exponential(feature_NK.shape, np.float32)
        act_NK *= act_NK
        act_NK += 0.05
        act_NK *= self._typical_V[token_N][:, None]
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(keep_NK.sum(1))])
        return SparseRows(indptr, self._order_F[feature_NK[keep_NK]], act_NK[keep_NK])


def _vocabulary(rng: np.random.Generator) -> Vocabulary:
    drawn = rng.integers(0, len(SYLLABLES), (WORDS, 4))
    lengths = rng.integers(1, 5, WORDS)
    words = [
        ("" if length == 1 else " ") + "".join(SYLLABLES[i] for i in row[:length])
        for row, length in zip(drawn, lengths, strict=True)
    ]
    return Vocabulary.from_tokens([b"<|bos|>", *(word.encode() for word in words[1:])])


def _weights(rng: np.random.Generator, spec: SaeSpec) -> SaeWeights:
    rows_FD = rng.standard_normal((spec.d_sae, spec.d_in)).astype(np.float32)
    rows_FD /= np.linalg.norm(rows_FD, axis=1, keepdims=True)
    zeros = {"b_enc": np.zeros(spec.d_sae, np.float32), "b_dec": np.zeros(spec.d_in, np.float32)}
    return SaeWeights(spec, {"W_enc": np.ascontiguousarray(rows_FD.T), "W_dec": rows_FD, **zeros})


def _columns(rng: np.random.Generator, weights: SaeWeights) -> StaticColumns:
    features = weights.spec.d_sae
    falling_FT = -np.sort(-rng.random((features, LISTED)).astype(np.float32), axis=1)
    token_FT = rng.integers(1, WORDS, (2, features, LISTED)).astype(np.int32)
    near_FT = rng.integers(0, features, (features, LISTED)).astype(np.int32)
    norm_F = np.linalg.norm(weights.tensors["W_dec"], axis=1).astype(np.float32)
    counts_FB = np.full((features, LOGIT_BINS), WORDS // LOGIT_BINS, np.uint16)
    return StaticColumns(
        norm_F,
        token_FT[0],
        falling_FT,
        token_FT[1],
        -falling_FT,
        near_FT,
        falling_FT,
        counts_FB,
        near_FT % 64,
        falling_FT,
    )


def main() -> None:
    """Build one, and print what it took as a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.big_store", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--features", type=count, default=131_072)
    parser.add_argument("--tokens", type=count, default=10_000_000)
    parser.add_argument("--active", type=count, default=32)
    parser.add_argument("--memory", type=size, default=None)
    given = parser.parse_args()
    made = build_big(given.folder, given.features, given.tokens, given.active, given.memory)
    figures = {name: value for name, value in asdict(made).items() if name != "run"}
    sys.stdout.write(json.dumps({"run": str(made.run.path), **figures}) + "\n")


if __name__ == "__main__":
    main()
