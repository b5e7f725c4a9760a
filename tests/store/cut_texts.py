"""Indexes of given documents, cut into tokens at random, with random activations and the dense truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from store.run.folder import RunFolder
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights

BOS = b"<s>"


@dataclass(frozen=True)
class CutText:
    """An index, and what it holds. N tokens, F features."""

    features: Path
    token_N: list[bytes]
    document_N: list[int]
    """Document of each token, as numbered in the list given; BOS belongs to the document that follows."""
    dense_NF: NDArray[np.float32]


def index_texts(
    folder: Path,
    documents: Sequence[bytes],
    seed: int,
    *,
    n_features: int = 6,
    context: int = 16,
    longest: int = 4,
    opened: bool = True,
    spaced: bool = False,
    density: float = 0.4,
    words: Sequence[bytes] = (),
) -> CutText:
    """Write an index of documents in a random order.

    Args:
        folder: becomes a run folder with features.h5.
        documents: their bytes, none empty.
        seed: of cuts, order and activations.
        n_features: features of the dictionary.
        context: tokens of a context at most.
        longest: bytes of a token at most.
        opened: whether BOS begins documents and contexts.
        spaced: whether a space is put before every document, as LLaMA's tokenizer does.
        density: share of tokens that a feature fires on.
        words: the first features fire on these, one each, and on nothing else.
    """
    rng = np.random.default_rng(seed)
    stream: list[tuple[bytes, int]] = []
    for number in rng.permutation(len(documents)):
        rest = b" " * spaced + documents[number]
        stream += [(BOS, int(number))] * opened
        while rest:
            size = int(rng.integers(1, longest + 1))
            stream.append((rest[:size], int(number)))
            rest = rest[size:]
    contexts = _contexts(stream, context, opened=opened)
    tokens = [token for one in contexts for token, _ in one]
    owners = [number for one in contexts for _, number in one]
    vocab = sorted({*tokens, BOS})
    token_N = np.array([vocab.index(token) for token in tokens], np.int32)
    counted_N = np.array([token != BOS for token in tokens])
    if not opened:
        counted_N[np.cumsum([0] + [len(one) for one in contexts[:-1]])] = False
    dense = rng.exponential(1.0, (len(tokens), n_features)) * (rng.random((len(tokens), n_features)) < density)
    for feature, word in enumerate(words):
        dense[:, feature] = (1 + rng.random(len(tokens))) * _on_word(word, tokens, owners, documents, -int(spaced))
    dense_NF = (dense * counted_N[:, None]).astype(np.float16).astype(np.float32)
    _write(RunFolder(folder), vocab, contexts, token_N, counted_N, np.array(owners), dense_NF, rng)
    return CutText(folder / "features.h5", tokens, owners, dense_NF)


def _on_word(
    word: bytes, tokens: list[bytes], owners: list[int], documents: Sequence[bytes], first: int
) -> NDArray[np.bool_]:
    """Return which tokens overlap a word [N]; documents begin at `first` in the text of their tokens."""
    found, at, before = np.zeros(len(tokens), bool), first, -1
    for number, (token, owner) in enumerate(zip(tokens, owners, strict=True)):
        at, before = (at if owner == before else first), owner
        if token == BOS:
            continue
        end = at + len(token)
        found[number] = word in documents[owner][max(0, at - len(word) + 1) : end + len(word) - 1]
        at = end
    return found


def _contexts(stream: list[tuple[bytes, int]], size: int, *, opened: bool) -> list[list[tuple[bytes, int]]]:
    contexts, at = [], 0
    while at < len(stream):
        head = [(BOS, stream[at][1])] if opened and stream[at][0] != BOS else []
        take = size - len(head)
        contexts.append(head + stream[at : at + take])
        at += take
    return contexts


def _write(
    run: RunFolder,
    vocab: list[bytes],
    contexts: list[list[tuple[bytes, int]]],
    token_N: NDArray[np.int32],
    counted_N: NDArray[np.bool_],
    owner_N: NDArray[np.int64],
    dense_NF: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    n_features = dense_NF.shape[1]
    spec = SaeSpec(model="cut", layer=1, site="resid_post", arch="topk", d_in=4, d_sae=n_features, k=2)
    w_dec = rng.standard_normal((n_features, 4)).astype(np.float32)
    zeros = np.zeros(n_features, np.float32), np.zeros(4, np.float32)
    weights = SaeWeights(spec, {"W_enc": w_dec.T.copy(), "b_enc": zeros[0], "W_dec": w_dec, "b_dec": zeros[1]})
    plan = IndexPlan(
        data="texts",
        corpus_digest="0",
        sae_digest="0",
        packing="packed",
        context=16,
        seed=0,
        n_contexts=len(contexts),
        model_digest="m",
    )
    one_FT = np.zeros((n_features, 1), np.int32)
    columns = StaticColumns(
        decoder_norm_F=np.linalg.norm(w_dec, axis=1).astype(np.float32),
        logit_top_id_FT=one_FT,
        logit_top_value_FT=one_FT.astype(np.float32),
        logit_bottom_id_FT=one_FT,
        logit_bottom_value_FT=one_FT.astype(np.float32),
        neighbour_id_FT=one_FT,
        neighbour_cosine_FT=one_FT.astype(np.float32),
    )
    run.path.mkdir(parents=True, exist_ok=True)
    write_common(run.index, plan, Vocabulary.from_tokens(vocab), weights, columns)
    rows, features = np.nonzero(dense_NF)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(token_N)))])
    builder = SegmentBuilder(n_features)
    length = np.array([len(one) for one in contexts], np.int32)
    builder.add(TokenRows(token_N, counted_N, owner_N, length), SparseRows(indptr, features, dense_NF[rows, features]))
    builder.seal(segment_path(run.index, 0), 0, 0)
    merge(run.index, run.features)
