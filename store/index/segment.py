"""Write the feature index: `index/common.h5` once, then immutable segments of consecutive contexts.

Every activation is stored twice: token-major (which features fire on a token) and feature-major, descending by
activation (where a feature fires). The number of contexts per segment does not affect features.h5. The
package lists the datasets. Shapes: N tokens, C contexts, F features, T listed tokens or neighbours, B bins.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from store.files.atomic import remove
from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.files.sealed_hdf5 import create_sealed, open_sealed, put
from store.files.typed_json import decode, parse
from store.index.columns import CorpusColumns
from store.index.exponents import Exponents, schema_version, units
from store.index.feature_ids import FEATURE_BITS, feature_dtype, write_ids
from store.index.index_file import IndexFile
from store.index.vocabulary import Vocabulary
from store.run.counted_noun import CountedNoun, noun_of

if TYPE_CHECKING:
    from store.index.text_spans import TokenSpans
    from store.run.weights import SaeWeights

MAX_ACT = float(np.finfo(np.float16).max)
TOKEN_BITS, ACT_BITS = 24, 16
ROWS = "rows"
"""The packing of an index over the rows of an array."""
BLOCK = 1 << 20
"""Entries unpacked and written at once."""


@dataclass(frozen=True, kw_only=True)
class IndexPlan:
    """Text and dictionary of an index; an unfinished index is resumed only under the same plan."""

    data: str
    corpus_digest: str
    sae_digest: str
    packing: str
    context: int
    """Tokens per context at most."""
    seed: int
    n_contexts: int
    """Contexts of the finished index."""
    model_digest: str = ""
    """SHA-256 over the model's safetensors files; empty where it has none."""

    @property
    def of_array(self) -> bool:
        """Whether tokens are rows of an array (engine.indexing.array_index), not of a text."""
        return self.packing == ROWS

    @property
    def noun(self) -> CountedNoun:
        """The noun for what an index counts."""
        return noun_of(array=self.of_array)

    def to_json(self) -> str:
        """Return the JSON that files have."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> IndexPlan:
        """Read the text of `to_json`.

        Raises:
            ValueError: it is not that.
        """
        return decode(cls, parse(text))


@dataclass(frozen=True)
class StaticColumns:
    """Columns of each feature that need no text."""

    decoder_norm_F: NDArray[np.float32]
    logit_top_id_FT: NDArray[np.int32]
    """Tokens the feature raises most, the strongest first. T is 0 where there are no logit effects."""
    logit_top_value_FT: NDArray[np.float32]
    logit_bottom_id_FT: NDArray[np.int32]
    logit_bottom_value_FT: NDArray[np.float32]
    neighbour_id_FT: NDArray[np.int32]
    """Features with the nearest decoder directions, the nearest first."""
    neighbour_cosine_FT: NDArray[np.float32]
    logit_histogram_FB: NDArray[np.unsignedinteger[Any]] | None = None
    """Number of vocabulary tokens with their effect in each of B equal bins, from the lowest, logit_bottom[0], to the
    highest, logit_top[0], which the last bin includes. A column that is None is not written."""
    neuron_id_FT: NDArray[np.int32] | None = None
    """MLP neurons whose output directions are nearest by |cosine|, nearest first; see SaeSpec.neuron_layer."""
    neuron_cosine_FT: NDArray[np.float32] | None = None
    exponent_F: Exponents | None = None
    """Exponents of the activations in all segments (see `store.index.exponents`); None where all are 0."""


class SparseRows(NamedTuple):
    """Activations of consecutive tokens in CSR form: row n holds entries indptr[n] … indptr[n+1]-1."""

    indptr: NDArray[np.int64]
    feature: NDArray[np.int64]
    act: NDArray[np.float32]


@dataclass(frozen=True)
class TokenRows:
    """Consecutive whole contexts, flattened."""

    token_N: NDArray[np.int32]
    counted_N: NDArray[np.bool_]
    """False for positions that do not count (BOS, …); their rows are empty."""
    document_N: NDArray[np.int64]
    """Number of the document each token is from."""
    length_C: NDArray[np.int32]
    role_N: NDArray[np.uint8] | None = None
    """The role of each token's turn (store.settings.roles); None for text without turns."""
    outlier_N: NDArray[np.bool_] | None = None
    """Which tokens are outliers; None for none."""
    spans: TokenSpans | None = None
    """The bytes of its document's original text that each token covers; None where it is not known."""


