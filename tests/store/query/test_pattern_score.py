"""Figures of a regular expression against dense counting, and the process that scores it."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query.pattern_process import PatternScorer, PatternTooSlow
from store.query.pattern_score import score_pattern
from store.rules.halves import document_halves
from tests.sample_run import Sample, build_sample


@pytest.fixture(scope="module", params=[True, False], ids=["features.h5", "segments"])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return build_sample(tmp_path_factory.mktemp("run") / "r", n_contexts=300, merged=request.param)


ASKED = [(0, "sea|boat|fish"), (2, " she| her"), (4, "the|a|and|sea"), (0, "sea found")]


@pytest.mark.parametrize(("feature", "pattern"), ASKED)
def test_against_dense_counting(sample: Sample, feature: int, pattern: str) -> None:
    with FeatureStore.open(sample.run.path) as store:
        score = score_pattern(store, feature, pattern)
        assert score is not None
        judged_N = document_halves(store).measuring_N
        strings = [store.vocabulary.token(int(i)).decode("utf-8", "replace") for i in sample.token_N]
        if pattern == "sea found":
            first, last = pattern.split(" ")
            pairs = [a.strip() == first and b.strip() == last for a, b in pairwise(strings)]
            contexts = store.contexts_of(np.arange(store.n_tokens))
            documents = store.documents_of(np.arange(store.n_tokens))
            same_N = (np.diff(contexts) == 0) & (np.diff(documents) == 0)
            ends_N = np.append(False, np.array(pairs) & same_N)
            matched_N = ends_N | np.append(ends_N[1:], False)
        else:
            matched_N = ends_N = np.array([bool(re.search(pattern, text)) for text in strings])
    if score.extent == "last":
        judged_N &= ends_N | ~matched_N
        matched_N = ends_N
    act_N = sample.dense_NF[:, feature].astype(np.float64)
    fires_N = act_N >= score.threshold
    hits, fired, matched = ((judged_N & one).sum() for one in (fires_N & matched_N, fires_N, matched_N))
    assert score.matched == matched
    assert score.precision.value == pytest.approx(hits / matched)
    assert score.recall.value == pytest.approx(hits / fired)
    assert score.f1.value == pytest.approx(2 * hits / (fired + matched))
    here, there = act_N[judged_N & matched_N], act_N[judged_N & ~matched_N]
    area = (np.greater.outer(here, there) + 0.5 * np.equal.outer(here, there)).mean()
    assert score.auroc is not None and score.auroc.value == pytest.approx(area)
    r = np.corrcoef(matched_N[judged_N], act_N[judged_N])[0, 1]
    assert score.r is not None and score.r.value == pytest.approx(r)
    for figure in (score.precision, score.recall, score.f1, score.auroc, score.r):
        assert figure.low <= figure.value <= figure.high


def test_the_threshold_comes_from_the_other_half(sample: Sample) -> None:
    """Activations of the judging half do not change it."""
    with FeatureStore.open(sample.run.path) as store:
        score = score_pattern(store, 0, "sea|boat|water|fish|swim|ocean|beach")
        learnt_N = document_halves(store).choosing_N
    assert score is not None and score.f1.value > 0.99
    act_N = sample.dense_NF[learnt_N, 0]
    assert score.threshold == act_N[act_N > 0].min()


def test_a_pattern_that_says_nothing(sample: Sample) -> None:
    with FeatureStore.open(sample.run.path) as store:
        assert score_pattern(store, 0, "zzz") is None
        assert score_pattern(store, store.d_sae - 1, "the") is None  # it never fires
        with pytest.raises(MonosemError, match="not a regular expression"):
            score_pattern(store, 0, "(")


def test_the_process_gives_the_same_and_survives_what_takes_for_ever(sample: Sample) -> None:
    path: Path = sample.run.path
    with FeatureStore.open(path) as store:
        expected = score_pattern(store, 1, "said", 3)
        n_tokens = store.n_tokens
    with PatternScorer(path, n_tokens, limit=10.0) as scorer:
        assert scorer.score(1, "said", 3) == expected
        child = scorer._process
        assert scorer.score(1, "zzz") is None
        with pytest.raises(MonosemError, match="not a regular expression"):
            scorer.score(1, "(")
        assert scorer._process is child  # one process for all
        scorer._limit, began = 0.5, time.monotonic()
        with pytest.raises(PatternTooSlow):
            scorer.score(1, r"(\w+\s?)+zz")
        assert time.monotonic() - began < 5
        scorer._limit = 10.0
        assert scorer.score(1, "said", 3) == expected
        child = scorer._process
    assert child is not None and child.poll() is not None


def test_the_process_ends_with_its_parent(sample: Sample) -> None:
    with PatternScorer(sample.run.path, 1000, limit=0.3) as scorer:
        with pytest.raises(PatternTooSlow):
            child = scorer._process = scorer._started()
            assert child.stdin is not None
            scorer.score(1, r"(\w+\s?)+zz")
        assert child.poll() is not None
        child = scorer._started()
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(b'[1, "(\\\\w+\\\\s?)+zz", 0]\n')
        child.stdin.flush()
        time.sleep(1.0)  # it is matching
        assert child.poll() is None
        child.stdin.close()
        child.wait(timeout=10)
        child.stdout.close()
