"""Names for clusters: words that tell a cluster's features from the others, measured on their strongest examples.

Evidence on a feature is the share of its strongest tokens that each word has, and the share at which each of some
predicates of rules holds: scripts, kinds of tokens, the state of the text, the document's language. A cluster is named
by those with the most mean share · ln(share / share among all features), predicates before words; and before both by
tags that its features have, and by words that people's labels and models' explanations of them share. A cluster that
none of them tells from the others has a weak name, of those that are somewhat more frequent in it, and says so.

Shapes: N features on the map, V vocabulary entries, W words, Q predicates, C clusters, M strongest tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from engine.runtime.progress import Progress
from store.index.reader import FeatureStore
from store.notes.explanations import RULES, Explanations
from store.notes.note_file import FeatureNotes
from store.rules.grammar import LANGUAGES, Predicate
from store.rules.places import RuleCorpus
from store.rules.rule_words import LANGUAGE_NAMES
from store.rules.token_classes import script_of

STRONGEST = 24
"""Tokens of a feature that are looked at."""
WORDS, KINDS = 3, 2
"""Words of a name that are tokens', and those that are predicates'."""
LEAST_WORD, LEAST_KIND, LEAST_SAID = 0.03, 0.5, 0.3
"""Share of a cluster that a token's word, a predicate, and a tag or word of labels must have."""
LEAST_LIFT = 1.5
"""Times that a share must exceed the one among all features."""
WEAK = "weakly: "
"""Comes before the name of a cluster that nothing tells clearly from the others."""
WEAK_WORDS = 2
LEAST_WEAK_WORD, LEAST_WEAK_KIND, LEAST_WEAK_LIFT = 0.01, 0.2, 1.1
"""Shares and their ratio that a weak name must have."""
LONGEST = 24
"""Characters of a word in a name."""
_KINDS = {
    **{"digits": "numbers", "capitals": "CAPITALS", "capital": "Capitals", "punctuation": "punctuation"},
    **{"newline": "line ends", "space": "white space", "quote": "quotations", "bracket": "brackets"},
    **{"string": "strings of code", "comment": "comments", "item": "lists", "code": "code"},
    **{"sentence_start": "starts of sentences", "line_start": "starts of lines"},
}
_COMMON_WORDS = frozenset(
    "a an and any are as at be by can case for from in is it its like of on or such that the this to token tokens "
    "with word words text feature fires activates when where which who after before about related".split()
)
_SAID = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Evidence:
    """Shares of words, of predicates and of what is said, by feature."""

    words: Sequence[str]
    share_NW: csr_matrix
    kinds: Sequence[str]
    share_NQ: NDArray[np.float32]
    said: Sequence[str]
    says_NS: csr_matrix


def cluster_names(cluster_LN: NDArray[np.int32], evidence: Evidence) -> list[list[list[str]]]:
    """Return a name, in words, of each cluster at every level; without any word where nothing tells it from others."""
    return [_names(cluster_N, evidence) for cluster_N in cluster_LN]


def gather(
    store: FeatureStore,
    notes: Mapping[int, FeatureNotes],
    explanations: Explanations,
    feature_N: NDArray[np.int32],
    progress: Progress,
) -> Evidence:
    """Read the strongest tokens of some features, and what is said of them.

    Raises:
        MonosemError: the index is damaged.
    """
    said, says_NS = _said(notes, explanations, feature_N)
    if store.plan.of_array:  # rows of an array have no text
        nothing = csr_matrix((len(feature_N), 0), dtype=np.float32)
        return Evidence([], nothing, [], np.zeros((len(feature_N), 0), np.float32), said, says_NS)
    place_NM = np.full((len(feature_N), STRONGEST), -1, np.int64)
    with progress.task("reading examples", len(feature_N), "features") as bar:
        for row, feature in enumerate(feature_N.tolist()):
            found = store.postings(feature, 0, STRONGEST).token
            place_NM[row, : len(found)] = found
            bar.advance(1)
    corpus = RuleCorpus(store)
    words, share_NW = _words(store, corpus.token_N, place_NM)
    with progress.task("states of the text", len(_predicates()), "predicates") as bar:
        shares = []
        for predicate in _predicates().values():
            shares.append(_mean(corpus.holds(predicate), place_NM))
            bar.advance(1)
    scripts, scripted = _scripts(corpus, place_NM)
    return Evidence(words, share_NW, [*_predicates(), *scripts], np.stack([*shares, *scripted], axis=1), said, says_NS)


def _predicates() -> dict[str, Predicate]:
    """Return the predicates that may name a cluster, by the word that does."""
    languages = {LANGUAGE_NAMES[one]: Predicate("language", (one,)) for one in LANGUAGES}
    return {word: Predicate(name) for name, word in _KINDS.items()} | languages


