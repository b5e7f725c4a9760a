"""The range of a dictionary's activations, which decides the exponents that an index stores them with.

A feature's *reach* is its activation on an input of median norm along its encoder column: ‖W_enc[:, i]‖ · ‖x - b_dec‖ +
ReLU(b_enc[i]). Where it lies far from 1, the feature gets the exponent that moves it to about 8: a token with 5 000
times the median norm still fits below float16's maximum, and values down to a 100 000th of the reach keep all bits.

The norm is that of the index's first tokens, rounded to a power of two; no other activation has a part in it. So the
exponents are the same whatever the segments, and an index that is resumed takes them from its files.

Shapes: N tokens, D = d_in, F = d_sae.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.data.activations import probed
from engine.data.contexts import ContextStream
from engine.model.language_model import LanguageModel
from engine.model.sites import Site
from engine.sae.base import Sae
from store.index.exponents import MOST, Exponents

LOW, HIGH = -6, 8
"""Logarithms to base 2 of the least and greatest reach that need no exponent."""
GOAL = 3
"""Logarithm to base 2 of the reach that exponents aim at."""


@torch.no_grad()
def value_exponents(lm: LanguageModel, site: Site, stream: ContextStream, sae: Sae) -> Exponents | None:
    """Return the exponents of an index's activations; None where all are 0. The stream moves on."""
    x_ND = probed(lm, site, stream)
    return exponents_of(sae, sae.read_in(x_ND).norm(dim=1).median().item()) if len(x_ND) else None


def exponents_of(sae: Sae, norm: float) -> Exponents | None:
    """Return the exponents for inputs with this median norm; None where all are 0."""
    if not 0 < norm < float("inf"):
        return None
    reach_F = sae.reach(2.0 ** round(np.log2(norm))).cpu().double().numpy()
    log_F = np.log2(reach_F, out=np.zeros_like(reach_F), where=(reach_F > 0) & np.isfinite(reach_F))
    goal_F = np.clip(np.rint(log_F) - GOAL, -MOST, MOST)
    exponent_F = np.where((log_F < LOW) | (log_F > HIGH), goal_F, 0).astype(np.int8)
    return exponent_F if exponent_F.any() else None
