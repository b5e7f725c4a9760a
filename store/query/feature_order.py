"""Sort and search the feature list: index arrays in, index arrays out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from store.index.reader import FeatureColumns
from store.index.vocabulary import Vocabulary
from store.notes.note_file import FeatureNotes
from store.settings.feature_kinds import SHARES, ShareName

ColumnKey = Literal["id", "density", "max", "mean", "norm"]
COLUMN_KEYS: tuple[ColumnKey, ...] = get_args(ColumnKey)
SortKey = ColumnKey | ShareName
"""A column of every list, or a share of variance that decides a feature's kind, where kinds were measured."""
SORT_KEYS: tuple[SortKey, ...] = (*COLUMN_KEYS, *SHARES)

Ids = NDArray[np.int64]
COMMON, FEW = 0.02, 50
"""Features denser than the first or with fewer tokens than the second are seldom about one thing."""


def sort_features(columns: FeatureColumns, ids: Ids, key: ColumnKey, *, descending: bool) -> Ids:
    """Return `ids` ordered by a column; ties by id. Features that never fire are last, except in an order by id."""
    if key == "id":
        return np.sort(ids)[::-1] if descending else np.sort(ids)
    return sort_by(column(columns, key), columns, ids, descending=descending)


def worth_seeing(columns: FeatureColumns, noted: Collection[int] = ()) -> Ids:
    """Return all features, those first that are most worth a look.

    First what a person noted; then what fires on `FEW` tokens or more and on at most `COMMON` of all, the strongest
    first (maximum times the decoder row's length), and of those with the same token in front one each before all
    others; then rarer features, the strongest first; then denser ones, the densest last; then dead ones.
    """
    strength_F = columns.max_F.astype(np.float64) * columns.decoder_norm_F
    n_features = len(strength_F)
    by_strength = np.lexsort((np.arange(n_features), -strength_F))
    telling_F = (columns.count_F >= FEW) & (columns.density_F <= COMMON)
    strongest = by_strength[telling_F[by_strength]]
    leading = strongest[np.unique(columns.top_token_F[strongest], return_index=True)[1]]
    group_F = np.where(columns.count_F == 0, 5, np.where(telling_F, 2, np.where(columns.count_F < FEW, 3, 4)))
    group_F[leading] = 1
    group_F[np.fromiter((feature for feature in noted if feature < n_features), np.int64)] = 0
    key_F = np.where(group_F == 4, columns.density_F, -strength_F)
    return np.lexsort((np.arange(n_features), key_F, group_F)).astype(np.int64)


def column(columns: FeatureColumns, name: str) -> NDArray[Any]:
    """Return a column by its name in sorting and in filters: density, max, mean, count or norm."""
    values_F: NDArray[Any] = getattr(columns, "decoder_norm_F" if name == "norm" else f"{name}_F")
    return values_F


def differing(norm_F: NDArray[np.float32]) -> bool:
    """Return whether lengths of decoder rows differ by more than rounding: by a hundredth of the longest."""
    return len(norm_F) > 0 and float(norm_F.max() - norm_F.min()) > 0.01 * float(norm_F.max())


def sort_by(values_F: NDArray[Any], columns: FeatureColumns, ids: Ids, *, descending: bool) -> Ids:
    """Return `ids` ordered by any value per feature; ties by id. Features that never fire are last either way."""
    values = values_F[ids].astype(np.float64)
    order_N: NDArray[np.int64] = np.lexsort((ids, -values if descending else values, columns.count_F[ids] == 0))
    return ids[order_N]


def alive(columns: FeatureColumns, ids: Ids) -> Ids:
    """Return the features that fire at least once."""
    return ids[columns.count_F[ids] > 0]


def matching(
    columns: FeatureColumns, vocabulary: Vocabulary, notes: Mapping[int, FeatureNotes], ids: Ids, text: str
) -> Ids:
    """Return the features whose number starts with `text`, or whose label or top token contains it in any case."""
    needle = text.casefold()
    if not needle:
        return ids
    # One entry more than the vocabulary: for -1, the token of features that never fire, and for tokens beyond it.
    hit_V = np.append(vocabulary.containing(text), False)
    token = columns.top_token_F[ids]
    beyond = np.flatnonzero(token >= len(vocabulary))
    keep: NDArray[np.bool_] = hit_V[np.where((token >= 0) & (token < len(vocabulary)), token, -1)]
    keep[beyond] = [needle in f"<{i}>" for i in token[beyond].tolist()]
    labelled = [feature for feature, note in notes.items() if needle in note.label.casefold()]
    keep |= np.isin(ids, np.array(labelled, np.int64))
    if needle.isascii() and needle.isdigit():
        keep |= _begins(ids, needle)
    return ids[keep]


def _begins(ids: Ids, digits: str) -> NDArray[np.bool_]:
    """Return which numbers begin with some digits."""
    if digits[0] == "0" or len(digits) > 18:
        zero_N: NDArray[np.bool_] = (ids == 0) & (digits == "0")
        return zero_N
    first = int(digits)
    found = np.zeros(len(ids), bool)
    scale, highest = 1, int(ids.max(initial=0))
    while first * scale <= highest:
        found |= (ids >= first * scale) & (ids < (first + 1) * scale)
        scale *= 10
    return found
