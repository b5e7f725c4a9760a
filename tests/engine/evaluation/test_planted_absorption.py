"""Main sets, misses, leaders and absorption: by dense brute force, and on dictionaries whose absorption is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.evaluation.planted_absorption import (
    LEADS,
    LEAST,
    PART,
    RISE,
    ClassFigures,
    WordTruth,
    class_figures,
    word_halves,
)

Dense = NDArray[np.float64]
NAMES = ["blue", "green", "house", "red", "the", "tree"]
OF_CLASS_V = np.isin(NAMES, ["blue", "green", "red"])


def truth_of(selecting: Dense, measuring: Dense, words: list[NDArray[np.int64]], x_WD: Dense, dec: Dense) -> WordTruth:
    halves = word_halves((csr_matrix(selecting), csr_matrix(measuring)), (words[0], words[1]))
    return WordTruth(halves[0], halves[1], NAMES, x_WD.astype(np.float32), dec.astype(np.float32), contributes=True)


def figures_of(truth: WordTruth) -> ClassFigures:
    detectors = truth.selecting.detectors
    return class_figures(truth, detectors.counts(np.arange(detectors.n_tokens)), OF_CLASS_V)


def f1(fires: NDArray[np.bool_], has: NDArray[np.bool_]) -> float:
    return 2 * int((fires & has).sum()) / max(1, int(fires.sum() + has.sum()))


def entropy(values: list[object]) -> float:
    _, count = np.unique(np.array([str(value) for value in values]), return_counts=True)
    share = count / count.sum()
    return float(-(share * np.log(share)).sum())


def by_hand(truth: WordTruth) -> ClassFigures:
    """Every figure again, token by token over dense arrays."""
    chosen_WF, acts_WF = truth.selecting.acts_WF.toarray(), truth.measuring.acts_WF.toarray()
    is_chosen, is_W = OF_CLASS_V[truth.selecting.word_W], OF_CLASS_V[truth.measuring.word_W]
    detectors = [(f, t) for f in range(chosen_WF.shape[1]) for t in np.unique(chosen_WF[:, f]).tolist() if t > 0]

    def best_with(base_W: NDArray[np.bool_], has_W: NDArray[np.bool_], without: list[int]) -> tuple[float, int, float]:
        tried = [(f1(base_W | (chosen_WF[:, f] >= t), has_W), -f, -t) for f, t in detectors if f not in without]
        value, feature, threshold = max(tried)
        return value, -feature, -threshold

    main, least, best = [], [], 0.0
    base_W = np.zeros(len(is_chosen), bool)
    while True:
        value, feature, threshold = best_with(base_W, is_chosen, main)
        if value <= best or (main and value - best < RISE):
            break
        best, main, least = value, [*main, feature], [*least, threshold]
        base_W = base_W | (chosen_WF[:, feature] >= threshold)
    none_W = np.zeros(len(is_chosen), bool)
    own = [best_with(none_W, truth.selecting.word_W == word, [])[1] for word in range(len(NAMES))]
    x = truth.x_WD.astype(np.float64)
    along_F = truth.decoder_FD.astype(np.float64) @ (x[is_chosen].mean(0) - x[~is_chosen].mean(0))
    fires_WM = acts_WF[:, main] >= np.array(least)
    fires_W = fires_WM.any(1)
    absorbed, leaders, words = [], [], []
    for token in np.flatnonzero(is_W):
        word = int(truth.measuring.word_W[token])
        if fires_W[token]:
            norms = np.linalg.norm(truth.decoder_FD[main], axis=1)
            leaders.append(int((acts_WF[token, main] * fires_WM[token] * norms).argmax()))
            words.append(word)
            continue
        parts = acts_WF[token] * along_F
        mine = parts[own[word]]
        if mine > 0 and mine == parts.max() and mine >= PART * parts[parts > 0].sum():
            absorbed.append(word)
    recalls = {
        word: fires_W[truth.measuring.word_W == word].mean()
        for word in np.flatnonzero(OF_CLASS_V).tolist()
        if (truth.measuring.word_W == word).sum() >= LEAST
    }
    worst = min(recalls, key=lambda word: (recalls[word], word), default=None)
    of_word = entropy(list(words))
    told = entropy(list(leaders)) + of_word - entropy(list(zip(leaders, words, strict=True)))
    most = max(set(absorbed), key=lambda word: (absorbed.count(word), -word), default=None)
    return ClassFigures(
        main,
        f1(fires_W, is_W),
        float((is_W & ~fires_W).sum() / is_W.sum()),
        "" if worst is None else NAMES[worst],
        0.0 if worst is None else float(recalls[worst]),
        sum(leaders.count(one) / len(leaders) >= LEADS for one in set(leaders)),
        told / of_word if of_word else 0.0,
        len(absorbed) / int(is_W.sum()),
        "" if most is None else NAMES[most],
        None if most is None else own[most],
    )


@pytest.mark.parametrize("seed", range(8))
def test_every_figure_by_brute_force(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words = [rng.integers(0, len(NAMES), 260) for _ in range(2)]
    dec = rng.standard_normal((9, 4))
    halves = []
    for word in words:
        acts = rng.exponential(1, (260, 9)) * (rng.random((260, 9)) < 0.12)
        for feature, of_feature in ((0, 0), (1, 1), (2, 3), (3, 3), (4, 4)):
            acts[:, feature] += 2 * (word == of_feature) * (rng.random(260) < 0.7)
        halves.append(np.ceil(acts.clip(0, 5) * 8) / 8)  # few values, so that each is a threshold
    x_WD = halves[0] @ dec + 0.1 * rng.standard_normal((260, 4))
    truth = truth_of(*halves, words, x_WD, dec)
    for one in (truth, truth.shuffled()):
        found, wanted = figures_of(one), by_hand(one)
        assert (found.features, found.worst_word, found.leaders) == (
            wanted.features,
            wanted.worst_word,
            wanted.leaders,
        )
        assert (found.absorbed_word, found.absorbed_by) == (wanted.absorbed_word, wanted.absorbed_by)
        for name in ("f1", "miss_rate", "worst_recall", "information", "absorbed"):
            assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=1e-9), name


def split(*, red_has_class_feature: bool) -> WordTruth:
    """Feature 0 fires on colours, on "red" too or not, 1 on "red" alone, 2 on other words."""
    rng = np.random.default_rng(0)
    words = [rng.integers(0, len(NAMES), 900) for _ in range(2)]
    dec = np.array([[1.0, 0, 0], [1.0, 1.0, 0], [0, 0, 1.0]])
    halves = []
    for word in words:
        is_class, is_red = OF_CLASS_V[word], word == NAMES.index("red")
        acts = np.zeros((900, 3))
        acts[:, 0] = is_class & (~is_red | red_has_class_feature)
        acts[:, 1] = is_red
        acts[:, 2] = ~is_class
        halves.append(acts)
    return truth_of(halves[0], halves[1], words, halves[0] @ dec, dec)


def test_a_frequent_word_that_the_class_lacks_joins_its_main_set() -> None:
    """That is splitting: nothing is missed, and the leading feature tells the word."""
    found = figures_of(split(red_has_class_feature=True))
    assert found.features == [0]
    assert (found.f1, found.miss_rate, found.absorbed, found.absorbed_word) == (1.0, 0.0, 0.0, "")
    found = figures_of(split(red_has_class_feature=False))
    assert (found.features, found.miss_rate, found.leaders) == ([0, 1], 0.0, 2)
    assert found.information > 0.3


@pytest.mark.parametrize(("part", "absorbs"), [(1.0, True), (0.2, False)])
def test_full_absorption_needs_the_greatest_part(part: float, absorbs: bool) -> None:
    """One rare word, whose feature adds less than RISE to the set's F1, carries the class by itself or not."""
    rng = np.random.default_rng(1)
    chance = np.array([0.28, 0.01, 0.2, 0.3, 0.11, 0.1])  # green is rare
    words = [rng.choice(len(NAMES), 4000, p=chance) for _ in range(2)]
    dec = np.array([[1.0, 0, 0], [part, 1.0, 0], [0, 0, 1.0], [1.0, 0, 0]])
    halves = []
    for word in words:
        is_class, is_green = OF_CLASS_V[word], word == NAMES.index("green")
        acts = np.zeros((4000, 4))
        acts[:, 0], acts[:, 1], acts[:, 2] = is_class & ~is_green, is_green, ~is_class
        acts[:, 3] = (is_green | (rng.random(4000) < 0.3)) * 0.5
        halves.append(acts)
    truth = truth_of(halves[0], halves[1], words, halves[0] @ dec, dec)
    found = figures_of(truth)
    green = (words[1] == NAMES.index("green")).sum() / OF_CLASS_V[words[1]].sum()
    assert found.features == [0]
    assert found.miss_rate == pytest.approx(green)
    assert found.worst_word == "green"
    assert found.worst_recall == 0
    assert found.absorbed == (pytest.approx(green) if absorbs else 0)
    assert (found.absorbed_word, found.absorbed_by) == (("green", 1) if absorbs else ("", None))
    assert figures_of(truth.shuffled()).absorbed == pytest.approx(0, abs=0.02)


