"""Active features of many tokens, found through maxima of groups, against a plain top-k of every token."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.indexing import encoder as encoding
from engine.indexing.encoder import encode_rows
from engine.sae.base import SaeSettings
from engine.sae.topk import TopKSae

K, D_IN, D_SAE = 4, 8, 128


def sae_of(bias: float = 0.0) -> TopKSae:
    sae = TopKSae(SaeSettings(d_in=D_IN, d_sae=D_SAE, k=K))
    sae.initialise(torch.zeros(D_IN), torch.Generator().manual_seed(1))
    sae.b_enc.data.fill_(bias)
    return sae


def by_hand(sae: TopKSae, x_ND: torch.Tensor) -> list[dict[int, float]]:
    """The active features of each token, by sorting all of them."""
    pre_NF = torch.addmm(sae.b_enc, x_ND - sae.b_dec, sae.W_enc).detach().numpy()
    order_NF = np.argsort(-pre_NF, axis=1, kind="stable")[:, :K]
    return [{int(f): float(pre[f]) for f in top if pre[f] > 0} for pre, top in zip(pre_NF, order_NF, strict=True)]


@pytest.mark.parametrize("bias", [0.0, -1.5, -100.0])
@pytest.mark.parametrize("rows", [3, 512])
def test_the_largest_of_each_token(bias: float, rows: int) -> None:
    sae, x_ND = sae_of(bias), torch.randn(40, D_IN, generator=torch.Generator().manual_seed(2))
    counted_N = np.arange(50) % 5 != 0
    assert encoding._groups(sae, x_ND.device)
    found, expected = encode_rows(sae, x_ND, counted_N, rows), iter(by_hand(sae, x_ND))
    for counted, first, last in zip(counted_N, found.indptr, found.indptr[1:], strict=False):
        mine = dict(zip(found.feature[first:last].tolist(), found.act[first:last].tolist(), strict=True))
        assert mine == pytest.approx(next(expected) if counted else {}, abs=1e-5)


def test_of_equal_ones_as_many_are_kept_as_by_the_autoencoder_itself() -> None:
    sae = sae_of()
    with torch.no_grad():
        sae.W_enc[:, 10:30] = sae.W_enc[:, 10:11]  # twenty features that always are equal
    x_ND = torch.randn(60, D_IN, generator=torch.Generator().manual_seed(3))
    found, own = encode_rows(sae, x_ND, np.ones(60, bool)), sae.encode(x_ND)
    for row, (first, last) in enumerate(zip(found.indptr, found.indptr[1:], strict=False)):
        active_K = own.act_BK[row] > 0
        assert sorted(found.feature[first:last].tolist()) == sorted(own.feature_BK[row][active_K].tolist())
        assert sorted(found.act[first:last].tolist()) == sorted(own.act_BK[row][active_K].tolist())


def test_no_tokens() -> None:
    found = encode_rows(sae_of(), torch.zeros(0, D_IN), np.zeros(3, bool))
    assert (found.indptr.tolist(), len(found.feature), len(found.act)) == ([0, 0, 0, 0], 0, 0)
