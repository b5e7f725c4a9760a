"""Masks within a number of bytes: the same values, whatever gives way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.rules import places, token_classes
from store.rules.grammar import Predicate
from store.rules.packed_masks import PackedMasks
from store.rules.rule_author import RuleAuthor
from tests.store.rules.corpora import TEXTS, text_store


@given(st.integers(1, 40), st.lists(st.integers(0, 5), max_size=30), st.integers(0, 20))
def test_masks_come_back_until_they_give_way(length: int, asked: list[int], most_bytes: int) -> None:
    masks = PackedMasks(length, most_bytes)
    rng = np.random.default_rng(length)
    truth = {number: rng.random(length) < 0.5 for number in range(6)}
    recent: list[int] = []
    room = max(1, most_bytes // (length // 8 + 1))
    for number in asked:
        predicate = Predicate("position", (number, number + 1))
        found = masks.get(predicate)
        assert (found is not None) == (number in recent[-room:])
        if found is None:
            masks.put(predicate, truth[number])
        else:
            np.testing.assert_array_equal(found, truth[number])
        recent = [one for one in recent if one != number] + [number]
        assert len(masks) <= room


def test_rules_are_the_same_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    words = [f"{text} {number}" for number, text in enumerate(TEXTS * 12)]
    rng = np.random.default_rng(0)
    acts = [[{0: float(rng.random() < 0.3), 1: float(rng.random())} for _ in range(200)] for _ in words]
    with text_store(words, acts, 2) as store:
        found = [RuleAuthor(store, 0).explanation(feature) for feature in (0, 1)]
        for module in (places, token_classes):
            monkeypatch.setattr(module, "KEPT_BYTES", 1)
        again = [RuleAuthor(store, 0).explanation(feature) for feature in (0, 1)]
    assert [(one.rule, one.threshold, one.scores) for one in again] == [
        (one.rule, one.threshold, one.scores) for one in found
    ]
    assert found[0].rule is not None
