"""How well a regular expression describes a feature: on every token of the documents that it was not made from.

The threshold from which a feature counts as firing, and the reading of the expression (all tokens of a match, or the
last one, where the model has seen all of it), are chosen by F1 on the choosing half of the documents. The figures
are those of the other half; intervals are of documents drawn again, as tokens of one are not independent.
Shapes: N tokens, D documents, R rounds, E entries of the feature, G groups of equal activation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from store.index.corpus_text import Mask
from store.index.reader import FeatureStore
from store.notes.explanations import Figure
from store.query.find import Question
from store.query.inverted_scan import InvertedScan
from store.query.pattern_tokens import compile_pattern, text_matches, whole
from store.query.scores import Scores, TokenTotals
from store.rules.halves import document_halves

Extent = Literal["match", "last"]
ROUNDS = 400
FEWEST = 5
"""Documents, below which nothing is measured."""


@dataclass(frozen=True)
class PatternScore:
    """Figures of a regular expression as a description of one feature."""

    extent: Extent
    """Whether all tokens of a match are meant, or its last one."""
    threshold: float
    """The least activation that counts as firing."""
    matched: int
    """Tokens of the measuring half that match."""
    documents: int
    """Documents of that half."""
    precision: Figure
    """Share of the matching tokens on which the feature fires."""
    recall: Figure
    """Share of the tokens on which it fires that match."""
    f1: Figure
    auroc: Figure | None
    """Probability that a matching token has a higher activation than another; None where all or none match."""
    r: Figure | None
    """Correlation of matching with the activation, zeros included; None where one of them is constant."""


class _Entries(NamedTuple):
    """A feature's entries on scored tokens of a half."""

    place_E: NDArray[np.int64]
    act_E: NDArray[np.float32]


def score_pattern(store: FeatureStore, feature: int, pattern: str, seed: int = 0) -> PatternScore | None:
    """Return the figures of a regular expression; None where it matches nothing, or the corpus is too small.

    The seed decides which half of the documents measures, and which documents are drawn again.

    Raises:
        MonosemError: it is not a regular expression, there is no such feature, or there is only one document.
    """
    store.check_feature(feature)
    matches = whole(text_matches(store, compile_pattern(pattern)))
    readings: dict[Extent, Question] = {
        "match": matches.question(store, pattern),
        "last": matches.question(store, pattern, last=True),
    }
    halves = document_halves(store, seed)
    best: tuple[float, Extent, float] | None = None
    for extent, question in readings.items():
        f1, threshold = _best_threshold(store, feature, question.scored_N & halves.choosing_N, question.matched_N)
        if f1 > 0 and (best is None or f1 > best[0]):
            best = f1, extent, threshold
    if best is None:
        return None
    _, extent, threshold = best
    question = readings[extent]._replace(scored_N=readings[extent].scored_N & halves.measuring_N)
    return _measured(store, feature, question, extent, threshold, seed)


def _best_threshold(store: FeatureStore, feature: int, scored_N: Mask, matched_N: Mask) -> tuple[float, float]:
    """Return a feature's best F1 and its threshold."""
    totals = TokenTotals(int(scored_N.sum()), int((scored_N & matched_N).sum()))
    scores = Scores.empty(store.unit_F)
    if totals.matched:
        for groups in InvertedScan(store, scored_N, matched_N).groups(np.array([feature])):
            scores.take(groups, totals)
    return float(scores.f1_F[feature]), float(scores.threshold_F[feature])


