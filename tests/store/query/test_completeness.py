"""Completeness: many concepts in one pass answer as `find` does for each, which brute force proves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query import completeness as module
from store.query.completeness import Completeness, completeness
from store.query.concept_lists import EMBEDDED, Concept, ConceptList, read_concepts
from store.query.concept_scan import AT_ONCE, ConceptScan
from store.query.find import FindOptions, Question, find
from store.query.pattern_tokens import compile_pattern, text_matches, whole
from store.query.scores import TokenTotals
from store.rules.halves import document_halves
from tests.sample_run import CONCEPTS, WORDS, build_sample
from tests.store.raw import build_store, random_raw

LIST = ConceptList(
    "words",
    (
        *(Concept(word, rf"\b{word}\b") for word in WORDS),
        Concept("water", "|".join(CONCEPTS[0])),
        Concept("water by a rule", f"word({', '.join(f'{chr(34)}{word}{chr(34)}' for word in CONCEPTS[0])})", True),
        Concept("nothing", "zebra"),
    ),
)


def last(store: FeatureStore, concepts: ConceptList = LIST, **more: int) -> Completeness:
    *_, found = completeness(store, concepts, **more)
    assert isinstance(found, Completeness)
    return found


@pytest.mark.parametrize("merged", [True, False])
def test_each_concept_has_the_figures_that_find_gives(tmp_path: Path, merged: bool) -> None:
    sample = build_sample(tmp_path / "run", n_contexts=60, merged=merged)
    with FeatureStore.open(sample.run.path) as store:
        halves, counted_N = document_halves(store), store.layout.counted_tokens()
        found = last(store, most=3, least=8)
        assert len(LIST.concepts) > AT_ONCE
        for one, concept in zip(found.concepts, LIST.concepts, strict=True):
            if concept.is_rule:
                continue
            matched_N = whole(text_matches(store, compile_pattern(concept.pattern))).matched_N
            assert one.tokens == (matched_N & counted_N).sum()
            counts = [int((matched_N & half_N).sum()) for half_N in (halves.choosing_N, halves.measuring_N)]
            assert one.judged == (sum(counts) >= 8 and min(counts) >= 4)
            if not one.judged:
                assert one.one is None
                continue
            question = Question(concept.name, counted_N, matched_N, halves.measuring_N)
            wanted = find(store, question, FindOptions(top=1, most=3, held_out=True))
            if not wanted.results:
                assert (one.one, one.several) == (None, None)
                continue
            assert one.one is not None
            assert one.several is not None
            assert wanted.union is not None
            assert (one.one.features[0], one.one.thresholds[0]) == wanted.results[0].choice
            assert one.one.tally == wanted.results[0].tally
            assert tuple(zip(one.several.features, one.several.thresholds, strict=True)) == wanted.union.choices
            assert one.several.tally == wanted.union.tally
        by_pattern, by_rule, absent = found.concepts[-3:]
        assert by_pattern.one == by_rule.one
        assert by_pattern.one is not None
        assert by_pattern.one.features == (0,)
        assert by_pattern.one.tally.precision == 1
        assert (absent.tokens, absent.judged) == (0, False)
        assert found.found == sum(one.one is not None and one.one.tally.f1 >= 0.5 for one in found.judged) > 0
        decades = found.decades()
        assert sum(part.concepts for part in decades) == len(found.judged)
        assert sum(part.found for part in decades) == found.found
        assert sum(part.found_by_several for part in decades) == found.found_by_several


@pytest.mark.parametrize("seed", range(12))
def test_ties_and_blocks_are_settled_as_find_does(tmp_path: Path, seed: int) -> None:
    """Random activations of few values, blocks of few entries, several files."""
    rng = np.random.default_rng(seed)
    raw = random_raw(seed, d_sae=7, n_contexts=9, longest=8)
    build_store(tmp_path / "run", raw, 3, merged=bool(seed % 2))
    with FeatureStore.open(tmp_path / "run") as store:
        counted_N = store.layout.counted_tokens()
        masks = [rng.random(store.n_tokens) < share for share in (0.1, 0.4, 0.8)]
        codes_N = sum((mask.astype(np.uint64) << np.uint64(i) for i, mask in enumerate(masks)), np.uint64(0))
        totals = [TokenTotals(int(counted_N.sum()), int((counted_N & mask).sum())) for mask in masks]
        scan = ConceptScan(store, counted_N, entries=1 + seed)
        best = scan.best(np.asarray(codes_N, np.uint64), np.zeros(store.n_tokens, np.uint64), totals, [()] * 3)
        for mask, one in zip(masks, best, strict=True):
            if not (mask & counted_N).any():
                assert one is None
                continue
            found = find(store, Question("some", counted_N, mask), FindOptions(top=1, most=0))
            assert (one is None) == (not found.results)
            if one is not None:
                assert (one.choice, one.f1) == (found.results[0].choice, found.results[0].tally.f1)


def test_an_index_of_one_document_cannot_be_halved(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "run", n_contexts=1, segments=1)
    with FeatureStore.open(sample.run.path) as store, pytest.raises(MonosemError, match="two halves"):
        last(store)


def test_a_list_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text('# mine\n\nwater\tsea|boat\nquoted\trule:quote & word("sea")\n', encoding="utf-8")
    found = read_concepts(str(path))
    assert found.name == "mine"
    assert found.concepts == (Concept("water", "sea|boat"), Concept("quoted", 'quote & word("sea")', is_rule=True))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("water", "line 1: no name, tab and pattern"),
        ("water\t(", "line 1: "),
        ("a\tb\nwater\trule:nothing", "line 2: "),
        ("a\tb\na\tc", "line 2: a second concept called a"),
        ("# only this", "has 0 concepts"),
        (b"\xff\tb", "is not UTF-8"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, text: str | bytes, reason: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(MonosemError) as caught:
        read_concepts(str(path))
    assert reason in caught.value.what


def test_embedded_lists_are_sound(tmp_path: Path) -> None:
    sample = build_sample(tmp_path / "run")
    with FeatureStore.open(sample.run.path) as store:
        for name in EMBEDDED:
            found = last(store, read_concepts(name))
            assert len(found.concepts) >= 10
            assert len({one.concept.name for one in found.concepts}) == len(found.concepts)
    with pytest.raises(MonosemError, match="no list of concepts at nowhere"):
        read_concepts("nowhere")


def test_the_work_does_not_grow_with_the_concepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One pass for each feature of the sets, whatever the number of concepts."""
    passes = []

    class Counted(ConceptScan):
        def best(self, *arguments: object) -> list[object]:  # type: ignore[override]
            passes.append(1)
            return super().best(*arguments)  # type: ignore[arg-type, return-value]

    monkeypatch.setattr(module, "ConceptScan", Counted)
    sample = build_sample(tmp_path / "run", n_contexts=60)
    with FeatureStore.open(sample.run.path) as store:
        last(store, ConceptList("some", LIST.concepts[:40]), most=5, least=8)
    assert len(passes) <= 5
