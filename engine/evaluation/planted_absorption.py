"""Splitting and absorption of the planted corpus's classes of words, whose truth is known.

Looked at are the tokens that end a word. A feature fires on one from a threshold on, as everywhere in the planted
scores (engine.evaluation.planted_scores). For each class, on the selecting half:

- the *main set* grows greedily: the feature and threshold that raise the F1 of the set's union for the class's words
  most join, as long as they raise it by RISE;
- a word's *own feature* has the best F1 for that word among all words.

On the measuring half: the set's F1; the *miss rate*, the share of the class's words on which no main feature fires; the
worst word's recall; the *leaders*, main features that contribute most (activation times decoder norm) on LEADS of the
words that are not missed, and how much of the word's entropy the leading feature tells; and *full absorption*, the
share of the class's words on which no main feature fires, while the word's own feature contributes the most of all
features, and PART of all positive contributions, along the difference of means between the class's words and other
words at the site. (After Chanin et al. 2024, *A is for Absorption*, arXiv 2409.14507; there, probes stand for truth.)

Each is given beside its value with shuffled words: which word a token ends is drawn anew within each half.

Shapes: W words of a half, V different words, F = d_sae, D width of the site, M main features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.corpus.planted.lexicon import CLASS_CONCEPTS, CLASSES
from engine.evaluation.planted_detectors import (
    ActiveFeatures,
    Counts,
    SparseDetectors,
    feature_thresholds,
    sparse_detectors,
)
from engine.evaluation.planted_pass import HalfFeatures
from engine.evaluation.planted_scores import choose
from engine.sae.base import Sae

RISE = 0.03
"""F1 that another feature of the main set must add."""
PART = 0.4
"""Least share of the positive contributions that a word's own feature has where it absorbs the class."""
LEADS = 0.05
"""Least share of the words that are not missed on which a leader leads."""
LEAST = 20
"""Fewest occurrences of a word, in the measuring half, for its recall to count as the worst."""
ROUNDING = 1e-9
"""Entropy in nats that rounding alone may leave where there is one word only."""
MOST = 32
"""Features of a main set at most; RISE ends it before."""
SEED = 0
"""Seed of the shuffled words."""

Sparse = Any
"""A scipy.sparse.csr_matrix; scipy has no types for it."""
Numbers = NDArray[np.int64]
Figures = NDArray[np.float64]


@dataclass(frozen=True)
class ClassFigures:
    """Splitting and absorption of a class, as the module says."""

    features: list[int]
    """The main set, in the order chosen."""
    f1: float
    miss_rate: float
    worst_word: str
    """Empty where no word is frequent enough."""
    worst_recall: float
    leaders: int
    information: float
    """Share of the word's entropy that the leading feature tells."""
    absorbed: float | None
    """Share of the class's words that are fully absorbed; None for a transcoder, which writes to another site."""
    absorbed_word: str
    """The word that is absorbed most often; empty where none is."""
    absorbed_by: int | None
    """Its own feature."""


@dataclass(frozen=True)
class ClassAbsorption:
    """The figures of a class, and the same with shuffled words."""

    name: str
    words: int
    """Words of the class in the measuring half."""
    found: ClassFigures
    shuffled: ClassFigures


class WordHalf(NamedTuple):
    """The tokens of a half that end a word."""

    acts_WF: Sparse
    """Activations; entries are above zero."""
    detectors: SparseDetectors
    """The features on the same tokens, with the thresholds of the selecting half."""
    word_W: Numbers
    """Number of each token's word."""


class WordTruth(NamedTuple):
    """Both halves of the words, and what contributions are measured by."""

    selecting: WordHalf
    measuring: WordHalf
    names: Sequence[str]
    """The different words by number."""
    x_WD: NDArray[np.float32]
    """The site's activations on the selecting half's words."""
    decoder_FD: NDArray[np.float32]
    contributes: bool
    """Whether the decoder writes to the site that `x_WD` is of."""

    def shuffled(self, seed: int = SEED) -> WordTruth:
        """Return the same with the words of each half drawn anew from those there are."""
        drawn = np.random.default_rng(seed)
        halves = [half._replace(word_W=drawn.permutation(half.word_W)) for half in (self.selecting, self.measuring)]
        return self._replace(selecting=halves[0], measuring=halves[1])


