"""Patterns of the planted concepts hold on the characters of the corpus's own spans."""

from __future__ import annotations

import re

import pytest

from engine.corpus.planted.concept_patterns import named_concepts, planted_concepts
from engine.corpus.planted.generator import CONCEPTS, PlantedCorpus
from store.files.errors import MonosemError


def test_patterns_hold_on_the_characters_of_the_spans() -> None:
    corpus, numbers = PlantedCorpus(400), {one.name: number for number, one in enumerate(CONCEPTS)}
    patterns = {one.name: re.compile(one.pattern) for one in planted_concepts().concepts}
    assert [one.name for one in CONCEPTS if not one.name.startswith("topic ")] == list(patterns)
    seen = set()
    for document in range(corpus.count):
        text, spans = corpus.text(document), corpus.spans(document)
        for name, pattern in patterns.items():
            wanted = {at for one in spans if one.concept == numbers[name] for at in range(one.start, one.end)}
            found = {at for match in pattern.finditer(text) for at in range(*match.span())}
            assert found == wanted, (name, document, text)
            seen |= {name} if wanted else set()
    assert seen == set(patterns)


def test_the_planted_list_has_a_name_among_the_others() -> None:
    assert named_concepts("planted") == planted_concepts()
    assert named_concepts("calendar").name == "calendar"
    with pytest.raises(MonosemError, match="no list of concepts at planed"):
        named_concepts("planed")
