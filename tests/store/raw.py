"""Rows of activations as plain Python, the index built from them, and the truth about it counted by hand."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from store.index.exponents import Exponents
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

N_VOCAB = 12
LISTED = 3


class RawToken(NamedTuple):
    """One token of a context."""

    id: int
    document: int
    counted: bool
    acts: dict[int, float]
    """Activation by feature, as an autoencoder gives it: any float32."""
    outlier: bool = False


class Entry(NamedTuple):
    """One activation that the index must hold."""

    place: int
    feature: int
    act: float


@dataclass(frozen=True)
class Raw:
    """Contexts of any lengths."""

    d_sae: int
    contexts: list[list[RawToken]]
    exponents: tuple[int, ...] | None = None
    """Of each feature's activations; None where the index has none."""

    @property
    def tokens(self) -> list[RawToken]:
        """All contexts joined."""
        return [token for context in self.contexts for token in context]

    def entries(self) -> list[Entry]:
        """The stored activations: float16 of the float32 that an autoencoder gives, above zero, on counted tokens."""
        units = [2.0**exponent for exponent in self.exponents or [0] * self.d_sae]
        return [
            Entry(place, feature, stored * units[feature])
            for place, token in enumerate(self.tokens)
            for feature, act in sorted(token.acts.items())
            if token.counted and (stored := float(np.float16(np.float32(min(act / units[feature], 65504.0))))) > 0
        ]

    @property
    def exponent_F(self) -> Exponents | None:
        """The exponents as files have them."""
        return None if self.exponents is None else np.array(self.exponents, np.int8)

    def scaled(self, exponents: tuple[int, ...]) -> Raw:
        """The same with activations times powers of two, and exponents that undo it."""
        contexts = [
            [token._replace(acts={f: act * 2.0 ** exponents[f] for f, act in token.acts.items()}) for token in context]
            for context in self.contexts
        ]
        return Raw(self.d_sae, contexts, exponents)

    def falling(self, feature: int) -> list[Entry]:
        """A feature's entries, the strongest first, ties by place."""
        return sorted((e for e in self.entries() if e.feature == feature), key=lambda e: (-e.act, e.place))

    def top_token(self, feature: int, pool: int) -> int:
        """The token with the largest total among the strongest `pool` entries; ties by id; -1 without entries."""
        totals: Counter[int] = Counter()
        for entry in self.falling(feature)[:pool]:
            totals[self.tokens[entry.place].id] += entry.act  # type: ignore[assignment]
        return min(totals, key=lambda token: (-totals[token], token), default=-1)

    def context_starts(self) -> list[int]:
        """Place of the first token of each context."""
        return [sum(len(c) for c in self.contexts[:i]) for i in range(len(self.contexts))]


ACTS = (0.5, 1.0, 1.0009765625, 1.0004, 2.0, 3.75, 7.0, 6e-8, 2.9e-8, 1e-9, 0.0, 65504.0, 65519.0, 1e6)
"""Values that tie, that float16 rounds, underflows and overflows."""