def common_path(index: Path) -> Path:
    """Return the path of `index/common.h5`: vocabulary, SAE, columns that need no text, and the plan."""
    return index / "common.h5"


def segment_path(index: Path, number: int) -> Path:
    """Return the path of `index/seg-00003.h5`."""
    return index / f"seg-{number:05d}.h5"


def complete_segments(index: Path) -> int:
    """Return how many segments follow each other without a gap, counted from segment 0."""
    return next(number for number in count() if not segment_path(index, number).is_file())


class SegmentCoverage(NamedTuple):
    """The part of the corpus that segments cover, from its beginning."""

    segments: int
    contexts: int
    tokens: int


def covered(index: Path) -> SegmentCoverage:
    """Return the coverage of the segments written so far."""
    number = complete_segments(index)
    if not number:
        return SegmentCoverage(0, 0, 0)
    path = segment_path(index, number - 1)
    with IndexFile.open(path, "segment") as file, reading(path):
        tokens, contexts = file.number("first_token"), file.number("first_context")
        return SegmentCoverage(number, contexts + file.lengths["C"], tokens + file.lengths["N"])


def discard(index: Path) -> None:
    """Remove an index folder, if there is one.

    It is renamed first, so that a process killed meanwhile leaves no half of an index under its name.
    """
    aside = index.with_name(f".{index.name}.old")
    remove(aside)
    if index.is_dir():
        with suppress(OSError):  # not every file system renames folders
            index.rename(aside)
        remove(aside)
        remove(index)


def write_common(index: Path, plan: IndexPlan, vocabulary: Vocabulary, sae: SaeWeights, columns: StaticColumns) -> None:
    """Write index/common.h5, before the first segment."""
    with create_sealed(common_path(index), "common", schema_version(columns.exponent_F)) as file:
        file.attrs["plan"] = plan.to_json()
        vocabulary.write(file.create_group("vocab"))
        sae.write(file.create_group("sae"))
        group = file.create_group("feature")
        for name, values in asdict(columns).items():
            if values is not None:
                put(group, name.rsplit("_", 1)[0], values)


def read_plan(path: Path) -> IndexPlan:
    """Read the plan in index/common.h5."""
    with open_sealed(path, "common") as file, reading(path):
        return IndexPlan.from_json(file.attrs["plan"])


