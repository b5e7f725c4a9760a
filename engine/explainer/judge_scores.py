"""Figures of a judge: AUROC over weighted texts, with intervals from documents drawn again.

Texts of one document are not independent, so documents are drawn, with all of their texts. A judge who only says yes
or no is scored by the same formula: AUROC of two values is balanced accuracy. Shapes: J texts, R rounds, D documents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ROUNDS = 1000
"""Times that documents are drawn again."""
FEWEST = 3
"""Texts of each side, and documents, below which there is no figure."""


@dataclass(frozen=True)
class JudgedText:
    """A text, and the judge's probability that it is a positive one."""

    is_positive: bool
    yes: float
    document: int
    group: int = 0
    """Texts of a side are weighted so that each of its groups counts the same."""


@dataclass(frozen=True)
class JudgeScore:
    """An AUROC and its 95 % interval."""

    value: float
    low: float
    high: float
    positive: int
    negative: int
    """Texts of each side."""


def judge_score(texts: list[JudgedText], seed: int = 0, rounds: int = ROUNDS) -> JudgeScore | None:
    """Return the AUROC of a judge, ties counting half; None where there are too few texts.

    The interval is that of percentiles; rounds in which one side is missing are left out.
    """
    positive_J = np.array([one.is_positive for one in texts], bool)
    n_positive, n_negative = int(positive_J.sum()), int((~positive_J).sum())
    _, document_J = np.unique(np.array([one.document for one in texts], np.int64), return_inverse=True)
    n_documents = int(document_J.max(initial=-1)) + 1
    if min(n_positive, n_negative, n_documents) < FEWEST:
        return None
    yes_J = np.array([one.yes for one in texts])
    weight_J = _weights(np.array([one.group for one in texts]), positive_J)
    over_JJ = np.greater.outer(yes_J[positive_J], yes_J[~positive_J]) + 0.5 * np.equal.outer(
        yes_J[positive_J], yes_J[~positive_J]
    )
    value = float(_areas(weight_J[None], over_JJ, positive_J)[0])
    rng = np.random.default_rng((seed, n_documents))
    times_RD = rng.multinomial(n_documents, np.full(n_documents, 1 / n_documents), size=rounds)
    area_R = _areas(times_RD[:, document_J] * weight_J, over_JJ, positive_J)
    low, high = np.nanquantile(area_R, [0.025, 0.975]).tolist()
    return JudgeScore(value, min(low, value), max(high, value), n_positive, n_negative)


def _weights(group_J: NDArray[np.int64], positive_J: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights by which each group of a side has the same sum."""
    weight_J = np.zeros(len(group_J))
    for side_J in (positive_J, ~positive_J):
        for group in np.unique(group_J[side_J]).tolist():
            members_J = side_J & (group_J == group)
            weight_J[members_J] = 1 / members_J.sum()
    return weight_J


def _areas(
    weight_RJ: NDArray[np.float64], over_JJ: NDArray[np.float64], positive_J: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the weighted AUROC of each round; NaN where a side has no weight."""
    positive, negative = weight_RJ[:, positive_J], weight_RJ[:, ~positive_J]
    pairs_R = np.einsum("rp,pn,rn->r", positive, over_JJ, negative, optimize=True)
    with np.errstate(invalid="ignore"):
        area_R = pairs_R / (positive.sum(1) * negative.sum(1))
    clipped_R: NDArray[np.float64] = np.clip(area_R, 0.0, 1.0)  # sums of floats may end a bit above
    return clipped_R