def test_a_main_set_for_a_single_word_tells_nothing_about_which() -> None:
    words = [np.arange(900) % len(NAMES) for _ in range(2)]
    acts = [(word == NAMES.index("red"))[:, None].astype(float) for word in words]
    found = figures_of(truth_of(acts[0], acts[1], words, acts[0] @ np.ones((1, 3)), np.ones((1, 3))))
    assert (found.features, found.leaders, found.information) == ([0], 1, 0.0)
    assert found.miss_rate == pytest.approx(2 / 3)


def test_the_main_set_grows_while_it_gains() -> None:
    rng = np.random.default_rng(2)
    is_W = rng.random(1000) < 0.5
    piece = rng.integers(0, 40, 1000)
    edges = (0, 20, 32, 39, 40)
    acts = np.stack([is_W & (piece >= low) & (piece < high) for low, high in pairwise(edges)], axis=1).astype(float)
    words = [np.where(is_W, NAMES.index("red"), NAMES.index("the")) for _ in range(2)]
    dec = np.ones((4, 3))
    found = figures_of(truth_of(acts, acts, words, acts @ dec, dec))
    assert found.features == [0, 1, 2]  # the last would add less than RISE
    silent = np.zeros((1000, 4))
    found = figures_of(truth_of(silent, silent, words, silent @ dec, dec))
    assert (found.features, found.f1, found.miss_rate, found.information) == ([], 0.0, 1.0, 0.0)


def test_weak_firing_below_the_threshold_is_a_miss() -> None:
    """The feature fires weakly on everything: only from its threshold on does it tell the class."""
    words = [np.arange(900) % len(NAMES) for _ in range(2)]
    halves = [0.125 + (OF_CLASS_V[word] & (np.arange(900) % 5 > 0)).astype(float)[:, None] for word in words]
    found = figures_of(truth_of(halves[0], halves[1], words, halves[0] @ np.ones((1, 3)), np.ones((1, 3))))
    assert found.miss_rate == pytest.approx(0.2)
