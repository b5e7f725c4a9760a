"""The nearest features by decoder cosine, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.sae.neighbours import neighbours, tiles


def rows(n_features: int, width: int) -> torch.Tensor:
    return torch.randn(n_features, width, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("tile", [4096, 40, 17, 3])
def test_neighbours_are_those_of_numpy(tile: int) -> None:
    W_FD = rows(40, 6)
    done: list[int] = []
    ids, cosines = neighbours(W_FD, 5, tile=tile, advance=done.append)
    unit = W_FD.numpy() / np.linalg.norm(W_FD.numpy(), axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    expected = np.argsort(-cosine, axis=1)[:, :5]
    assert (ids.dtype, cosines.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(ids, expected)
    np.testing.assert_allclose(cosines, np.take_along_axis(cosine, expected, 1), rtol=1e-5)
    assert sum(done) == tiles(40, tile)


@pytest.mark.parametrize("tile", [4096, 3])
def test_twins_and_rows_of_zeros(tile: int) -> None:
    W_FD = rows(8, 6)
    W_FD[3] = 2 * W_FD[1]
    W_FD[[0, 5]] = 0
    ids, cosines = neighbours(W_FD, 5, tile=tile)
    assert ids.shape == (8, 5)
    assert not np.isin(ids, [0, 5]).any()
    assert not (ids == np.arange(8)[:, None]).any()
    assert (cosines[[0, 5]] == 0).all()
    assert (ids[1, 0], ids[3, 0]) == (3, 1)
    assert cosines[1, 0] == pytest.approx(1)
    assert cosines.max() <= 1
    assert np.isfinite(cosines).all()


@pytest.mark.parametrize(("n_features", "listed"), [(1, 0), (2, 1), (4, 3)])
def test_fewer_features_than_neighbours_asked_for(n_features: int, listed: int) -> None:
    assert neighbours(rows(n_features, 6), 10)[0].shape == (n_features, listed)


def test_a_dictionary_of_zeros_has_no_neighbours() -> None:
    assert neighbours(torch.zeros(4, 6), 10)[0].shape == (4, 0)