def random_raw(seed: int, *, d_sae: int = 9, n_contexts: int = 14, longest: int = 9, rate: float = 0.35) -> Raw:
    """Feature 0 is dense, d_sae-2 fires once, d_sae-1 never; the others at random, with many ties."""
    rng = np.random.default_rng(seed)
    contexts, place = [], 0
    for _ in range(n_contexts):
        context = []
        for position in range(int(rng.integers(1, longest + 1))):
            acts = {f: float(rng.choice(ACTS)) for f in range(1, d_sae - 2) if rng.random() < rate}
            acts[0] = float(rng.exponential(2.0))
            context.append(RawToken(int(rng.integers(N_VOCAB)), place // 7, position > 0 or rng.random() < 0.3, acts))
            place += 1
        contexts.append(context)
    once = RawToken(3, contexts[-1][-1].document, True, {d_sae - 2: 1.5})
    contexts[-1].append(once)
    return Raw(d_sae, contexts)


def build_index(
    folder: Path, raw: Raw, per_segment: int, *, per_add: int = 2, columns: StaticColumns | None = None
) -> Path:
    """Write common.h5 and all segments; returns the index folder."""
    index, columns = RunFolder(folder).index, columns or static_columns(raw.d_sae)
    columns = replace(columns, exponent_F=raw.exponent_F)
    write_common(index, plan_of(raw), vocabulary(), weights(raw.d_sae), columns)
    first_token = 0
    for number, first in enumerate(range(0, len(raw.contexts), per_segment)):
        contexts = raw.contexts[first : first + per_segment]
        builder = SegmentBuilder(raw.d_sae, raw.exponent_F)
        for start in range(0, len(contexts), per_add):
            builder.add(*as_rows(contexts[start : start + per_add]))
        builder.seal(segment_path(index, number), first_token, first)
        first_token += builder.n_tokens
    return index


def build_store(
    folder: Path, raw: Raw, per_segment: int, *, merged: bool, columns: StaticColumns | None = None
) -> RunFolder:
    """A run folder that can be browsed."""
    run = RunFolder(folder)
    build_index(folder, raw, per_segment, columns=columns)
    if merged:
        merge(run.index, run.features)
    return run


def as_rows(contexts: list[list[RawToken]]) -> tuple[TokenRows, SparseRows]:
    """Arguments of `SegmentBuilder.add`; features inside a token in no order."""
    tokens = [token for context in contexts for token in context]
    pairs = [pair for token in tokens for pair in reversed(token.acts.items())]
    rows = TokenRows(
        token_N=np.array([token.id for token in tokens], np.int32),
        counted_N=np.array([token.counted for token in tokens], bool),
        document_N=np.array([token.document for token in tokens], np.int64),
        length_C=np.array([len(context) for context in contexts], np.int32),
        outlier_N=np.array([token.outlier for token in tokens], bool),
    )
    active = SparseRows(
        indptr=np.array([0, *np.cumsum([len(token.acts) for token in tokens])], np.int64),
        feature=np.array([feature for feature, _ in pairs], np.int64),
        act=np.array([act for _, act in pairs], np.float32),
    )
    return rows, active


def plan_of(raw: Raw) -> IndexPlan:
    """The plan of an index over all of `raw`."""
    return IndexPlan(
        data="raw",
        corpus_digest="c",
        sae_digest="s",
        packing="packed",
        context=max(len(context) for context in raw.contexts),
        seed=0,
        n_contexts=len(raw.contexts),
    )


def vocabulary() -> Vocabulary:
    """A vocabulary of twelve tokens."""
    return Vocabulary.from_tokens([f" w{i}".encode() for i in range(N_VOCAB)])


def weights(d_sae: int) -> SaeWeights:
    """Any autoencoder of that size."""
    rng = np.random.default_rng(d_sae)
    spec = SaeSpec(model="raw", layer=0, site="resid_post", arch="relu", d_in=4, d_sae=d_sae)
    shapes = {"W_enc": (4, d_sae), "b_enc": (d_sae,), "W_dec": (d_sae, 4), "b_dec": (4,)}
    return SaeWeights(spec, {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()})


def static_columns(d_sae: int) -> StaticColumns:
    """Numbers that name their feature and place in it."""
    ids = (np.arange(d_sae)[:, None] * LISTED + np.arange(LISTED)).astype(np.int32)
    values = ids.astype(np.float32)
    return StaticColumns(
        decoder_norm_F=np.arange(d_sae, dtype=np.float32) + 0.5,
        logit_top_id_FT=ids,
        logit_top_value_FT=values + 0.1,
        logit_bottom_id_FT=ids + 100,
        logit_bottom_value_FT=values - 0.1,
        neighbour_id_FT=ids % d_sae,
        neighbour_cosine_FT=values + 0.2,
        logit_histogram_FB=(ids % 7).astype(np.uint16),
        neuron_id_FT=ids + 300,
        neuron_cosine_FT=values - 0.3,
    )


def true_columns(d_sae: int) -> StaticColumns:
    """Norms and nearest features as they follow from `weights`, each computed by itself."""
    rows = weights(d_sae).tensors["W_dec"].astype(np.float64).tolist()
    norms = [math.sqrt(sum(x * x for x in row)) for row in rows]
    near = []
    for i in range(d_sae):
        cosines = [
            (sum(x * y for x, y in zip(rows[i], rows[j], strict=True)) / norms[i] / norms[j], j) for j in range(d_sae)
        ]
        near.append(sorted((c for c in cosines if c[1] != i), reverse=True)[:LISTED])
    return replace(
        static_columns(d_sae),
        decoder_norm_F=np.array(norms, np.float32),
        neighbour_id_FT=np.array([[j for _, j in listed] for listed in near], np.int32),
        neighbour_cosine_FT=np.array([[c for c, _ in listed] for listed in near], np.float32),
    )


def datasets(path: Path) -> dict[str, NDArray[np.generic]]:
    """Every dataset of a file by name."""
    found: dict[str, NDArray[np.generic]] = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def flip(path: Path, at: int) -> None:
    """Change every bit of one byte."""
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def reseal(path: Path, version: int | None = None) -> None:
    """Make the head true again after the content was changed, as a writer with a fault would have it."""
    content = path.read_bytes()
    words = content[:512].split(b" ")
    kind, version = words[1].decode(), int(words[3]) if version is None else version
    digest = hashlib.sha256(content[512:]).hexdigest()
    head = f"monosem {kind} schema {version} bytes {len(content)} sha256 {digest}\n".encode()
    path.write_bytes(head.ljust(512, b"\0") + content[512:])