class SegmentBuilder:
    """Collects one segment in memory, then writes it.

    Each batch is sorted when it is added, so that sealing only has to merge sorted runs.
    """

    most_tokens = 1 << TOKEN_BITS
    """Tokens of a segment at most."""

    def __init__(self, d_sae: int, exponent_F: Exponents | None = None) -> None:
        if d_sae >= 1 << FEATURE_BITS:
            raise MonosemError(f"the index holds up to {1 << FEATURE_BITS} features, not {d_sae}")
        self._d_sae, self._exponent_F = d_sae, exponent_F
        self._per_act_F = None if exponent_F is None else units(-exponent_F)
        self._rows: list[TokenRows] = []
        self._counts: list[NDArray[np.int32]] = []
        self._features: list[NDArray[np.unsignedinteger[Any]]] = []
        self._acts: list[NDArray[np.float16]] = []
        self._keys: list[NDArray[np.uint64]] = []
        """Entries packed so that they sort into the inverted order; one sorted run per `add`."""
        self._count_F = np.zeros(d_sae, np.int64)
        self.n_tokens = 0
        """Tokens collected so far."""
        self.clipped = 0
        """Activations above what a float16 and its exponent hold, stored as the most that they hold."""
        self.lost = 0
        """Activations below what they hold, not stored. Positions that do not count are never stored."""

    def add(self, rows: TokenRows, active: SparseRows) -> None:
        """Append whole contexts and their activations.

        An activation counts as active if it is above zero as stored, so that counts are those of stored entries.
        """
        n_tokens = len(rows.token_N)
        if self.n_tokens + n_tokens > self.most_tokens:
            raise ValueError(f"a segment holds up to {self.most_tokens} tokens, not {self.n_tokens + n_tokens}")
        exact = active.act if self._per_act_F is None else active.act * self._per_act_F[active.feature]
        act = np.minimum(exact, np.float32(MAX_ACT)).astype(np.float16)
        per_token = np.diff(active.indptr)
        keep = act > 0
        below = (exact > 0) & ~keep
        if per_token[~rows.counted_N].any():
            keep &= (counted := np.repeat(rows.counted_N, per_token))
            below &= counted
        feature, above = active.feature, exact > MAX_ACT
        if keep.all():
            token = np.repeat(np.arange(n_tokens, dtype=np.uint32), per_token)
        else:
            token = np.repeat(np.arange(n_tokens, dtype=np.uint32), per_token)[keep]
            feature, act, above = feature[keep], act[keep], above[keep]
        self.clipped += int(np.count_nonzero(above))
        self.lost += int(np.count_nonzero(below))
        feature, act = _by_token(token, feature, act)
        self._features.append(feature.astype(feature_dtype(self._d_sae)))
        self._acts.append(act)
        self._keys.append(_inverted_keys(feature, act, token + np.uint32(self.n_tokens)))
        self._count_F += np.bincount(feature, minlength=self._d_sae)
        self._rows.append(rows)
        self._counts.append(np.bincount(token, minlength=n_tokens).astype(np.int32))
        self.n_tokens += n_tokens

    def seal(self, path: Path, first_token: int, first_context: int) -> None:
        """Merge the sorted runs and write the segment, all or nothing. The builder cannot be used afterwards."""
        vocab = np.concatenate([rows.token_N for rows in self._rows]).astype(np.int32, copy=False)
        columns, n_entries = CorpusColumns.empty(self._count_F, self._exponent_F), int(self._count_F.sum())
        located = any(rows.spans is not None and rows.spans.texts for rows in self._rows)
        with create_sealed(path, "segment", schema_version(self._exponent_F, located=located)) as file:
            file.attrs["first_token"] = first_token
            file.attrs["first_context"] = first_context
            file.attrs["clipped"] = self.clipped
            file.attrs["n_tokens"] = self.n_tokens
            file.attrs["n_counted"] = sum(int(np.count_nonzero(rows.counted_N)) for rows in self._rows)
            _write_corpus(file.create_group("corpus"), self._rows)
            forward = file.create_group("forward")
            counts = np.concatenate(self._counts)
            put(forward, "indptr", np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)]))
            write_ids(forward, self._features, self._d_sae)
            self._features.clear()
            _write_pieces(forward.create_dataset("act", (n_entries,), np.float16), self._acts)
            inverted = file.create_group("inverted")
            put(inverted, "indptr", columns.indptr)
            keys = np.empty(n_entries, np.uint64)
            _write_pieces(keys, self._keys)
            # numpy's stable sort merges sorted runs, in a third of the time of its default sort.
            keys.sort(kind="stable")
            _write_inverted(inverted, keys, columns, vocab)
            columns.write(group := file.create_group("feature"))
            if self._exponent_F is not None:
                put(group, "exponent", self._exponent_F)


def _write_pieces(target: h5py.Dataset | NDArray[Any], pieces: list[NDArray[Any]]) -> None:
    """Copy pieces end to end into `target`, and free each."""
    at = 0
    pieces.reverse()
    while pieces:
        piece = pieces.pop()
        target[at : at + len(piece)] = piece
        at += len(piece)


