"""Check the columns of an index that follow from the weights alone against the weights in the same file.

Shapes: F features, D width of the decoder, T listed neighbours, S sampled features.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from store.index.index_file import IndexFile

NUMBERS = 1 << 22
"""Numbers of the largest intermediate matrix: 16 MiB."""
SAMPLED = 64
"""Features whose nearest neighbours are searched among all others."""
COSINE_ERROR = 1e-3
"""Error of a cosine that was computed with a GPU's reduced precision (TF32 has 10 bits)."""


def weights_problem(file: IndexFile) -> str:
    """Return which column of an index file does not follow from its weights, or "".

    Decoder norms and the cosines of all listed neighbours are recomputed; for an even sample of 64 features, all others
    are searched for a nearer neighbour. Logit effects depend on the language model, too, so they are not checked.
    """
    if "sae/W_dec" not in file.names:
        return ""
    W_FD: NDArray[np.float32] = file.span("sae/W_dec").mapped()
    norm_F = np.concatenate([np.zeros(0), *(np.linalg.norm(W_FD[at].astype(np.float64), axis=1) for at in _rows(W_FD))])
    if not np.allclose(file.whole("feature/decoder_norm"), norm_F, rtol=1e-5, atol=1e-30):
        return "feature/decoder_norm does not follow from sae/W_dec"
    id_FT, cosine_FT = file.whole("feature/neighbour_id").astype(np.int64), file.whole("feature/neighbour_cosine")
    if not _cosines_follow(W_FD, norm_F, id_FT, cosine_FT):
        return "feature/neighbour_cosine does not follow from sae/W_dec"
    if (np.diff(cosine_FT, axis=1) > 0).any():
        return "feature/neighbour_cosine does not fall"
    return _neighbour_problem(W_FD, norm_F, id_FT, cosine_FT) if id_FT.shape[1] else ""


def _rows(W_FD: NDArray[np.float32], listed: int = 1) -> Iterator[slice]:
    """Return slices of rows to handle together, each row with `listed` others."""
    step = max(1, NUMBERS // max(1, W_FD.shape[1] * listed))
    return (slice(start, start + step) for start in range(0, len(W_FD), step))


def _unit(W_ND: NDArray[np.float32], norm_N: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scale rows to length 1; rows of zeros stay."""
    scale_N = np.divide(1.0, norm_N, out=np.zeros_like(norm_N), where=norm_N > 0)
    return W_ND * scale_N[:, None].astype(np.float32)


def _cosines_follow(
    W_FD: NDArray[np.float32],
    norm_F: NDArray[np.float64],
    id_FT: NDArray[np.int64],
    cosine_FT: NDArray[np.float32],
) -> bool:
    for at in _rows(W_FD, id_FT.shape[1] + 1):
        near = id_FT[at]
        other_ND = _unit(W_FD[near.ravel()], norm_F[near.ravel()])
        other_NTD = other_ND.reshape(*near.shape, W_FD.shape[1])
        found_NT = np.matmul(other_NTD, _unit(W_FD[at], norm_F[at])[:, :, None])[:, :, 0]
        if not (np.abs(found_NT - cosine_FT[at]) <= COSINE_ERROR).all():
            return False
    return True


def _neighbour_problem(
    W_FD: NDArray[np.float32],
    norm_F: NDArray[np.float64],
    id_FT: NDArray[np.int64],
    cosine_FT: NDArray[np.float32],
) -> str:
    """Find a feature listed twice or as its own neighbour, or one that is nearer than those listed."""
    sorted_FT = np.sort(id_FT, axis=1)
    directed_F = norm_F > 0
    own = (id_FT == np.arange(len(id_FT))[:, None]).any(axis=1)
    twice = (np.diff(sorted_FT, axis=1) == 0).any(axis=1)
    if (directed_F & (own | twice)).any():
        return "feature/neighbour_id lists a feature twice, or as its own neighbour"
    sample_S = np.unique(np.linspace(0, len(W_FD) - 1, SAMPLED).astype(np.int64))
    sample_S = sample_S[directed_F[sample_S]]
    unit_SD = _unit(W_FD[sample_S], norm_F[sample_S])
    nearest_S = np.full(len(sample_S), -np.inf, np.float32)
    for at in _rows(W_FD, len(sample_S) // max(1, W_FD.shape[1]) + 1):
        cosine_NS = _unit(W_FD[at], norm_F[at]) @ unit_SD.T
        cosine_NS[~directed_F[at]] = -np.inf
        known_NT = np.concatenate([id_FT[sample_S], sample_S[:, None]], axis=1) - at.start
        column, place = np.nonzero((known_NT >= 0) & (known_NT < len(cosine_NS)))
        cosine_NS[known_NT[column, place], column] = -np.inf
        nearest_S = np.maximum(nearest_S, cosine_NS.max(axis=0, initial=-np.inf))
    if (nearest_S > cosine_FT[sample_S, -1] + COSINE_ERROR).any():
        return "feature/neighbour_id leaves out features that are nearer"
    return ""