def class_absorption(halves: tuple[HalfFeatures, HalfFeatures], sae: Sae) -> list[ClassAbsorption]:
    """Measure every class that both halves have words of."""
    truth = _truth(halves, sae)
    other = truth.shuffled()
    fired_FG = truth.selecting.detectors.counts(np.arange(truth.selecting.detectors.n_tokens))
    found = []
    for name, sets in CLASS_CONCEPTS.items():
        words = {word for one in sets for word in CLASSES[one]}
        of_class_V = np.array([word in words for word in truth.names], bool)
        counts = [int(of_class_V[half.word_W].sum()) for half in (truth.selecting, truth.measuring)]
        if all(counts):
            figures = [class_figures(one, fired_FG, of_class_V) for one in (truth, other)]
            found.append(ClassAbsorption(name, counts[1], *figures))
    return found


def class_figures(truth: WordTruth, fired_FG: Counts, of_class_V: NDArray[np.bool_]) -> ClassFigures:
    """Measure one class.

    Args:
        truth: the words of both halves.
        fired_FG: counts of the selecting half's detectors on all of its words.
        of_class_V: which of the different words are of the class.
    """
    selecting, measuring = truth.selecting, truth.measuring
    having = np.flatnonzero(of_class_V[selecting.word_W])
    chosen = choose(selecting.detectors, having, fired_FG, MOST, RISE)
    main = [one.detector for one in chosen]
    is_W = of_class_V[measuring.word_W]
    fires_WM = np.zeros((len(is_W), len(chosen)), bool)
    for place, one in enumerate(chosen):
        fires_WM[:, place] = measuring.detectors.fires(*one)
    fires_W = fires_WM.sum(axis=1) > 0
    missed_W = is_W & ~fires_W
    worst_word, worst_recall = _worst(measuring.word_W[is_W], fires_W[is_W], truth.names)
    covered_W = is_W & fires_W
    leader_C = _leaders(measuring.acts_WF[covered_W][:, main].toarray() * fires_WM[covered_W], truth.decoder_FD[main])
    led_M = np.bincount(leader_C, minlength=len(main)) / max(1, len(leader_C))
    own_V = own_features(selecting, fired_FG, of_class_V)
    absorbed_W = _absorbed(truth, own_V, of_class_V, missed_W) if truth.contributes else None
    most = None if absorbed_W is None or not absorbed_W.any() else _commonest(measuring.word_W[absorbed_W])
    return ClassFigures(
        main,
        2 * int(covered_W.sum()) / max(1, int(is_W.sum() + fires_W.sum())),
        float(missed_W.sum() / max(1, is_W.sum())),
        worst_word,
        worst_recall,
        int((led_M >= LEADS).sum()),
        _information(leader_C, measuring.word_W[covered_W]),
        None if absorbed_W is None else float(absorbed_W.sum() / max(1, is_W.sum())),
        "" if most is None else truth.names[most],
        None if most is None else int(own_V[most]),
    )


def _leaders(acts_CM: NDArray[np.float32], decoder_MD: NDArray[np.float32]) -> Numbers:
    """Return the main feature that contributes most to each word that is not missed [C], of those that fire on it."""
    if not len(acts_CM):
        return np.empty(0, np.int64)
    leader_C: Numbers = (acts_CM * np.linalg.norm(decoder_MD, axis=1)).argmax(axis=1).astype(np.int64)
    return leader_C


def own_features(half: WordHalf, fired_FG: Counts, wanted_V: NDArray[np.bool_]) -> Numbers:
    """Return the own feature of each wanted word [V]; -1 for other words, and where no feature fires on it."""
    own_V = np.full(len(wanted_V), -1)
    for word in np.flatnonzero(wanted_V).tolist():
        best = choose(half.detectors, np.flatnonzero(half.word_W == word), fired_FG, most=1)
        own_V[word] = best[0].detector if best else -1
    return own_V


