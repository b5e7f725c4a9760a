"""A small run made without any model: real words, features that fire on known words, every file of the schema."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from store.index.merge import merge
from store.index.segment import (
    IndexPlan,
    SegmentBuilder,
    SparseRows,
    StaticColumns,
    TokenRows,
    segment_path,
    write_common,
)
from store.index.vocabulary import Vocabulary
from store.run.folder import Provenance, Results, RunFolder, RunRecord
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights, sae_digest, save_sae

WORDS = (
    "the a and to was she he said mom dog cat sea boat water fish swim ocean beach tree park ball big small red blue "
    "happy sad one day little girl boy named Lily Tim played with her his they saw in on it friend house bird fly sky "
    "rain sun run jump cake eat hungry bed sleep night moon star toy car box door open went found lost help"
).split(" ")
BOS = 0
VOCAB: list[bytes] = [b"<|endoftext|>", b"\n", b".", b",", "é".encode()[:1], "é".encode()[1:], "日本".encode()] + [
    b" " + word.encode() for word in WORDS
]
CONCEPTS: dict[int, tuple[str, ...]] = {
    0: ("sea", "boat", "water", "fish", "swim", "ocean", "beach"),
    1: ("said",),
    2: ("she", "her", "girl", "Lily"),
    3: ("dog", "cat", "bird"),
}
"""Words on which the first features fire; the others fire at random, and the last never does."""


BUILT = tempfile.TemporaryDirectory(prefix="monosem-samples-")
"""The runs that this process has built, from which others of the same contents are copied."""


@dataclass(frozen=True)
class Sample:
    """The run, and the dense truth it was made from. N tokens, F features."""

    run: RunFolder
    token_N: NDArray[np.int32]
    counted_N: NDArray[np.bool_]
    dense_NF: NDArray[np.float32]
    """Activations as stored (float16 values), zero where not counted."""


def word_ids(words: tuple[str, ...]) -> NDArray[np.int64]:
    """Vocabulary ids of words."""
    return np.array([VOCAB.index(b" " + word.encode()) for word in words])


def _dense(rng: np.random.Generator, token_N: NDArray[np.int32], n_features: int) -> NDArray[np.float32]:
    dense = rng.exponential(1.0, (len(token_N), n_features)).astype(np.float32)
    dense *= rng.random((len(token_N), n_features)) < np.geomspace(0.05, 0.002, n_features)
    for feature, words in CONCEPTS.items():
        hit = np.isin(token_N, word_ids(words))
        dense[:, feature] = np.where(hit, 1 + 8 * rng.random(len(token_N)), 0)
    dense[:, -1] = 0
    return dense.astype(np.float16).astype(np.float32)


@dataclass(frozen=True)
class _Contents:
    """All that a sample follows from."""

    n_features: int
    n_contexts: int
    context: int
    segments: int
    merged: bool
    seed: int
    vocab: tuple[bytes, ...]
    model: str
    signed: bool


def build_sample(
    folder: Path,
    *,
    n_features: int = 48,
    n_contexts: int = 30,
    context: int = 32,
    segments: int = 3,
    merged: bool = True,
    seed: int = 0,
    vocab: Sequence[bytes] = VOCAB,
    model: str = "sample",
    signed: bool = False,
) -> Sample:
    """Write a run into `folder`: run.json, sae.h5, the index in `segments` pieces and, if `merged`, features.h5.

    `vocab` holds other bytes for the tokens of VOCAB, one for one. With `signed`, the second half of the features are
    the first with the other sign.
    """
    made = _built(_Contents(n_features, n_contexts, context, segments, merged, seed, tuple(vocab), model, signed))
    # Modes are kept and times are not: files of a new run are new.
    shutil.copytree(made.run.path, folder, copy_function=shutil.copy, dirs_exist_ok=True)
    return Sample(RunFolder(folder), made.token_N.copy(), made.counted_N.copy(), made.dense_NF.copy())


@cache
def _built(asked: _Contents) -> Sample:
    """Build a run of its own, once in a process: that takes ten times as long as to copy it."""
    seed, context, n_contexts, n_features = asked.seed, asked.context, asked.n_contexts, asked.n_features
    rng = np.random.default_rng(seed)
    token = rng.integers(1, len(VOCAB), (n_contexts, context)).astype(np.int32)
    token[:, 0] = BOS
    token[rng.random(token.shape) < 0.08] = word_ids(("sea",))[0]
    token[:, 0] = BOS
    token_N = token.ravel()
    counted_N = token_N != BOS
    dense_NF = _dense(rng, token_N, n_features) * counted_N[:, None]
    spec = SaeSpec(model=asked.model, layer=2, site="resid_post", arch="topk", d_in=8, d_sae=n_features, k=4)
    run = RunFolder(Path(tempfile.mkdtemp(dir=BUILT.name)) / "run")
    run.create(
        RunRecord(
            status="done",
            created=1.0,
            spec=spec,
            provenance=Provenance(model=asked.model, corpus="words", seed=seed),
            results=Results(tokens=len(token_N), explained_variance=0.91, l0=4.0, alive=n_features - 1),
        )
    )
    weights = _weights(rng, spec)
    if asked.signed:
        half = n_features // 2
        weights.tensors["W_dec"][half:] = -weights.tensors["W_dec"][:half]
    save_sae(run.sae, weights)
    plan = IndexPlan(
        data="words",
        corpus_digest="0",
        sae_digest=sae_digest(run.sae),
        packing="packed",
        context=context,
        seed=seed,
        n_contexts=n_contexts,
    )
    write_common(run.index, plan, Vocabulary.from_tokens(list(asked.vocab)), weights, _columns(rng, weights))
    _write_segments(run, -(-n_contexts // asked.segments), token_N, counted_N, dense_NF, context)
    if asked.merged:
        merge(run.index, run.features)
    return Sample(run, token_N, counted_N, dense_NF)


def _write_segments(
    run: RunFolder,
    per_segment: int,
    token_N: NDArray[np.int32],
    counted_N: NDArray[np.bool_],
    dense_NF: NDArray[np.float32],
    context: int,
) -> None:
    document_N = np.arange(len(token_N)) // (context + context // 2)
    step = per_segment * context
    for number in range(-(-len(token_N) // step)):
        at = slice(number * step, min((number + 1) * step, len(token_N)))
        rows, features = np.nonzero(dense_NF[at])
        n = len(token_N[at])
        indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
        builder = SegmentBuilder(dense_NF.shape[1])
        length = np.full(n // context, context, np.int32)
        builder.add(
            TokenRows(token_N[at], counted_N[at], document_N[at], length),
            SparseRows(indptr, features, dense_NF[at][rows, features]),
        )
        builder.seal(segment_path(run.index, number), at.start, number * per_segment)


def _weights(rng: np.random.Generator, spec: SaeSpec) -> SaeWeights:
    w_dec = rng.standard_normal((spec.d_sae, spec.d_in)).astype(np.float32)
    w_dec /= np.linalg.norm(w_dec, axis=1, keepdims=True)
    zeros = np.zeros(spec.d_sae, np.float32), np.zeros(spec.d_in, np.float32)
    return SaeWeights(spec, {"W_enc": w_dec.T.copy(), "b_enc": zeros[0], "W_dec": w_dec, "b_dec": zeros[1]})


def _columns(rng: np.random.Generator, weights: SaeWeights, listed: int = 10) -> StaticColumns:
    w_dec = weights.tensors["W_dec"]
    logits = rng.standard_normal((len(w_dec), len(VOCAB))).astype(np.float32)
    for feature, words in CONCEPTS.items():
        logits[feature, word_ids(words)] += 3
    order = np.argsort(-logits, axis=1, kind="stable").astype(np.int32)
    cosine = w_dec @ w_dec.T
    np.fill_diagonal(cosine, -2)
    near = np.argsort(-cosine, axis=1, kind="stable")[:, :listed].astype(np.int32)
    histograms = [np.histogram(row, bins=40)[0] for row in logits]
    neurons = np.random.default_rng(9).standard_normal((20, w_dec.shape[1])).astype(np.float32)
    aligned = w_dec @ (neurons / np.linalg.norm(neurons, axis=1, keepdims=True)).T
    neuron = np.argsort(-np.abs(aligned), axis=1, kind="stable")[:, :listed].astype(np.int32)
    return StaticColumns(
        decoder_norm_F=np.linalg.norm(w_dec, axis=1).astype(np.float32),
        logit_top_id_FT=order[:, :listed],
        logit_top_value_FT=np.take_along_axis(logits, order[:, :listed], 1),
        logit_bottom_id_FT=order[:, ::-1][:, :listed],
        logit_bottom_value_FT=np.take_along_axis(logits, order[:, ::-1][:, :listed], 1),
        neighbour_id_FT=near,
        neighbour_cosine_FT=np.take_along_axis(cosine, near, 1).astype(np.float32),
        logit_histogram_FB=np.array(histograms, np.uint16),
        neuron_id_FT=neuron,
        neuron_cosine_FT=np.take_along_axis(aligned, neuron, 1),
    )
