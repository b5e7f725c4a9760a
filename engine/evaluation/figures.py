"""The figures of an evaluation, as `monosem eval --json` prints them and run.json keeps them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from engine.evaluation.planted_absorption import ClassAbsorption
from engine.evaluation.planted_concepts import ConceptMeans, ConceptScore
from store.files.errors import MonosemError
from store.files.typed_json import JsonError, decode
from store.query.histogram import Histogram
from store.run.folder import RunFolder
from store.run.variance_shares import VarianceShares


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The figures of an evaluation; docs/formulas.md defines them. `_se` marks the standard error of a figure.

    None stands for what was not measured: without a model there is no CE, and evaluations of older versions lack
    figures that came later.
    """

    l0: float
    explained_variance: float
    fvu: float | None = None
    """Fraction of variance unexplained: 1 - explained variance."""
    explained_variance_ordinary: float | None = None
    """Over ordinary tokens."""
    explained_variance_standardised: float | None = None
    """With every dimension scaled to the same variance."""
    outlier_tokens: int | None = None
    """Counted tokens that are not ordinary."""
    variance_shares: VarianceShares | None = None
    """The variance held by few tokens and by one dimension."""
    mse: float
    cosine: float | None = None
    """Mean cosine of x and x̂."""
    norm_ratio: float | None = None
    """Mean of ‖x̂‖ / ‖x‖: below 1 where activations shrink."""
    ce_clean: float | None = None
    ce_clean_se: float | None = None
    ce_sae: float | None = None
    ce_sae_se: float | None = None
    delta_ce: float | None = None
    """CE with reconstructions - clean CE, in nats per token."""
    delta_ce_se: float | None = None
    kl: float | None = None
    """KL(clean ‖ with reconstructions) of the next token's distribution, in nats per token."""
    kl_se: float | None = None
    ce_zero: float | None = None
    """Zeros at counted positions; BOS keeps its activation."""
    ce_zero_se: float | None = None
    ce_mean: float | None = None
    """The mean over the evaluation set at counted positions."""
    ce_mean_se: float | None = None
    ce_recovered_zero: float | None = None
    ce_recovered_zero_se: float | None = None
    ce_recovered_mean: float | None = None
    ce_recovered_mean_se: float | None = None
    ce_recovered_saelens: float | None = None
    """As SAELens defines it: zeros at every position, BOS included."""
    ce_recovered_saelens_se: float | None = None
    ln_vocab: float | None = None
    """CE of a uniform guess: ln of the number of tokens."""
    ce_unigram: float | None = None
    """CE of a guess by the frequency of tokens in the training split, each counted once more than it occurs."""
    ce_unigram_se: float | None = None
    ce_tokens: int | None = None
    """Tokens that the CE figures are means over."""
    alive: int
    dead: int
    d_sae: int
    tokens: int
    """Counted tokens of the evaluation set."""
    detectable_density: float | None = None
    """3 / tokens: a feature at least this dense fires on the set with a probability of 95 %."""
    density_log10_histogram: Histogram
    data: str
    split: str
    """"heldout", or "all" for a corpus given for the evaluation or one too small to hold documents out."""
    held_out: str | None = None
    """The rule by which text was held out: "texts" or "documents"; None for all of a text, and for rows."""
    duplicates: int | None = None
    """Held-out documents, among those read, left out because they are letter for letter in the training split."""
    documents: str | None = None
    """How the text was read and cut into documents."""
    concepts: list[ConceptScore] | None = None
    """Planted corpus only."""
    concept_means: list[ConceptMeans] | None = None
    absorption: list[ClassAbsorption] | None = None

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Evaluation:
        """Read what `to_json` returned.

        Raises:
            MonosemError: it is not that.
        """
        name = "density_log10_histogram"
        try:
            bars = decode(_Bars, values.get(name))
            return decode(cls, values | {name: Histogram(np.array(bars.edges), np.array(bars.counts))}, finite=False)
        except JsonError as error:
            raise MonosemError(f"the evaluation in run.json is damaged: {error}") from error

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        histogram = self.density_log10_histogram
        edges, counts = histogram.edges.tolist(), histogram.counts.tolist()
        values = asdict(self) | {"density_log10_histogram": {"edges": edges, "counts": counts}}
        of_planted_text = ("concepts", "concept_means", "absorption")
        return {name: value for name, value in values.items() if value is not None or name not in of_planted_text}


@dataclass(frozen=True)
class _Bars:
    edges: list[float]
    counts: list[int]


def note(run: RunFolder, evaluation: Evaluation) -> None:
    """Record an evaluation in run.json. The caller holds the run's lock."""
    shown = "explained_variance l0 alive ce_recovered_zero delta_ce delta_ce_se kl kl_se"
    results = replace(run.record().results, **{name: getattr(evaluation, name) for name in shown.split()})
    run.update(results=results, evaluation=evaluation.to_json())
