"""Histograms against counting one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.index.reader import FeatureStore
from store.query.histogram import Histogram, activation_histogram, density_histogram
from tests.store.raw import ACTS, Raw, RawToken, build_store, random_raw


def assert_counts(found: Histogram, values: Sequence[float]) -> None:
    """Bins hold their lower edge; the last one its upper edge too."""
    edges = found.edges.tolist()
    expected = [sum(low <= v < high for v in values) for low, high in pairwise(edges)]
    expected[-1] += sum(v == edges[-1] for v in values)
    assert found.counts.tolist() == expected


@pytest.mark.parametrize("merged", [True, False])
def test_every_activation_is_in_its_bin(merged: bool, tmp_path: Path) -> None:
    raw = random_raw(31, n_contexts=40)
    with FeatureStore.open(build_store(tmp_path, raw, 11, merged=merged).path) as store:
        for feature in range(raw.d_sae - 1):
            acts = [e.act for e in raw.falling(feature)]
            for bins in (1, 7, 32, 40):
                found = activation_histogram(store, feature, bins)
                assert found.counts.sum() == len(acts)
                assert found.edges == pytest.approx([acts[0] * i / bins for i in range(bins + 1)], rel=1e-12)
                assert_counts(found, acts)
        nothing = activation_histogram(store, raw.d_sae - 1, 5)
        assert nothing.counts.tolist() == [0] * 5
        assert (nothing.edges[0], nothing.edges[-1]) == (0.0, 1.0)


@settings(max_examples=25)
@given(
    acts=st.lists(st.sampled_from(ACTS) | st.floats(2.0**-24, 65_504, width=32), min_size=1), bins=st.integers(1, 50)
)
def test_any_activations(acts: list[float], bins: int) -> None:
    raw = Raw(1, [[RawToken(0, 0, True, {0: act}) for act in acts]])
    with (
        TemporaryDirectory() as folder,
        FeatureStore.open(build_store(Path(folder), raw, 1, merged=False).path) as store,
    ):
        assert_counts(activation_histogram(store, 0, bins), [e.act for e in raw.falling(0)])


@given(st.lists(st.just(0.0) | st.floats(1e-9, 1.0), max_size=40))
def test_densities(densities: list[float]) -> None:
    found = density_histogram(np.array(densities))
    alive = [d for d in densities if d > 0]
    assert found.counts.sum() == len(alive)
    assert found.edges[-1] == 0.0
    assert found.edges[0] == float(min([-1, *(math.floor(math.log10(d)) for d in alive)]))
    assert np.diff(found.edges) == pytest.approx(0.25)
    for low, high, count in zip(found.edges[:-1], found.edges[1:], found.counts, strict=True):
        assert count <= sum(10**low * (1 - 1e-12) <= d <= 10**high * (1 + 1e-12) for d in alive)


def test_densities_in_their_decades() -> None:
    found = density_histogram(np.array([1.0, 0.5, 0.02, 0.0, 3e-3, 3.1e-3]), bins_per_decade=1)
    assert found.edges.tolist() == [-3.0, -2.0, -1.0, 0.0]
    assert found.counts.tolist() == [2, 1, 2]
