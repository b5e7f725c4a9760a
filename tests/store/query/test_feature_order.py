"""Sorting and filtering the feature list."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.index.reader import FeatureColumns
from store.index.vocabulary import Vocabulary
from store.notes.note_file import FeatureNotes
from store.query.feature_order import COLUMN_KEYS, COMMON, FEW, ColumnKey, alive, matching, sort_features, worth_seeing

VOCAB = Vocabulary.from_tokens([b" sea", b" Straw", "É".encode(), b"\xff", b"12", " straße".encode()])
VALUES = st.sampled_from([0.0, 0.25, 0.5, 3.0])


def columns(values: list[tuple[float, float, float, float]], top: list[int] | None = None) -> FeatureColumns:
    """Density, maximum, mean and norm of each feature."""
    table = np.array(values, np.float64).reshape(-1, 4)
    return FeatureColumns(
        count_F=(table[:, 0] * 8).astype(np.int64),
        density_F=table[:, 0],
        max_F=table[:, 1].astype(np.float32),
        mean_F=table[:, 2].astype(np.float32),
        top_token_F=np.array(top or [-1] * len(table), np.int32),
        decoder_norm_F=table[:, 3].astype(np.float32),
    )


@given(
    values=st.lists(st.tuples(VALUES, VALUES, VALUES, VALUES), max_size=12),
    key=st.sampled_from(COLUMN_KEYS),
    descending=st.booleans(),
    data=st.data(),
)
def test_sorting_is_stable_by_id(
    values: list[tuple[float, float, float, float]], key: ColumnKey, descending: bool, data: st.DataObject
) -> None:
    ids = data.draw(st.permutations([i for i in range(len(values)) if data.draw(st.booleans())]))
    found = sort_features(columns(values), np.array(ids, np.int64), key, descending=descending)
    sign = -1 if descending else 1
    place = {"density": 0, "max": 1, "mean": 2, "norm": 3}
    dead = [key != "id" and value[0] == 0 for value in values]
    expected = sorted(ids, key=lambda i: (dead[i], sign * (i if key == "id" else values[i][place[key]]), i))
    assert found.tolist() == expected


@given(
    counts=st.lists(st.sampled_from([0, 1, 49, 50, 51, 199, 200, 201, 9000]), max_size=12),
    data=st.data(),
)
def test_what_is_worth_seeing_comes_first(counts: list[int], data: st.DataObject) -> None:
    def drawn(values: st.SearchStrategy[float]) -> list[float]:
        return [data.draw(values) for _ in counts]

    n, strength, norm = len(counts), drawn(VALUES), drawn(st.sampled_from([0.5, 1.0]))
    top = [int(value) for value in drawn(st.sampled_from([0.0, 1.0, 2.0]))]
    noted = {i for i in range(n) if data.draw(st.booleans())} | {n + 3}
    found = columns([(count / 10_000, s, 1, w) for count, s, w in zip(counts, strength, norm, strict=True)], top)
    found = replace(found, count_F=np.array(counts, np.int64))

    def key(i: int) -> tuple[float, ...]:
        loud = strength[i] * norm[i]
        if i in noted:
            return 0, -loud, i
        if counts[i] == 0:
            return 5, -loud, i
        if counts[i] < FEW:
            return 3, -loud, i
        if counts[i] / 10_000 > COMMON:
            return 4, counts[i], i
        rivals = [j for j in range(n) if FEW <= counts[j] <= COMMON * 10_000 and top[j] == top[i]]
        leads = min(rivals, key=lambda j: (-strength[j] * norm[j], j)) == i
        return 1 if leads else 2, -loud, i

    assert worth_seeing(found, noted).tolist() == sorted(range(n), key=key)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("key", ["density", "max", "mean", "norm"])
def test_dead_features_are_last_in_either_direction(key: ColumnKey, descending: bool) -> None:
    some = columns([(0, 0, 0, 2), (0.5, 2, 2, 1), (0, 0, 0, 9), (0.25, 1, 1, 3), (0, 0, 0, 0)])
    found = sort_features(some, np.arange(5), key, descending=descending).tolist()
    assert found[2:] == (
        sorted([0, 2, 4], key=lambda i: [2, 0, 9, 0, 0][i], reverse=descending) if key == "norm" else [0, 2, 4]
    )
    assert found[:2] == ([1, 3] if descending != (key == "norm") else [3, 1])


def test_dead_features_are_left_out() -> None:
    some = columns([(0.0, 0, 0, 0), (0.5, 1, 1, 1), (0.0, 0, 0, 0), (1.0, 1, 1, 1)])
    assert alive(some, np.array([3, 2, 1])).tolist() == [3, 1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6, 12]),
        ("sea", [0, 6]),
        ("STRA", [1, 5]),
        ("é", [2]),
        ("strasse", [5]),
        ("1", [1, 4, 12]),
        ("12", [4, 12]),
        ("²", []),
        ("<-1>", []),
        ("Boats", [6]),
        ("nowhere", []),
        (".*", []),
    ],
)
def test_filter(text: str, expected: list[int]) -> None:
    """By the start of the number, inside the label, inside the top token; case does not matter."""
    some = columns([(0.5, 1, 1, 1)] * 13, top=[0, 1, 2, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1])
    notes = {6: FeatureNotes(label="boats at SEA"), 99: FeatureNotes(label="sea, of another run")}
    ids = np.array([0, 1, 2, 3, 4, 5, 6, 12])
    assert matching(some, VOCAB, notes, ids, text).tolist() == expected
    assert matching(some, VOCAB, notes, ids[::-1], text).tolist() == expected[::-1]
    assert matching(some, VOCAB, notes, ids[:0], text).tolist() == []
