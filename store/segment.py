"""Writing the feature index: `index/common.h5` once, then immutable segments, each holding both orders.

Every activation is kept twice: token-major (which features fire on this token) and feature-major, descending by
activation (where does this feature fire, the strongest first). docs/architecture.md draws the layout.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from store.columns import CorpusColumns
from store.errors import MonosemError
from store.hdf5 import create_sealed, open_sealed, put
from store.spec import known_fields
from store.vocab import Vocabulary
from store.weights import SaeWeights

MAX_ACT = float(np.finfo(np.float16).max)
TOKEN_BITS, FEATURE_BITS, ACT_BITS = 24, 24, 16
MAX_SEGMENT_TOKENS = 1 << TOKEN_BITS


@dataclass(frozen=True, kw_only=True)
class IndexPlan:
    """What an index covers; a killed index goes on only under the same plan."""

    data: str
    corpus_digest: str
    sae_digest: str
    packing: str
    context: int
    """Tokens a context at the most."""
    seed: int
    n_contexts: int
    """Contexts the finished index will cover."""
    contexts_per_segment: int
    model_digest: str = ""
    """SHA-256 over the model's safetensors files; empty where it has none."""

    @property
    def n_segments(self) -> int:
        """Segments of the finished index."""
        return -(-self.n_contexts // self.contexts_per_segment)


@dataclass(frozen=True)
class StaticColumns:
    """What is known of each feature without any text. F features, T listed tokens or neighbours."""

    decoder_norm_F: NDArray[np.float32]
    logit_top_id_FT: NDArray[np.int32]
    """Tokens the feature raises most, the strongest first. T is 0 where the site does not lead to the logits."""
    logit_top_value_FT: NDArray[np.float32]
    logit_bottom_id_FT: NDArray[np.int32]
    logit_bottom_value_FT: NDArray[np.float32]
    neighbour_id_FT: NDArray[np.int32]
    """Features with the nearest decoder directions, the nearest first."""
    neighbour_cosine_FT: NDArray[np.float32]
    logit_histogram_FB: NDArray[np.unsignedinteger[Any]] | None = None
    """How many tokens of the vocabulary have their effect in each of B equal bins from the lowest, logit_bottom[0], to
    the highest, logit_top[0]; the last bin holds its upper edge. A column that is None is not written."""
    neuron_id_FT: NDArray[np.int32] | None = None
    """The MLP's neurons whose output directions lie nearest by |cosine|, nearest first; see SaeSpec.neuron_layer."""
    neuron_cosine_FT: NDArray[np.float32] | None = None


class SparseRows(NamedTuple):
    """Activations of consecutive tokens in CSR form: row n holds entries indptr[n] … indptr[n+1]-1."""

    indptr: NDArray[np.int64]
    feature: NDArray[np.int64]
    act: NDArray[np.float32]


@dataclass(frozen=True)
class TokenRows:
    """Consecutive whole contexts, flattened. N tokens, C contexts."""

    token_N: NDArray[np.int32]
    counted_N: NDArray[np.bool_]
    """False for positions left out of every count (BOS, …); their rows are empty."""
    document_N: NDArray[np.int64]
    """Number of the document each token is from."""
    length_C: NDArray[np.int32]


def common_path(index: Path) -> Path:
    """`index/common.h5`: vocabulary, SAE, text-free columns and the plan."""
    return index / "common.h5"


def segment_path(index: Path, number: int) -> Path:
    """`index/seg-00003.h5`."""
    return index / f"seg-{number:05d}.h5"


def complete_segments(index: Path) -> int:
    """Segments written so far, counted from 0 without a gap."""
    number = 0
    while segment_path(index, number).is_file():
        number += 1
    return number


def write_common(index: Path, plan: IndexPlan, vocabulary: Vocabulary, sae: SaeWeights, columns: StaticColumns) -> None:
    """Write index/common.h5, before the first segment."""
    with create_sealed(common_path(index), "common") as file:
        file.attrs["plan"] = json.dumps(asdict(plan), sort_keys=True)
        vocabulary.write(file.create_group("vocab"))
        sae.write(file.create_group("sae"))
        group = file.create_group("feature")
        for name, values in asdict(columns).items():
            if values is not None:
                put(group, name.rsplit("_", 1)[0], values)


def read_plan(path: Path) -> IndexPlan:
    """The plan kept in index/common.h5."""
    with open_sealed(path, "common") as file:
        return IndexPlan(**known_fields(IndexPlan, json.loads(file.attrs["plan"])))


def feature_dtype(d_sae: int) -> type[np.unsignedinteger[Any]]:
    """The narrowest dtype that names every feature."""
    return np.uint16 if d_sae <= 1 << 16 else np.uint32


class SegmentBuilder:
    """Collects one segment in memory, then seals it."""

    def __init__(self, d_sae: int) -> None:
        if d_sae >= 1 << FEATURE_BITS:
            raise MonosemError(f"the index holds up to {1 << FEATURE_BITS} features, not {d_sae}")
        self._d_sae = d_sae
        self._rows: list[TokenRows] = []
        self._counts: list[NDArray[np.int64]] = []
        self._features: list[NDArray[np.unsignedinteger[Any]]] = []
        self._acts: list[NDArray[np.float16]] = []
        self.clipped = 0
        """Activations above what float16 holds, stored as its maximum; those of left-out positions are not stored."""

    @property
    def n_tokens(self) -> int:
        """Tokens collected so far."""
        return sum(len(rows.token_N) for rows in self._rows)

    def add(self, rows: TokenRows, active: SparseRows) -> None:
        """Append whole contexts and their activations.

        An activation counts as active when it is above zero as float16, so that what is counted is what is stored.
        """
        act = np.minimum(active.act, MAX_ACT).astype(np.float16)
        row_of = np.repeat(np.arange(len(rows.token_N)), np.diff(active.indptr))
        keep = (act > 0) & rows.counted_N[row_of]
        self.clipped += int((active.act[keep] > MAX_ACT).sum())
        order = np.lexsort((active.feature[keep], row_of[keep]))
        self._rows.append(rows)
        self._counts.append(np.bincount(row_of[keep], minlength=len(rows.token_N)))
        self._features.append(active.feature[keep][order].astype(feature_dtype(self._d_sae)))
        self._acts.append(act[keep][order])

    def seal(self, path: Path, first_token: int, first_context: int) -> None:
        """Sort both ways and write the segment, all or nothing."""
        n_tokens = self.n_tokens
        if n_tokens > MAX_SEGMENT_TOKENS:
            raise ValueError(f"a segment holds up to {MAX_SEGMENT_TOKENS} tokens, not {n_tokens}")
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(self._counts))])
        feature, act = np.concatenate(self._features), np.concatenate(self._acts)
        by_feature = _invert(indptr, feature, act)
        columns = CorpusColumns.empty(np.bincount(feature, minlength=self._d_sae))
        vocab = np.concatenate([rows.token_N for rows in self._rows]).astype(np.int32)
        columns.take(by_feature.feature, by_feature.act, vocab[by_feature.token], 0)
        with create_sealed(path, "segment") as file:
            file.attrs["first_token"] = first_token
            file.attrs["first_context"] = first_context
            file.attrs["clipped"] = self.clipped
            file.attrs["n_tokens"] = n_tokens
            file.attrs["n_counted"] = sum(int(rows.counted_N.sum()) for rows in self._rows)
            _write_corpus(file.create_group("corpus"), self._rows)
            forward = file.create_group("forward")
            put(forward, "indptr", indptr)
            put(forward, "feature", feature)
            put(forward, "act", act)
            inverted = file.create_group("inverted")
            put(inverted, "indptr", columns.indptr)
            put(inverted, "token", by_feature.token)
            put(inverted, "act", by_feature.act)
            columns.write(file.create_group("feature"))


