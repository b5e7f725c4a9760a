"""Which features are shown: well explained ones of each kind, few of them token features, no two alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from store.index.reader import FeatureColumns
from store.notes.explanations import Explanation, Explanations, ExplanationScores, Figure
from store.query.showcase import SHOWN, candidates, telling
from store.rules.kinds import Kinds
from store.settings.feature_kinds import KINDS

F = 200


@pytest.fixture
def columns() -> FeatureColumns:
    """All features are legible, and fire most on tokens of their own."""
    count_F = np.arange(F) + 100
    max_F = np.ones(F, np.float32)
    return FeatureColumns(count_F, count_F / 1e6, max_F, max_F, np.arange(F, dtype=np.int32), max_F)


@pytest.fixture
def kinds() -> Kinds:
    """Kinds in turn, the fifth dense."""
    kind_F = (np.arange(F) % len(KINDS)).astype(np.int8)
    share_F = np.linspace(0, 1, F, dtype=np.float32)
    return Kinds(share_F, share_F, share_F, kind_F)


def said(folder: Path, f1s: dict[int, float], text: str = "") -> Explanations:
    found = Explanations(folder / "explanations.jsonl")
    found.append(
        Explanation(
            feature=feature,
            author="rules",
            text=text or f"words of {feature}",
            scores=ExplanationScores(f1=Figure(f1, f1, f1)),
        )
        for feature, f1 in f1s.items()
    )
    found.follow()
    return found


def test_candidates_are_of_each_kind(columns: FeatureColumns, kinds: Kinds) -> None:
    found = candidates(columns, kinds, 10)
    counts = {kind: int((kinds.kind_F[found] == KINDS.index(kind)).sum()) for kind in KINDS}
    assert counts == {"n-gram": 16, "context": 21, "position": 3, "token": 6, "dense": 0}
    assert len(set(found.tolist())) == 46
    tokens = found[kinds.kind_F[found] == 0]
    assert tokens.tolist() == [195, 0, 190, 5, 185, 10]  # the plainest and the strongest, by turns


def test_the_well_explained_of_each_kind_are_shown(columns: FeatureColumns, kinds: Kinds, tmp_path: Path) -> None:
    f1_F = {feature: 0.71 + feature / 1000 for feature in range(F)}
    found = telling(columns, 10, kinds, said(tmp_path, f1_F))
    counts = {kind: int((kinds.kind_F[found] == KINDS.index(kind)).sum()) for kind in SHOWN}
    assert counts == {"n-gram": 4, "context": 3, "position": 1, "token": 2}
    assert (np.diff(columns.density_F[found]) < 0).all()
    assert min(found.tolist()) > 180


def test_what_one_kind_lacks_others_fill(columns: FeatureColumns, kinds: Kinds, tmp_path: Path) -> None:
    f1_F = {feature: 0.9 if feature % 5 == 0 else 0.3 for feature in range(F)}
    found = telling(columns, 10, kinds, said(tmp_path, f1_F))
    assert (kinds.kind_F[found] == KINDS.index("token")).all()
    assert len(found) == 10


def test_the_same_words_are_shown_once_and_the_rest_spread(
    columns: FeatureColumns, kinds: Kinds, tmp_path: Path
) -> None:
    found = telling(columns, 10, kinds, said(tmp_path, dict.fromkeys(range(100), 0.9), text="one and the same"))
    assert len(set(found.tolist())) == 10
    assert telling(columns, 10, kinds, Explanations(tmp_path / "none.jsonl")).tolist() == telling(columns, 10).tolist()
