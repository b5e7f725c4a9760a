"""Figures of a comparison of two dictionaries over units of text (store.query.text_units).

Shapes: F features of the side a figure belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_PARTNER = -1
LEVELS = (0.5, 0.7, 0.9)
"""Correlations above which the share of features is given."""
SHARED = 0.7
"""Correlation from which a feature counts as shared."""


@dataclass(frozen=True)
class Shares:
    """How well the judged features of one side are matched by the other."""

    median_r: float
    share_r: tuple[float, ...]
    """Shares of the judged features with r above each of LEVELS."""


@dataclass(frozen=True)
class BesideBaseline:
    """A baseline's own figures, in place of one side's or of both."""

    name: str
    """`random`: this side's features beside those of the other's model with random weights. `seed`, the ceiling: beside
    the same dictionary of another seed. `features_neurons`: beside the other's neurons. `neurons`: this side's neurons
    beside the other's."""
    found: Shares


@dataclass(frozen=True)
class SharedVariance:
    """Explained variances over the same tokens, by a pass of the model."""

    kept: float
    """With every feature but those of r of SHARED or more at zero, behind the choice of active features."""
    whole: float
    """With all features."""
    tokens: int


@dataclass(frozen=True)
class SideSummary:
    """The figures of one side as a whole: its features beside their best partners on the other side."""

    name: str
    """Name of the run."""
    digest: str
    """Seal of its features.h5; empty for an index that is still written."""
    features: int
    judged: int
    """Features that fire on enough units, in each half of the documents, to be judged."""
    silent: int
    """Features that fire on no unit."""
    unpaired: int
    """Documents that the other side lacks."""
    found: Shares
    ci: tuple[tuple[float, ...], ...]
    """Least and greatest of the 95 % intervals of the median and of the shares; documents resampled, partners fixed."""
    shifted: Shares | None
    """The same with the other side's units shifted by whole documents, partners searched anew: the null."""
    mutual: float
    """Share of the judged features that are their partner's partner."""
    energy: float
    """Share of Σ f² ‖W_dec‖² in features with r of SHARED or more."""
    baselines: tuple[BesideBaseline, ...] = ()
    """One for each baseline that was made."""
    shared_variance: SharedVariance | None = None
    """Variance that the shared features explain alone; None where the model was not run."""


@dataclass(frozen=True)
class Summary:
    """The figures of a comparison as a whole."""

    unit: str
    """`token` or `word`."""
    units: int
    measured: int
    """Units that measure; the others choose."""
    documents: int
    too_long: int
    """Units that are left out because they are longer than 24 bytes."""
    unit_bytes: tuple[int, ...]
    """Units of 1, 2, … bytes."""
    pw_mcc: float | None
    """Mean |cosine| of decoders matched one to one; None where they do not share a space."""
    pw_mcc_exact: bool
    sides: tuple[SideSummary, ...]
    text: str = ""
    """Name of the text that both were indexed on for it, in the folder `texts` of each run; empty for their own."""
    value: str = "max"
    """A feature's value at a unit: `max`, `sum` or `last` of its tokens'."""
    one_sided: int = 0
    """Spans of text that are left out because only one side has tokens for them."""


@dataclass(frozen=True)
class Side:
    """Each feature of one side beside its best partner, [F] each; zeros and NO_PARTNER where it has none."""

    partner_F: NDArray[np.int32]
    r_F: NDArray[np.float32]
    """On the measuring half; `partner_F` was chosen on the other."""
    chosen_r_F: NDArray[np.float32]
    """On the choosing half; with the sign of a neuron's direction, where neurons take part."""
    units_F: NDArray[np.int64]
    """Units on which the feature fires, in both halves."""
    joint_F: NDArray[np.int64]
    """Units of the measuring half on which both fire."""
    jaccard_F: NDArray[np.float32]
    coverage_F: NDArray[np.float32]
    """Share of the feature's activation on units where its partner fires."""
    covered_F: NDArray[np.float32]
    """Share of the partner's activation on units where the feature fires."""
    cosine_F: NDArray[np.float32]
    """Cosine of the decoder directions; NaN in different spaces."""
    encoder_cosine_F: NDArray[np.float32]
    """Cosine of the encoder directions; NaN where the two do not read the same site of the same model."""
    judged_F: NDArray[np.bool_]
    mutual_F: NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """Two dictionaries compared: figures as a whole, and of each feature of both sides."""

    summary: Summary
    sides: tuple[Side, Side]


def shares_of(r_J: NDArray[np.floating]) -> Shares:
    """Return median and shares of the correlations of judged features; zeros without any."""
    if not len(r_J):
        return Shares(0.0, (0.0,) * len(LEVELS))
    return Shares(float(np.median(r_J)), tuple(float((r_J > level).mean()) for level in LEVELS))