def _absorbed(
    truth: WordTruth, own_V: Numbers, of_class_V: NDArray[np.bool_], missed_W: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Return which of the missed words are fully absorbed [W]."""
    is_W = of_class_V[truth.selecting.word_W]
    absorbed_W = np.zeros(len(missed_W), bool)
    if is_W.all():
        return absorbed_W
    x_WD = truth.x_WD.astype(np.float64)
    along_F = truth.decoder_FD.astype(np.float64) @ (x_WD[is_W].mean(axis=0) - x_WD[~is_W].mean(axis=0))
    acts_WF = truth.measuring.acts_WF
    for place in np.flatnonzero(missed_W).tolist():
        entries = slice(acts_WF.indptr[place], acts_WF.indptr[place + 1])
        feature_E = acts_WF.indices[entries]
        part_E = acts_WF.data[entries] * along_F[feature_E]
        mine = part_E[feature_E == own_V[truth.measuring.word_W[place]]].sum()
        positive = part_E[part_E > 0].sum()
        absorbed_W[place] = mine > 0 and mine >= part_E.max() and mine >= PART * positive
    return absorbed_W


def _commonest(word_C: Numbers) -> int:
    return int(np.bincount(word_C).argmax())


def _worst(word_C: Numbers, fires_C: NDArray[np.bool_], names: Sequence[str]) -> tuple[str, float]:
    """Return the frequent word of the class on which a main feature fires most seldom, and how often it does."""
    count_V = np.bincount(word_C, minlength=len(names))
    often = np.flatnonzero(count_V >= LEAST)
    if not len(often):
        return "", 0.0
    recall = np.bincount(word_C[fires_C], minlength=len(names))[often] / count_V[often]
    place = int(recall.argmin())
    return names[int(often[place])], float(recall[place])


def _information(leader_C: Numbers, word_C: Numbers) -> float:
    """Return I(leader; word) / H(word); 0 where there is one word only, or none."""
    if not len(word_C):
        return 0.0
    joint = np.zeros((int(leader_C.max()) + 1, int(word_C.max()) + 1))
    np.add.at(joint, (leader_C, word_C), 1 / len(word_C))
    of_word = _entropy(joint.sum(axis=0))
    told = _entropy(joint.sum(axis=1)) + of_word - _entropy(joint.ravel())
    return max(0.0, told / of_word) if of_word > ROUNDING else 0.0


def _entropy(share: Figures) -> float:
    some = share[share > 0]
    return float(-(some * np.log(some)).sum())


def _truth(halves: tuple[HalfFeatures, HalfFeatures], sae: Sae) -> WordTruth:
    names = sorted({label.word for half in halves for label in half.labels if label.word})
    number = {word: place for place, word in enumerate(names)}
    acts, word = zip(*(_word_acts(half, number, sae.settings.d_sae) for half in halves), strict=True)
    found = word_halves((acts[0], acts[1]), (word[0], word[1]))
    decoder_FD = sae.W_dec.detach().float().cpu().numpy()
    x_WD = np.concatenate([np.empty((0, sae.settings.d_in), np.float32), *halves[0].inputs])
    return WordTruth(found[0], found[1], names, x_WD, decoder_FD, sae.settings.d_out is None)


def word_halves(acts: tuple[Sparse, Sparse], word: tuple[Numbers, Numbers]) -> tuple[WordHalf, WordHalf]:
    """Return the halves with their detectors, from activations [W, F] and the number of each token's word [W]."""
    entries = [ActiveFeatures(np.diff(one.indptr), one.indices.astype(np.int64), one.data) for one in acts]
    thresholds_FG = feature_thresholds(entries[0], acts[0].shape[1])
    detectors = [sparse_detectors(one, thresholds_FG) for one in entries]
    return WordHalf(acts[0], detectors[0], word[0]), WordHalf(acts[1], detectors[1], word[1])


def _word_acts(half: HalfFeatures, number: dict[str, int], d_sae: int) -> tuple[Sparse, Numbers]:
    """Return activations of the tokens that end a word, and the numbers of their words."""
    words, entries = [label.word for label in half.labels], half.entries()
    indptr = np.append(0, np.cumsum(entries.active))
    acts = csr_matrix((entries.act, entries.feature, indptr), (len(words), d_sae))
    ending = np.flatnonzero(np.array([bool(word) for word in words], bool))
    return acts[ending], np.array([number[word] for word in words if word], np.int64)