def _measured(
    store: FeatureStore, feature: int, question: Question, extent: Extent, threshold: float, seed: int
) -> PatternScore | None:
    scored_N, matched_N = question.scored_N, question.matched_N
    place_N = np.flatnonzero(scored_N)
    numbers_D, document_N = np.unique(store.documents_of(place_N), return_inverse=True)
    n_documents = len(numbers_D)
    if n_documents < FEWEST:
        return None
    entries = _entries(store, feature, scored_N)
    document_E = np.searchsorted(numbers_D, store.documents_of(entries.place_E))
    hit_E, fires_E = matched_N[entries.place_E], entries.act_E >= threshold
    act_E = entries.act_E.astype(np.float64)

    def per_document(at: NDArray[np.int64], weights: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        return np.bincount(at, weights, n_documents).astype(np.float64)

    columns_DK = np.stack(
        [
            per_document(document_N),
            per_document(document_N[matched_N[place_N]]),
            per_document(document_E[fires_E]),
            per_document(document_E[fires_E & hit_E]),
            per_document(document_E, act_E),
            per_document(document_E, act_E**2),
            per_document(document_E, act_E * hit_E),
        ],
        axis=1,
    )
    rng = np.random.default_rng((seed, feature))
    times_RD = rng.multinomial(n_documents, np.full(n_documents, 1 / n_documents), size=ROUNDS).astype(np.float64)
    times_RD = np.concatenate([np.ones((1, n_documents)), times_RD])  # the first round is the measurement itself
    n, matched, fired, hits, *moments = (times_RD @ columns_DK).T
    with np.errstate(invalid="ignore", divide="ignore"):
        precision_R, recall_R, f1_R = hits / matched, hits / fired, 2 * hits / (matched + fired)
        r_R = _correlations(n, matched, *moments)
    auroc_R = _aurocs(act_E, hit_E, document_E, columns_DK, times_RD)
    return PatternScore(
        extent,
        threshold,
        int(matched[0]),
        n_documents,
        _figure(precision_R) or Figure(0.0, 0.0, 1.0),
        _figure(recall_R) or Figure(0.0, 0.0, 1.0),
        _figure(f1_R) or Figure(0.0, 0.0, 1.0),
        _figure(auroc_R),
        _figure(r_R),
    )


def _entries(store: FeatureStore, feature: int, scored_N: Mask) -> _Entries:
    postings = store.postings(feature)
    kept_P = scored_N[postings.token]
    return _Entries(postings.token[kept_P], postings.act[kept_P])


def _correlations(
    n: NDArray[np.float64],
    matched: NDArray[np.float64],
    total: NDArray[np.float64],
    squares: NDArray[np.float64],
    products: NDArray[np.float64],
) -> NDArray[np.float64]:
    covariance = products / n - matched / n * total / n
    variances = (squares / n - (total / n) ** 2) * (matched / n - (matched / n) ** 2)
    r_R: NDArray[np.float64] = np.where(variances > 1e-18, covariance / np.sqrt(np.maximum(variances, 1e-18)), np.nan)
    return r_R


def _aurocs(
    act_E: NDArray[np.float64],
    hit_E: Mask,
    document_E: NDArray[np.int64],
    columns_DK: NDArray[np.float64],
    times_RD: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the AUROC of each round; tokens without an entry are zeros, and ties count half."""
    _, group_E = np.unique(-act_E, return_inverse=True)
    n_groups = int(group_E.max(initial=-1)) + 1
    areas = []
    for times_D in times_RD:
        weight_E = times_D[document_E]
        hits_G = np.bincount(group_E, weight_E * hit_E, n_groups)
        misses_G = np.bincount(group_E, weight_E * ~hit_E, n_groups)
        matched = float(times_D @ columns_DK[:, 1])
        others = float(times_D @ columns_DK[:, 0]) - matched
        below_G = others - np.cumsum(misses_G)
        pairs = hits_G @ (below_G + misses_G / 2)
        pairs += (matched - hits_G.sum()) * (others - misses_G.sum()) / 2
        areas.append(pairs / (matched * others) if matched > 0 and others > 0 else np.nan)
    return np.array(areas)


def _figure(value_R: NDArray[np.float64]) -> Figure | None:
    """Return the first round's value with the 95 % interval of the others; None where it is not defined."""
    value = float(value_R[0])
    if np.isnan(value):
        return None
    low, high = np.nanquantile(value_R, [0.025, 0.975]).tolist()
    return Figure(value, min(low, value), max(high, value))