def _mean(holds: NDArray[np.bool_], place_NM: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the share of each feature's places at which something holds; places of −1 are none."""
    there_NM = place_NM >= 0
    found: NDArray[np.float32] = (
        (holds[place_NM] & there_NM).sum(axis=1) / np.maximum(1, there_NM.sum(axis=1))
    ).astype(np.float32)
    return found


def _scripts(corpus: RuleCorpus, place_NM: NDArray[np.int64]) -> tuple[list[str], list[NDArray[np.float32]]]:
    """Return the scripts other than Latin of the strongest tokens, and their shares."""
    token_T, inverse = np.unique(corpus.token_N[place_NM], return_inverse=True)
    of_token = [script_of(corpus.classes.texts[token]) for token in token_T.tolist()]
    names = sorted(set(of_token) - {"", "Latin"})
    script_NM = np.array([names.index(one) if one in names else -1 for one in of_token])[inverse].reshape(
        place_NM.shape
    )
    size_N = np.maximum(1, (place_NM >= 0).sum(axis=1))
    shares = [
        (((script_NM == number) & (place_NM >= 0)).sum(axis=1) / size_N).astype(np.float32)
        for number in range(len(names))
    ]
    return [f"{name} letters" for name in names], shares


def _words(
    store: FeatureStore, token_T: NDArray[np.int32], place_NM: NDArray[np.int64]
) -> tuple[list[str], csr_matrix]:
    """Return the words of the strongest tokens, in lower case and without spaces around, and their shares."""
    row, column = np.nonzero(place_NM >= 0)
    ids, inverse = np.unique(token_T[place_NM[row, column]], return_inverse=True)
    texts = [text.strip().casefold()[:LONGEST] for text in store.vocabulary.strings(ids.tolist())]
    words = sorted({text for text in texts if text and "\ufffd" not in text})
    number = {word: at for at, word in enumerate(words)}
    word_I = np.array([number.get(text, -1) for text in texts], np.int64)
    word = word_I[inverse] if len(ids) else np.zeros(0, np.int64)
    kept = word >= 0
    size_N = np.maximum(1, (place_NM >= 0).sum(axis=1))
    shares = csr_matrix(
        ((1 / size_N[row[kept]]).astype(np.float32), (row[kept], word[kept])), (len(place_NM), len(words))
    )
    return words, shares


def _said(
    notes: Mapping[int, FeatureNotes], explanations: Explanations, feature_N: NDArray[np.int32]
) -> tuple[list[str], csr_matrix]:
    """Return tags, and words of labels and of models' explanations, and which features have them."""
    explained = set(explanations.features)
    pairs = []
    for row, feature in enumerate(feature_N.tolist()):
        note = notes.get(feature)
        texts = [note.label] if note else []
        texts += [one.text for one in explanations.of(feature) if one.author != RULES] if feature in explained else []
        found = {word.casefold() for text in texts for word in _SAID.findall(text)} - _COMMON_WORDS
        found |= {f"#{tag}" for tag in note.tags} if note else set()
        pairs += [(row, word[:LONGEST]) for word in sorted(found)]
    words = sorted({word for _, word in pairs})
    number = {word: at for at, word in enumerate(words)}
    shape = len(feature_N), len(words)
    columns = [number[word] for _, word in pairs]
    return words, csr_matrix((np.ones(len(pairs), np.float32), ([row for row, _ in pairs], columns)), shape)


def _names(cluster_N: NDArray[np.int32], evidence: Evidence) -> list[list[str]]:
    """Return the names of one level's clusters."""
    size_C = np.bincount(cluster_N)
    mean_CN = csr_matrix(
        ((1 / size_C[cluster_N]).astype(np.float32), (cluster_N, np.arange(len(cluster_N)))),
        (len(size_C), len(cluster_N)),
    )
    said_CS, word_CW = mean_CN @ evidence.says_NS, mean_CN @ evidence.share_NW
    kind_CQ = mean_CN @ evidence.share_NQ
    all_S, all_W = (np.asarray(share.mean(axis=0)).ravel() for share in (evidence.says_NS, evidence.share_NW))
    all_Q = evidence.share_NQ.mean(axis=0)
    found = []
    for cluster in range(len(size_C)):
        said, word = said_CS[cluster], word_CW[cluster]
        kinds = evidence.kinds, np.arange(len(all_Q)), kind_CQ[cluster], all_Q
        words = evidence.words, word.indices, word.data, all_W
        names = _telling(evidence.said, said.indices, said.data, all_S, LEAST_SAID, WORDS)
        names += [*_telling(*kinds, LEAST_KIND, KINDS), *_telling(*words, LEAST_WORD, WORDS)]
        if not names:
            names = _telling(*kinds, LEAST_WEAK_KIND, 1, lift=LEAST_WEAK_LIFT)
            names += _telling(*words, LEAST_WEAK_WORD, WEAK_WORDS, lift=LEAST_WEAK_LIFT)
            names[:1] = [WEAK + name for name in names[:1]]
        found.append(list(dict.fromkeys(names)))
    return found


def _telling(
    names: Sequence[str],
    column_I: NDArray[np.integer],
    share_I: NDArray[np.float32],
    all_W: NDArray[np.float32],
    least: float,
    most: int,
    *,
    lift: float = LEAST_LIFT,
) -> list[str]:
    """Return the names of at most `most` columns that tell a cluster best from all features.

    Each has a share of at least `least`, `lift` times that among all features.
    """
    usual_I = np.maximum(all_W[column_I], 1e-9)
    score_I = np.where((share_I >= least) & (share_I >= lift * usual_I), share_I * np.log(share_I / usual_I + 1e-12), 0)
    order = np.lexsort((column_I, -score_I))[:most]
    return [names[column_I[at]] for at in order if score_I[at] > 0]
