"""Some features' activations alone against the dense definition, written out one number at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.sae.base import SaeSettings
from engine.sae.topk import TopKSae
from tests.engine.architectures import D, F, array, arrays, each_architecture, encoded_by_hand, numbers, random_sae

WANTED = [7, 0, 19, 3]


@each_architecture
@pytest.mark.parametrize("scan_width", [1, 3, 8, 4096])
def test_some_features_alone(arch: str, scan_width: int) -> None:
    sae = random_sae(arch)
    if isinstance(sae, TopKSae):
        sae.scan_width = scan_width
    x_BD = numbers(3, 12, D)
    truth = encoded_by_hand(arch, arrays(sae), array(x_BD), sae.settings.k)[:, WANTED]
    assert 0 < (truth > 0).sum() < truth.size
    wanted = torch.tensor(WANTED)
    np.testing.assert_allclose(array(sae.acts_of(x_BD, wanted)), truth, atol=1e-9)
    one_by_one = torch.cat([sae.acts_of(x_D[None], wanted) for x_D in x_BD])
    np.testing.assert_allclose(array(one_by_one), truth, atol=1e-9)


def test_topk_in_float32_agrees_with_encode_on_the_border() -> None:
    """A feature that is exactly the k-th largest fires, though its two products may round differently."""
    sae = random_sae("topk", settings=SaeSettings(d_in=D, d_sae=F, k=4)).float()
    x_BD = numbers(5, 400, D).float()
    found = sae.encode(x_BD)
    for row in range(len(x_BD)):
        last = found.feature_BK[row, found.act_BK[row].argmin()]
        if found.act_BK[row].min() > 0:
            np.testing.assert_allclose(
                array(sae.acts_of(x_BD[row : row + 1], last[None])),
                array(found.act_BK[row].min())[None, None],
                rtol=1e-4,
            )
