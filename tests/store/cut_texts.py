"""Indexes of given documents, cut into tokens at random, with random activations and the dense truth beside them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

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
from store.index.text_spans import DocumentText, TokenSpans
from store.index.vocabulary import Vocabulary
from store.run.folder import RunFolder
from store.run.spec import SaeSpec
from store.run.weights import SaeWeights

BOS = b"<s>"
Tokenizer = Literal["plain", "located", "changing"]


class Piece(NamedTuple):
    """A token, its document, and the bytes of the document that it covers."""

    token: bytes
    document: int
    start: int
    end: int


@dataclass(frozen=True)
class CutText:
    """An index, and what it holds. N tokens, F features."""

    features: Path
    token_N: list[bytes]
    document_N: list[int]
    """Document of each token, as numbered in the list given; BOS belongs to the document that follows."""
    dense_NF: NDArray[np.float32]
    piece_N: list[Piece]


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
    tokenizer: Tokenizer = "plain",
    known: Sequence[bytes] = (),
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
        tokenizer: `plain` cuts the bytes anywhere, and the index does not know where; with `located` it does;
            `changing` drops spaces, changes the case of letters, and has words that it does not know.
        known: further tokens of the vocabulary.
    """
    rng = np.random.default_rng(seed)
    stream: list[Piece] = []
    for number in rng.permutation(len(documents)):
        stream += [Piece(BOS, int(number), 0, 0)] * opened
        cut = _changed_pieces if tokenizer == "changing" else _pieces
        pieces = cut(documents[number], int(number), rng, longest, spaced=spaced)
        whole = tokenizer != "plain"
        stream += [_of_whole_characters(piece, documents[number]) if whole else piece for piece in pieces]
    contexts = _contexts(stream, context, opened=opened)
    tokens = [piece.token for one in contexts for piece in one]
    owners = [piece.document for one in contexts for piece in one]
    vocab = sorted({*tokens, BOS, *known})
    token_N = np.array([vocab.index(token) for token in tokens], np.int32)
    counted_N = np.array([token != BOS for token in tokens])
    if not opened:
        counted_N[np.cumsum([0] + [len(one) for one in contexts[:-1]])] = False
    dense = rng.exponential(1.0, (len(tokens), n_features)) * (rng.random((len(tokens), n_features)) < density)
    for feature, word in enumerate(words):
        dense[:, feature] = (1 + rng.random(len(tokens))) * _on_word(word, tokens, owners, documents, -int(spaced))
    dense_NF = (dense * counted_N[:, None]).astype(np.float16).astype(np.float32)
    spans = None
    if tokenizer != "plain":
        edges = np.array([(piece.start, piece.end) for one in contexts for piece in one], np.int32)
        spans = TokenSpans(edges[:, 0], edges[:, 1], dict(enumerate(map(DocumentText.of, documents))))
    _write(RunFolder(folder), vocab, contexts, token_N, counted_N, np.array(owners), dense_NF, rng, spans)
    return CutText(folder / "features.h5", tokens, owners, dense_NF, [piece for one in contexts for piece in one])


def _pieces(text: bytes, number: int, rng: np.random.Generator, longest: int, *, spaced: bool) -> list[Piece]:
    """Cut a text anywhere; with `spaced` after a space before it, which covers nothing."""
    found, at, text = [], -int(spaced), b" " * spaced + text
    while text:
        size = int(rng.integers(1, longest + 1))
        found.append(Piece(text[:size], number, max(at, 0), max(at + len(text[:size]), 0)))
        text, at = text[size:], at + size
    return found


def _of_whole_characters(piece: Piece, text: bytes) -> Piece:
    """Widen what a piece covers to whole characters, as a tokenizer tells it."""
    start, end = piece.start, piece.end
    while start < end and start and text[start] & 0xC0 == 0x80:
        start -= 1
    while start < end < len(text) and text[end] & 0xC0 == 0x80:
        end += 1
    return piece._replace(start=start, end=end)


def _changed_pieces(text: bytes, number: int, rng: np.random.Generator, longest: int, *, spaced: bool) -> list[Piece]:
    """Cut the words of a text, and swap the case of their letters; every tenth word is unknown."""
    found = []
    for word in re.finditer(rb"[^ ]+", text):
        if rng.random() < 0.1:
            found.append(Piece(b" [UNK]", number, *word.span()))
            continue
        for piece in _pieces(word[0], number, rng, longest, spaced=False):
            start, end = piece.start + word.start(), piece.end + word.start()
            found.append(Piece(b" " * (piece.start == 0) + piece.token.swapcase(), number, start, end))
    return found


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


def _contexts(stream: list[Piece], size: int, *, opened: bool) -> list[list[Piece]]:
    contexts, at = [], 0
    while at < len(stream):
        first = stream[at]
        head = [Piece(BOS, first.document, first.start, first.start)] if opened and first.token != BOS else []
        take = size - len(head)
        contexts.append(head + stream[at : at + take])
        at += take
    return contexts


def _write(
    run: RunFolder,
    vocab: list[bytes],
    contexts: list[list[Piece]],
    token_N: NDArray[np.int32],
    counted_N: NDArray[np.bool_],
    owner_N: NDArray[np.int64],
    dense_NF: NDArray[np.float32],
    rng: np.random.Generator,
    spans: TokenSpans | None,
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
        neighbour_id_FT=one_FT[:, :0],
        neighbour_cosine_FT=one_FT[:, :0].astype(np.float32),
    )
    run.path.mkdir(parents=True, exist_ok=True)
    write_common(run.index, plan, Vocabulary.from_tokens(vocab), weights, columns)
    rows, features = np.nonzero(dense_NF)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(token_N)))])
    builder = SegmentBuilder(n_features)
    length = np.array([len(one) for one in contexts], np.int32)
    told = TokenRows(token_N, counted_N, owner_N, length, spans=spans)
    builder.add(told, SparseRows(indptr, features, dense_NF[rows, features]))
    builder.seal(segment_path(run.index, 0), 0, 0)
    merge(run.index, run.features)
