"""Candidates for the next token: the most probable ones with and without clamps, and those moved most.

Shapes: V vocabulary, N tokens above `LEAST`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from store.live.model_outputs import NextTokens

SHOWN, MOVED = 8, 6
"""Most tokens of each distribution, and of those that clamps move most."""
LEAST = 1e-4
"""Probability below which a token is no candidate."""
WHOLE = 4096
"""Tokens of a vocabulary that is not worth sifting first."""
_Floats = NDArray[np.float32]


def candidates(clamped_V: Tensor, own_V: Tensor) -> NextTokens:
    """Return the candidates of two distributions, given as log-probabilities.

    A token below `LEAST` in both is left out: so a large vocabulary is read once, without sorting it.
    """
    token_N, least = None, math.log(LEAST)
    if len(own_V) > WHOLE:
        at_N = torch.nonzero((clamped_V > least) | (own_V > least))[:, 0]
        clamped_V, own_V, token_N = clamped_V[at_N], own_V[at_N], at_N.tolist()
    clamped_N, own_N = clamped_V.cpu().numpy(), own_V.cpu().numpy()
    moved_N = np.abs(np.exp(clamped_N) - np.exp(own_N))
    places = [*_largest(own_N, SHOWN), *_largest(clamped_N, SHOWN), *_largest(moved_N, MOVED)]
    kept = [at for at in dict.fromkeys(places) if max(clamped_N[at], own_N[at]) > least]
    return NextTokens(
        tuple(kept if token_N is None else (token_N[at] for at in kept)),
        tuple(round(one, 4) for one in clamped_N[kept].tolist()),
        tuple(round(one, 4) for one in own_N[kept].tolist()),
    )


def _largest(values_N: _Floats, wanted: int) -> list[int]:
    if len(values_N) <= wanted:
        return list(range(len(values_N)))
    found: list[int] = np.argpartition(values_N, -wanted)[-wanted:].tolist()
    return found
