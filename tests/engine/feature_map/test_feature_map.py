"""Maps of planted directions: clusters are found and lie apart, figures agree with their definitions."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.feature_map.communities import communities
from engine.feature_map.context_profiles import context_profiles
from engine.feature_map.fuzzy_graph import fuzzy_graph, memberships
from engine.feature_map.layout import curve_of, lay_out, principal_components, start_of
from engine.feature_map.trustworthiness import trustworthiness
from engine.runtime.progress import Silent
from engine.sae.neighbours import neighbours
from store.index.reader import FeatureStore
from tests.store.raw import Raw, RawToken, build_store

CLUSTERS, EACH, WIDTH = 6, 50, 32
CLUSTER_N = np.repeat(np.arange(CLUSTERS), EACH)


@pytest.fixture(scope="module")
def planted() -> NDArray[np.float32]:
    """Directions around one of six centres each."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(CLUSTERS, WIDTH))[CLUSTER_N] + 0.6 * rng.normal(size=(len(CLUSTER_N), WIDTH))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def graph(planted: NDArray[np.float32]) -> csr_matrix:
    return fuzzy_graph(*neighbours(torch.from_numpy(planted), 15))


def test_planted_clusters_lie_apart_and_close_together(planted: NDArray[np.float32], graph: csr_matrix) -> None:
    place_N2 = lay_out(graph, start_of(planted, 0), curve_of(0.05), 200, 0, Silent())
    middles = np.stack([place_N2[one == CLUSTER_N].mean(axis=0) for one in range(CLUSTERS)])
    spread = max(float(place_N2[one == CLUSTER_N].std(axis=0).max()) for one in range(CLUSTERS))
    apart = np.linalg.norm(middles[:, None] - middles, axis=2)[~np.eye(CLUSTERS, dtype=bool)]
    assert apart.min() > 5 * spread
    assert trustworthiness(planted, place_N2)[0] > trustworthiness(planted, principal_components(planted))[0] + 0.02


def test_features_that_fire_in_the_same_contexts_are_near_by_contexts(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    groups, each, contexts = 3, 4, 60
    fires_FC = rng.random((groups * each + 2, contexts)) < 0.02
    for group in range(groups):
        fires_FC[group * each : (group + 1) * each, group * 20 : group * 20 + 15] = True
    fires_FC[-2:] = np.arange(contexts) < np.array([[2], [contexts]])  # one too rare, one that always fires
    fired = [dict.fromkeys(np.flatnonzero(fires_F).tolist(), 1.0) for fires_F in fires_FC.T]
    raw = Raw(len(fires_FC), [[RawToken(1, 0, False, {}), RawToken(2, 0, True, acts)] for acts in fired])
    with FeatureStore.open(build_store(tmp_path / "run", raw, contexts, merged=True).path) as store:
        feature_N, rows_NB = context_profiles(store)
    np.testing.assert_array_equal(feature_N, np.arange(groups * each))
    np.testing.assert_allclose(rows_NB @ rows_NB.T, np.corrcoef(fires_FC[:-2]), atol=1e-5)
    near_NK, _ = neighbours(torch.from_numpy(rows_NB), each - 1)
    assert (near_NK // each == np.arange(groups * each)[:, None] // each).all()


def test_a_layout_is_the_same_to_the_bit_and_another_seed_gives_another(
    planted: NDArray[np.float32], graph: csr_matrix
) -> None:
    once, again, other = (
        lay_out(graph, start_of(planted, seed), curve_of(0.1), 20, seed, Silent()) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


def test_communities_are_the_planted_clusters(graph: csr_matrix) -> None:
    coarse_N = communities(graph)[0]
    np.testing.assert_array_equal(coarse_N, CLUSTER_N)


def test_levels_of_communities_lie_within_each_other() -> None:
    turn_N = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    circle = torch.from_numpy(np.stack([np.cos(turn_N), np.sin(turn_N)], axis=1).astype(np.float32))
    graph = fuzzy_graph(*neighbours(circle, 4))
    found = communities(graph)
    assert len(found) >= 2
    for coarse_N, fine_N in pairwise(found):
        pairs = {(int(fine), int(coarse)) for fine, coarse in zip(fine_N, coarse_N, strict=True)}
        assert len(pairs) == fine_N.max() + 1 > coarse_N.max() + 1
    np.testing.assert_array_equal(found, communities(graph))


def test_a_graph_without_edges_has_one_level_of_single_nodes() -> None:
    np.testing.assert_array_equal(communities(csr_matrix((4, 4), dtype=np.float32)), [[0, 1, 2, 3]])


def test_memberships_are_one_for_the_nearest_and_add_up_to_the_logarithm() -> None:
    distance_NK = np.sort(np.random.default_rng(0).random((50, 15)), axis=1)
    member_NK = memberships(distance_NK)
    np.testing.assert_allclose(member_NK[:, 0], 1)
    np.testing.assert_allclose(member_NK.sum(axis=1), np.log2(16), rtol=1e-6)
    assert (np.diff(member_NK, axis=1) <= 0).all()


def test_equal_directions_are_certain_neighbours() -> None:
    member_NK = memberships(np.zeros((3, 4)))
    np.testing.assert_array_equal(member_NK, 1)


def test_the_curve_is_that_of_umap_learn() -> None:
    """`find_ab_params(1.0, 0.1)` of umap-learn 0.5 gives 1.577, 0.895; with 0.005, 1.914, 0.797."""
    for min_dist, a, b in ((0.1, 1.5769434, 0.8950608), (0.005, 1.9138, 0.7964)):
        curve = curve_of(min_dist)
        assert (curve.a, curve.b) == pytest.approx((a, b), rel=3e-3)


def test_principal_components_have_a_fixed_sign_and_are_those_of_numpy(planted: NDArray[np.float32]) -> None:
    found = principal_components(planted)
    centred = planted - planted.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    for axis in (0, 1):
        sign = np.sign(axes[axis][np.abs(axes[axis]).argmax()])
        np.testing.assert_allclose(found[:, axis], centred @ axes[axis] * sign, atol=1e-4)
    np.testing.assert_allclose(principal_components(-planted), -found, atol=1e-4)
    assert principal_components(planted[:, :1]).shape == (len(planted), 2)


def test_trustworthiness_follows_its_definition() -> None:
    rng = np.random.default_rng(2)
    rows, place = rng.normal(size=(40, 5)).astype(np.float32), rng.normal(size=(40, 2)).astype(np.float32)
    k, n, penalty = 7, 40, 0
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        rank = {j: r for r, j in enumerate(sorted(others, key=lambda j: -float(unit[i] @ unit[j])), 1)}
        nearest = sorted(others, key=lambda j: float(np.linalg.norm(place[i] - place[j])))[:k]
        penalty += sum(max(0, rank[j] - k) for j in nearest)
    assert trustworthiness(rows, place, k) == (pytest.approx(1 - 2 * penalty / (n * k * (2 * n - 3 * k - 1))), n)
    assert trustworthiness(rows[:2], place[:2]) == (1.0, 2)