def _write_corpus(group: h5py.Group, rows: list[TokenRows]) -> None:
    """Tokens, which of them count, contexts, and document runs; all offsets relative to this file."""
    document = np.concatenate([r.document_N for r in rows])
    length = np.concatenate([r.length_C for r in rows])
    start = np.cumsum(length, dtype=np.int64) - length
    runs = np.flatnonzero(np.diff(document, prepend=document[:1] - 1))
    put(group, "tokens", np.concatenate([r.token_N for r in rows]).astype(np.int32))
    put(group, "counted", np.concatenate([r.counted_N for r in rows]), packed=True)
    contexts = group.create_group("contexts")
    put(contexts, "start", start)
    put(contexts, "length", length.astype(np.int32))
    put(contexts, "document", document[start])
    documents = group.create_group("documents")
    put(documents, "start", runs)
    put(documents, "id", document[runs])


class _Inverted(NamedTuple):
    """Entries in feature-major order."""

    feature: NDArray[np.int64]
    token: NDArray[np.uint32]
    act: NDArray[np.float16]


def _invert(
    indptr: NDArray[np.int64], feature: NDArray[np.unsignedinteger[Any]], act: NDArray[np.float16]
) -> _Inverted:
    """Feature-major order, descending by activation, ties by token.

    One sort of packed 64-bit keys: the bits of a positive float16 rise with its value, so feature, inverted activation
    bits and token side by side sort as a single integer, several times faster than a three-key sort.
    """
    token = np.repeat(np.arange(len(indptr) - 1, dtype=np.uint64), np.diff(indptr))
    falling = np.uint64(0xFFFF) - act.view(np.uint16).astype(np.uint64)
    keys = (feature.astype(np.uint64) << np.uint64(ACT_BITS + TOKEN_BITS)) | (falling << np.uint64(TOKEN_BITS)) | token
    keys.sort()
    bits = np.uint64(0xFFFF) - ((keys >> np.uint64(TOKEN_BITS)) & np.uint64(0xFFFF))
    return _Inverted(
        feature=(keys >> np.uint64(ACT_BITS + TOKEN_BITS)).astype(np.int64),
        token=(keys & np.uint64(MAX_SEGMENT_TOKENS - 1)).astype(np.uint32),
        act=bits.astype(np.uint16).view(np.float16),
    )
