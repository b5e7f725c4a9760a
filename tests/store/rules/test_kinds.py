"""Shares of variance against dense numpy, feature by feature; kinds that were planted; the file of kinds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.rules import feature_blocks, kinds
from store.rules.halves import Halves, document_halves
from store.rules.kind_file import index_digest, kinds_path, load_kinds, save_kinds
from store.rules.kinds import feature_kinds
from store.settings.feature_kinds import KINDS
from tests.store.query.test_find import dense_of, opened
from tests.store.raw import Raw, RawToken, build_store, random_raw


def predicted(
    act_N: NDArray[np.float64], keys: list[list[tuple[int, ...]]], chosen_N: NDArray[np.bool_]
) -> list[float]:
    """The prediction for every token: the mean of the first of its keys that the choosing half has."""
    means: dict[tuple[int, ...], float] = {}
    for key in {key for chain in keys for key in chain}:
        rows = [i for i in np.flatnonzero(chosen_N) if key in keys[i]]
        if rows:
            means[key] = float(np.mean(act_N[rows]))
    return [next(means[key] for key in chain if key in means) for chain in keys]


def shares(raw: Raw, act_N: NDArray[np.float64], halves: Halves) -> list[float]:
    """Shares of token, pair and position by the definition."""
    keys: list[list[list[tuple[int, ...]]]] = [[], [], []]
    for context in raw.contexts:
        for position, token in enumerate(context):
            before = context[position - 1].id if position else -1
            keys[0].append([(0, token.id), (9,)])
            keys[1].append([(1, before, token.id), (0, token.id), (9,)])
            keys[2].append([(2, position), (9,)])
    found = []
    for chain in keys:
        error_N = act_N - np.array(predicted(act_N, chain, halves.choosing_N))
        test = halves.measuring_N
        total = float(((act_N[test] - act_N[test].mean()) ** 2).sum())
        found.append(1 - float((error_N[test] ** 2).sum()) / total if total > 0 else np.nan)
    return found


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    merged=st.booleans(),
    block=st.sampled_from([1, 40, 1 << 20]),
    cells=st.sampled_from([0, 1 << 24]),
)
def test_shares_are_those_of_the_definition(seed: int, merged: bool, block: int, cells: int) -> None:
    raw = random_raw(seed, n_contexts=20)
    acts = {0.5, 1.0, 2.0, 3.75}
    raw = Raw(
        raw.d_sae,
        [[t._replace(acts={f: a for f, a in t.acts.items() if f == 0 or a in acts}) for t in c] for c in raw.contexts],
    )
    with opened(raw, 5, merged=merged) as store, pytest.MonkeyPatch.context() as patch:
        patch.setattr(kinds, "FEWEST", 0)
        patch.setattr(kinds, "MOST_CELLS", cells)
        patch.setattr(kinds, "feature_blocks", lambda store: feature_blocks.feature_blocks(store, block))
        halves = document_halves(store, seed)
        found = feature_kinds(store, halves)
        acts_NF = dense_of(raw)
        for feature in range(raw.d_sae):
            got = [share_F[feature] for share_F in (found.token_F, found.pair_F, found.position_F)]
            np.testing.assert_allclose(got, shares(raw, acts_NF[:, feature], halves), rtol=1e-4, atol=1e-5)


def planted() -> Raw:
    """Features that fire on a token, on a pair, at a position, by document, on everything, and once."""
    rng = np.random.default_rng(0)
    contexts = []
    for number in range(100):
        context: list[RawToken] = []
        for position in range(40):
            drawn = 2 if position % 10 == 6 and rng.random() < 0.5 else 5 if position % 10 == 7 else rng.integers(20)
            token, before = int(drawn), context[-1].id if context else -1
            acts = {0: 3.0 * (token == 4), 1: 2.0 * (before == 2 and token == 5), 2: 4.0 * (position == 1)}
            acts |= {3: float(number % 20 == 7), 4: 1.0 + rng.random(), 5: float(number == 3 and position == 9)}
            context.append(RawToken(token, number, position > 0, {f: a for f, a in acts.items() if a}))
        contexts.append(context)
    return Raw(6, contexts)


def test_planted_kinds_are_told_apart_and_kept(tmp_path: Path) -> None:
    run = build_store(tmp_path / "run", planted(), 40, merged=True)
    with FeatureStore.open(run.path) as store:
        halves = document_halves(store)
        found = feature_kinds(store, halves)
    assert [found.of(feature) for feature in range(6)] == ["token", "n-gram", "position", "context", "dense", None]
    assert found.token_F[0] == pytest.approx(1.0)
    assert found.pair_F[1] == pytest.approx(1.0)
    assert found.position_F[2] == pytest.approx(1.0)
    path, digest = kinds_path(run.path), index_digest(run.features)
    assert load_kinds(path, 6, digest) is None
    save_kinds(path, found, digest)
    again = load_kinds(path, 6, digest)
    assert again is not None
    for name in ("token_F", "pair_F", "position_F", "kind_F"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    assert load_kinds(path, 6, "0" * 64) is None
    with pytest.raises(MonosemError, match="kind"):
        load_kinds(path, 7, digest)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(MonosemError, match="truncated"):
        load_kinds(path, 6, digest)
    assert len(KINDS) == 5


def test_halves_are_of_documents_and_even(tmp_path: Path) -> None:
    raw = Raw(1, [[RawToken(1, document, True, {0: 1.0})] * 3 for document in range(400)])
    run = build_store(tmp_path / "run", raw, 100, merged=True)
    with FeatureStore.open(run.path) as store:
        one, other = document_halves(store, 0), document_halves(store, 1)
    for halves in (one, other):
        assert not (halves.choosing_N & halves.measuring_N).any()
        assert (halves.choosing_N | halves.measuring_N).all()
        assert (halves.measuring_N.reshape(-1, 3).sum(1) % 3 == 0).all()
        assert 150 < len(halves.measured_D) < 250
        assert (halves.row_of[halves.document_N[halves.measuring_N]] >= 0).all()
    assert (one.measuring_N != other.measuring_N).any()


def test_a_single_document_has_no_halves(tmp_path: Path) -> None:
    run = build_store(tmp_path / "run", Raw(1, [[RawToken(1, 5, True, {0: 1.0})] * 9]), 1, merged=True)
    with FeatureStore.open(run.path) as store, pytest.raises(MonosemError, match="two halves"):
        document_halves(store)
