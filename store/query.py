"""Sorting and filtering the feature list: index arrays in, index arrays out."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from store.notes import FeatureNotes
from store.reader import FeatureColumns
from store.vocab import Vocabulary

SortKey = Literal["id", "density", "max", "mean", "norm"]
SORT_KEYS: tuple[SortKey, ...] = get_args(SortKey)

Ids = NDArray[np.int64]


def sort_features(columns: FeatureColumns, ids: Ids, key: SortKey, *, descending: bool) -> Ids:
    """`ids` ordered by a column; ties by id."""
    if key == "id":
        return np.sort(ids)[::-1] if descending else np.sort(ids)
    by_key: dict[str, NDArray[Any]] = {
        "density": columns.density_F,
        "max": columns.max_F,
        "mean": columns.mean_F,
        "norm": columns.decoder_norm_F,
    }
    values = by_key[key][ids].astype(np.float64)
    return ids[np.lexsort((ids, -values if descending else values))]


def alive(columns: FeatureColumns, ids: Ids) -> Ids:
    """Features that fire at least once."""
    return ids[columns.count_F[ids] > 0]


def matching(
    columns: FeatureColumns, vocabulary: Vocabulary, notes: dict[int, FeatureNotes], ids: Ids, text: str
) -> Ids:
    """Features whose number starts with `text`, or whose label or top token contains it (case does not matter)."""
    needle = text.casefold()
    if not needle:
        return ids
    tokens, inverse = np.unique(columns.top_token_F[ids], return_inverse=True)
    token_hit = np.array(
        [t >= 0 and needle in s.casefold() for t, s in zip(tokens, vocabulary.strings(tokens), strict=True)]
    )
    labelled = {feature for feature, note in notes.items() if needle in note.label.casefold()}
    keep = token_hit[inverse] if len(ids) else np.zeros(0, bool)
    keep = keep | np.isin(ids, list(labelled))
    if needle.isdigit():
        keep = keep | np.array([str(i).startswith(needle) for i in ids.tolist()], bool)
    return ids[keep]
