"""Columns gathered in one pass: the same to the bit wherever the entries are cut."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from store.index import columns
from store.index.columns import CorpusColumns

COUNT_F = np.array([0, 5, 1, 0, 40, 3, 0, 17, 1, 0])


def entries(seed: int = 0) -> tuple[NDArray[np.float16], NDArray[np.uint32], NDArray[np.int32]]:
    """Falling activations of each feature, their tokens, and a corpus of few words."""
    rng = np.random.default_rng(seed)
    acts = [-np.sort(-rng.choice([6e-8, 0.1, 1.0, 3.5, 65504.0], n)) for n in COUNT_F]
    token = rng.permutation(int(COUNT_F.sum())).astype(np.uint32)
    return np.concatenate(acts).astype(np.float16), token, rng.integers(0, 4, len(token)).astype(np.int32)


@pytest.mark.parametrize("pool", [1, 4, 1024])
@pytest.mark.parametrize(("block", "piece"), [(1, 1), (3, 2), (7, 1000), (1000, 5), (1000, 1000)])
def test_cut_anywhere(block: int, piece: int, pool: int) -> None:
    act, token, vocab = entries()
    found = CorpusColumns.empty(COUNT_F)
    found.piece, found.pool = piece, pool
    for at in range(0, len(act), block):
        found.take(at, act[at : at + block], token[at : at + block], vocab.__getitem__)
    end = np.cumsum(COUNT_F)
    for feature, (stop, n) in enumerate(zip(end, COUNT_F, strict=True)):
        own = act[stop - n : stop].astype(float).tolist()
        words = vocab[token[stop - n : stop]].tolist()
        assert found.sum_F[feature] == float(sum(map(Fraction, own)))
        assert found.max_F[feature] == max(own, default=0.0)
        for q, value in zip(columns.QUANTILES, found.quantiles_FQ[feature], strict=True):
            assert value == np.float32(own[round((1 - q) * (n - 1))] if n else 0.0)
        totals = {
            word: math.fsum(a for a, w in zip(own[:pool], words, strict=False) if w == word) for word in words[:pool]
        }
        best = min(totals, key=lambda word: (-totals[word], word), default=-1)
        assert found.top_token_F[feature] == best
        assert found.top_sum_F[feature] == totals.get(best, 0.0)


def test_only_what_can_matter_is_looked_up() -> None:
    asked: list[int] = []

    def look(token: NDArray[np.uint32]) -> NDArray[np.int32]:
        asked.extend(token.tolist())
        return vocab[token]

    act, token, vocab = entries()
    found = CorpusColumns.empty(COUNT_F)
    found.pool = 4
    found.take(0, act, token, look)
    end = np.cumsum(COUNT_F)
    wanted = [token[stop - n : stop][:4].tolist() for stop, n in zip(end, COUNT_F, strict=True)]
    assert asked == [one for some in wanted for one in some]


def test_sums_that_no_float_could_gather_exactly() -> None:
    """A million small activations beside large ones: far more bits than a float64 has while it adds."""
    count_F = np.array([1 << 20])
    act = np.full(1 << 20, 65504.0, np.float16)
    act[1 << 19 :] = 2.0**-24
    found = CorpusColumns.empty(count_F)
    for at in range(0, len(act), 100_003):
        piece = slice(at, at + 100_003)
        found.take(at, act[piece], np.zeros(len(act[piece]), np.uint32), lambda token: np.zeros(len(token), np.int32))
    assert found.sum_F[0] == float((1 << 19) * (Fraction(65504) + Fraction(1, 1 << 24)))
