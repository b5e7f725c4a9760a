"""Splitting and absorption of the planted corpus's classes of words, whose truth is known.

Looked at are the tokens that end a word. A feature fires on one where it is active. For each class, on the selecting
half:

- the *main set* grows greedily: the feature that raises the F1 of the set's union for the class's words most joins, as
  long as that raises it by RISE;
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
from engine.evaluation.planted_pass import HalfFeatures
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
    both = [(one, own_features(one.selecting, len(one.names))) for one in (truth, truth.shuffled())]
    found = []
    for name, sets in CLASS_CONCEPTS.items():
        words = {word for one in sets for word in CLASSES[one]}
        of_class_V = np.array([word in words for word in truth.names], bool)
        counts = [int(of_class_V[half.word_W].sum()) for half in (truth.selecting, truth.measuring)]
        if all(counts):
            figures = [class_figures(one, own_V, of_class_V) for one, own_V in both]
            found.append(ClassAbsorption(name, counts[1], *figures))
    return found


def class_figures(truth: WordTruth, own_V: Numbers, of_class_V: NDArray[np.bool_]) -> ClassFigures:
    """Measure one class.

    Args:
        truth: the words of both halves.
        own_V: each word's own feature.
        of_class_V: which of the different words are of the class.
    """
    selecting, measuring = truth.selecting, truth.measuring
    main = main_set(selecting.acts_WF, of_class_V[selecting.word_W])
    is_W = of_class_V[measuring.word_W]
    main_WM = measuring.acts_WF[:, main].toarray()
    fires_W = (main_WM > 0).any(axis=1)
    missed_W = is_W & ~fires_W
    worst_word, worst_recall = _worst(measuring.word_W[is_W], fires_W[is_W], truth.names)
    covered_W = is_W & fires_W
    leader_W = (main_WM * np.linalg.norm(truth.decoder_FD[main], axis=1)).argmax(axis=1)
    led_M = np.bincount(leader_W[covered_W], minlength=len(main)) / max(1, covered_W.sum())
    absorbed_W = _absorbed(truth, own_V, of_class_V, missed_W) if truth.contributes else None
    most = None if absorbed_W is None or not absorbed_W.any() else _commonest(measuring.word_W[absorbed_W])
    return ClassFigures(
        main.tolist(),
        2 * int(covered_W.sum()) / max(1, int(is_W.sum() + fires_W.sum())),
        float(missed_W.sum() / max(1, is_W.sum())),
        worst_word,
        worst_recall,
        int((led_M >= LEADS).sum()),
        _information(leader_W[covered_W], measuring.word_W[covered_W]),
        None if absorbed_W is None else float(absorbed_W.sum() / max(1, is_W.sum())),
        "" if most is None else truth.names[most],
        None if most is None else int(own_V[most]),
    )


def main_set(acts_WF: Sparse, is_W: NDArray[np.bool_]) -> Numbers:
    """Return the main set of a class: features whose union has a growing F1, ties to the lower feature."""
    fires_FW = (acts_WF > 0).astype(np.float64).T.tocsr()
    chosen: list[int] = []
    free_W, best = np.ones(len(is_W)), 0.0
    while True:
        hits = len(is_W[is_W]) - float(free_W[is_W].sum()) + fires_FW @ (free_W * is_W)
        fired = len(is_W) - float(free_W.sum()) + fires_FW @ free_W
        f1_F = 2 * hits / (fired + is_W.sum())
        f1_F[chosen] = 0
        feature = int(f1_F.argmax())
        if f1_F[feature] <= 0 or (chosen and f1_F[feature] - best < RISE):
            return np.array(chosen, np.int64)
        best = float(f1_F[feature])
        chosen.append(feature)
        free_W[fires_FW[feature].indices] = 0


def own_features(half: WordHalf, n_words: int) -> Numbers:
    """Return each word's own feature, the one with the best F1 for it [V]; ties to the lower feature."""
    fires_WF = (half.acts_WF > 0).astype(np.float64)
    of_word_VW = csr_matrix(
        (np.ones(len(half.word_W)), (half.word_W, np.arange(len(half.word_W)))), (n_words, len(half.word_W))
    )
    hits_VF = (of_word_VW @ fires_WF).toarray()
    count_V = np.bincount(half.word_W, minlength=n_words)
    fired_F = np.asarray(fires_WF.sum(axis=0)).ravel()
    f1_VF = 2 * hits_VF / np.maximum(fired_F[None] + count_V[:, None], 1)
    own_V: Numbers = f1_VF.argmax(axis=1).astype(np.int64)
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
    found = []
    for half in halves:
        words = [label.word for label in half.labels]
        ending = np.array([bool(word) for word in words], bool)
        entries = half.entries()
        indptr = np.append(0, np.cumsum(entries.active))
        acts = csr_matrix((entries.act, entries.feature, indptr), (len(words), sae.settings.d_sae))
        found.append(
            WordHalf(acts[np.flatnonzero(ending)], np.array([number[word] for word in words if word], np.int64))
        )
    decoder_FD = sae.W_dec.detach().float().cpu().numpy()
    x_WD = np.concatenate([np.empty((0, sae.settings.d_in), np.float32), *halves[0].inputs])
    return WordTruth(found[0], found[1], names, x_WD, decoder_FD, sae.settings.d_out is None)
