"""N-grams of a feature, counted by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query.ngrams import firing_ngrams
from tests.store.raw import Raw, build_store, random_raw

WINDOWS = {"token": (0, 1), "bigram": (-1, 1), "trigram": (-2, 1), "before": (-1, 0), "after": (1, 2)}


def windows(raw: Raw, begin: int, end: int) -> dict[int, tuple[int, ...]]:
    """By the place of each counted token, the ids of its window, where its context has all of it."""
    found, place = {}, 0
    for context in raw.contexts:
        for i, token in enumerate(context):
            if token.counted and i + begin >= 0 and i + end <= len(context):
                found[place + i] = tuple(one.id for one in context[i + begin : i + end])
        place += len(context)
    return found


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.integers(1, 8), st.booleans(), st.sampled_from([1, 7, 1 << 18]))
def test_against_counting(seed: int, per_segment: int, merged: bool, block: int) -> None:
    raw = random_raw(seed, n_contexts=8, longest=8)
    with TemporaryDirectory() as folder:
        build_store(Path(folder) / "run", raw, per_segment, merged=merged)
        with FeatureStore.open(Path(folder) / "run") as store:
            for feature in range(raw.d_sae):
                entries = {entry.place: entry.act for entry in raw.falling(feature)}
                if not entries:
                    with pytest.raises(MonosemError, match="never fires"):
                        firing_ngrams(store, feature)
                    continue
                found = firing_ngrams(store, feature, top=1000, block=block)
                assert found.n_active == len(entries)
                for name, (begin, end) in WINDOWS.items():
                    by_place = windows(raw, begin, end)
                    chance = Counter(by_place.values())
                    fired = Counter(by_place[place] for place in entries if place in by_place)
                    acts: dict[tuple[int, ...], float] = defaultdict(float)
                    for place, act in entries.items():
                        if place in by_place:
                            acts[by_place[place]] += act
                    got = {ngram.tokens: ngram for ngram in found.windows[name]}
                    assert got.keys() == fired.keys()
                    shares = [ngram.share for ngram in found.windows[name]]
                    assert shares == sorted(shares, reverse=True)
                    for tokens, ngram in got.items():
                        assert (ngram.fired, ngram.occurrences) == (fired[tokens], chance[tokens])
                        assert ngram.share == pytest.approx(acts[tokens] / sum(acts.values()))
                        there = fired[tokens] / fired.total()
                        assert ngram.lift == pytest.approx(there / (chance[tokens] / chance.total()))
                        assert ngram.precision == fired[tokens] / chance[tokens]


def test_only_the_largest_shares() -> None:
    raw = random_raw(1)
    with TemporaryDirectory() as folder:
        build_store(Path(folder) / "run", raw, 4, merged=True)
        with FeatureStore.open(Path(folder) / "run") as store:
            every, some = firing_ngrams(store, 0, top=99), firing_ngrams(store, 0, top=2)
    assert {name: found[:2] for name, found in every.windows.items()} == some.windows


def test_an_index_that_contradicts_itself_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forged places, where nothing counts: one line, not a division by zero."""
    raw = random_raw(1)
    with TemporaryDirectory() as folder:
        build_store(Path(folder) / "run", raw, 4, merged=True)
        with FeatureStore.open(Path(folder) / "run") as store:
            nothing = np.zeros(store.n_tokens, bool)
            monkeypatch.setattr(type(store.layout), "counted_tokens", lambda self, **_: nothing)
            with pytest.raises(MonosemError, match="feature 0 fires on tokens that do not count"):
                firing_ngrams(store, 0)