def _by_token(
    token: NDArray[np.uint32], feature: NDArray[np.int64], act: NDArray[np.float16]
) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Sort the features within each token; entries come token by token.

    Feature and activation are packed into one integer. Where every token has the same number of entries they are sorted
    row by row, else with the token in front.
    """
    bits = act.view(np.uint16)
    per_token = len(token) // max(1, int(np.count_nonzero(np.diff(token))) + 1)
    if len(token) and len(token) % per_token == 0 and _is_even(token.reshape(-1, per_token)):
        keys = (feature.astype(np.uint64) << np.uint64(ACT_BITS)) | bits
        keys = np.sort(keys.reshape(-1, per_token), axis=1).ravel()
    else:
        keys = token.astype(np.uint64) << np.uint64(FEATURE_BITS + ACT_BITS)
        keys |= feature.astype(np.uint64) << np.uint64(ACT_BITS)
        keys |= bits
        keys.sort()
        keys &= np.uint64((1 << (FEATURE_BITS + ACT_BITS)) - 1)
    sorted_act: NDArray[np.float16] = (keys & np.uint64(0xFFFF)).astype(np.uint16).view(np.float16)
    return (keys >> np.uint64(ACT_BITS)).astype(np.int64), sorted_act


def _is_even(token_NK: NDArray[np.uint32]) -> bool:
    """Return whether each row is of one token, and of another than the row before."""
    return bool((token_NK[:, 0] == token_NK[:, -1]).all() and (np.diff(token_NK[:, 0].astype(np.int64)) > 0).all())


def _inverted_keys(
    feature: NDArray[np.int64], act: NDArray[np.float16], token: NDArray[np.uint32]
) -> NDArray[np.uint64]:
    """Return entries in feature-major order, descending by activation, ties by token, each as one integer.

    The bits of a positive float16 rise with its value, so feature, inverted activation bits and token, packed into one
    integer, sort several times faster than by three keys.
    """
    keys = feature.astype(np.uint64) << np.uint64(ACT_BITS)
    keys |= ~act.view(np.uint16)
    keys <<= np.uint64(TOKEN_BITS)
    keys |= token
    keys.sort()
    return keys


def _write_inverted(
    group: h5py.Group, keys: NDArray[np.uint64], columns: CorpusColumns, vocab: NDArray[np.int32]
) -> None:
    """Unpack sorted keys into inverted/token and inverted/act, block by block, and fill the columns from them."""
    token_out = group.create_dataset("token", keys.shape, np.uint32)
    act_out = group.create_dataset("act", keys.shape, np.float16)
    for start in range(0, len(keys), BLOCK):
        block = keys[start : start + BLOCK]
        token = (block & np.uint64((1 << TOKEN_BITS) - 1)).astype(np.uint32)
        act = (~(block >> np.uint64(TOKEN_BITS)).astype(np.uint16)).view(np.float16)
        token_out[start : start + BLOCK] = token
        act_out[start : start + BLOCK] = act
        columns.take(start, act, token, vocab.__getitem__)


def _write_corpus(group: h5py.Group, rows: list[TokenRows]) -> None:
    """Write tokens, which count, roles and texts where there are any, contexts, and runs of documents.

    All offsets are relative to this file.
    """
    document = np.concatenate([r.document_N for r in rows])
    length = np.concatenate([r.length_C for r in rows])
    start = np.cumsum(length, dtype=np.int64) - length
    runs = np.flatnonzero(np.diff(document, prepend=document[:1] - 1))
    put(group, "tokens", np.concatenate([r.token_N for r in rows]).astype(np.int32))
    put(group, "counted", np.concatenate([r.counted_N for r in rows]), packed=True)
    role = np.concatenate([np.zeros(len(r.token_N), np.uint8) if r.role_N is None else r.role_N for r in rows])
    if role.any():
        put(group, "role", role, packed=True)
    marks = [np.zeros(len(r.token_N), bool) if r.outlier_N is None else r.outlier_N for r in rows]
    if len(outliers := np.flatnonzero(np.concatenate(marks))):
        put(group, "outliers", outliers)
    contexts = group.create_group("contexts")
    put(contexts, "start", start)
    put(contexts, "length", length.astype(np.int32))
    put(contexts, "document", document[start])
    documents = group.create_group("documents")
    put(documents, "start", runs)
    put(documents, "id", document[runs])
    if not any(r.spans for r in rows):
        return
    from store.index.text_spans import TokenSpans, write_spans

    spans = TokenSpans.joined([r.spans or TokenSpans.nothing(len(r.token_N)) for r in rows])
    if spans.texts:
        write_spans(group, spans, document, start)
