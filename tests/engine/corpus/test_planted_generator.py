"""The planted corpus: always the same, and its spans are where a plain reader of the text finds them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest

from engine.corpus.data_argument import open_corpus
from engine.corpus.planted.generator import CONCEPTS, DEFAULT_DOCUMENTS, PlantedCorpus
from engine.corpus.planted.lexicon import (
    CLASS_CONCEPTS,
    CLASSES,
    LEADERS,
    SECOND_NOUNS,
    SECOND_PARTICLES,
    SECOND_VERBS,
    TOPICS,
    WORDS,
)
from engine.jobs.subject import pinned
from store.files.errors import MonosemError
from store.settings.subject import SubjectSettings
from tests.patience import PATIENCE

CORPUS = PlantedCorpus(300)
Place = tuple[int, int]


def found(name: str, kind: str, number: int) -> list[Place]:
    """Places of a concept according to the corpus."""
    return [
        (start, end)
        for concept, start, end in CORPUS.spans(number)
        if CONCEPTS[concept].name == name and CONCEPTS[concept].kind == kind
    ]


def matches(pattern: str, text: str, group: int = 0) -> list[Place]:
    return [one.span(group) for one in re.finditer(pattern, text)]


def texts() -> Iterator[tuple[int, str]]:
    return ((document.number, document.text) for document in CORPUS.documents())


def either_case(word: str) -> str:
    """In any case, unless the capital makes another word: the month is not the verb."""
    if word == "march":
        return word
    return f"(?:{word}|{word[0].upper() + word[1:]})"


def test_the_text_is_always_the_same() -> None:
    """On every machine: only a digest taken elsewhere can tell."""
    assert PlantedCorpus(50).digest() == "c1ebab68458a925ca2c5a42326515b4349e881b360578e6ae7fc9d38851b132d"
    assert PlantedCorpus(10, 36000).digest() == "2bf4d4776d3e02e876ce8a5450373ca7c5f596b778dc30790990acdadfeb7c3c"
    led = PlantedCorpus.parse("planted:absorption:50")
    assert led.digest() == "96881fa0b49a2d348cd470111c2d7ccda92a857cae9365ec72cedea39522280b"


@pytest.mark.parametrize("spec", ["", ":500", ":36000-37000"])
def test_a_led_corpus_has_the_same_forms(spec: str) -> None:
    found = PlantedCorpus.parse(f"planted:absorption{spec}")
    assert found.spec == f"planted:absorption{spec}"
    assert (found.led, found.count) == (True, PlantedCorpus.parse(f"planted{spec}").count)
    with pytest.raises(MonosemError, match="is not a planted corpus"):
        PlantedCorpus.parse(f"planted:absorbed{spec}")


def test_a_led_class_has_a_frequent_word_with_a_continuation_of_its_own() -> None:
    led, even = (PlantedCorpus.parse(f"planted{name}:600") for name in (":absorption", ""))
    counts = [Counter(word for number in range(600) for word, _ in corpus.words(number)) for corpus in (led, even)]
    text = "\n".join(led.text(number) for number in range(600))
    for name, (leader, share, phrase) in LEADERS.items():
        rates = [count[leader] / sum(count[word] for word in CLASSES[name]) for count in counts]
        assert 0.2 < rates[0] - 0.7 * rates[1] < 0.4, name
        followed = re.findall(rf"\b{leader}\b(?: ({phrase}))?", text)
        assert share - 0.06 < sum(map(bool, followed)) / len(followed) < share + 0.06
        others = [word for word in CLASSES[name] if word != leader]
        assert not any(f"{word} {phrase}" in text for word in others)


def test_another_process_writes_the_same() -> None:
    code = "from engine.corpus.planted.generator import PlantedCorpus; print(PlantedCorpus(20).digest())"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert made.stdout.strip() == PlantedCorpus(20).digest()


def test_a_document_depends_on_its_number_alone() -> None:
    longer = list(islice(PlantedCorpus(10_000_000).documents(), 300))
    assert [document.text for document in longer] == [text for _, text in texts()]
    assert [document.number for document in longer] == list(range(300))
    assert PlantedCorpus(20).digest() != PlantedCorpus(21).digest()


def test_documents_are_as_corpora_have_them() -> None:
    """No white space at the edges, nothing empty, no two alike."""
    all_texts = [text for _, text in texts()]
    assert all(text and text == text.strip() for text in all_texts)
    assert len(set(all_texts)) == len(all_texts)


@pytest.mark.parametrize(
    ("spec", "count"), [("planted", DEFAULT_DOCUMENTS), ("planted:7", 7), ("planted:1000000", 10**6)]
)
def test_it_is_opened_by_name(spec: str, count: int) -> None:
    corpus = open_corpus(spec)
    assert isinstance(corpus, PlantedCorpus)
    assert (corpus.count, corpus.spec) == (count, spec)
    assert pinned(SubjectSettings(data=spec)) == SubjectSettings(data=spec)


def test_documents_behind_others_are_those_of_a_longer_corpus() -> None:
    part = PlantedCorpus.parse("planted:40-300")
    assert part == PlantedCorpus(260, 40)
    assert part.spec == "planted:40-300"
    assert PlantedCorpus.parse("planted:0-36000").spec == "planted"
    assert [document.text for document in part.documents()] == [one.text for one in CORPUS.documents()][40:]
    assert (part.text(7), part.spans(7)) == (CORPUS.text(47), CORPUS.spans(47))
    assert part.digest() != PlantedCorpus(260).digest()


@pytest.mark.parametrize(
    "spec",
    ["planted:", "planted:0", "planted:x", "planted:-3", "planted:1.5", "planted:5-5", "planted:9-2", "planted:3-"],
)
def test_what_it_is_not(spec: str) -> None:
    with pytest.raises(MonosemError, match="planted"):
        open_corpus(spec)


def test_quotations_are_between_quotation_marks() -> None:
    n = 0
    for number, text in texts():
        wanted = matches(r'("[^"]*)"', text, 1)
        assert found("quotation", "state", number) == wanted
        n += len(wanted)
    assert n > 100


def test_lists_are_lines_with_bullets() -> None:
    n = 0
    for number, text in texts():
        wanted = matches(r"(?m)(?:^- .*\n?)+(?<!\n)", text)
        assert found("list", "state", number) == wanted
        n += len(wanted)
    assert n > 50


def test_parentheses_are_between_brackets() -> None:
    for number, text in texts():
        assert found("parenthesis", "state", number) == matches(r"\(([^)]*)\)", text, 1)


def test_questions_begin_with_did_and_end_with_a_question_mark() -> None:
    for number, text in texts():
        assert found("question", "state", number) == matches(r"\bDid [^?]*\?", text)
        assert text.count("?") == len(found("question", "state", number))


def test_letters_begin_with_dear_and_end_with_a_name() -> None:
    for number, text in texts():
        assert found("letter (state)", "state", number) == matches(r"\bDear [\w ]+,\n.*\nYours, \w+(?: \w+)?", text)


def test_the_second_language_is_where_its_words_are() -> None:
    words = "|".join(either_case(word) for word in (*SECOND_NOUNS, *SECOND_VERBS, *SECOND_PARTICLES))
    for number, text in texts():
        inside = [place for start, end in found("second language", "state", number) for place in range(start, end)]
        spelt = [place for start, end in matches(rf"\b(?:{words})\b", text) for place in range(start, end)]
        assert set(spelt) <= set(inside)
        assert {text[place] for place in set(inside) - set(spelt)} <= {" ", "."}


def test_a_topic_is_all_of_a_document() -> None:
    titled = 0
    for number, text in texts():
        topics = [name for name in TOPICS if found(f"topic {name}", "state", number)]
        assert len(topics) <= 1
        for name in topics:
            assert found(f"topic {name}", "state", number) == [(0, len(text))]
        if title := re.match(r"# (\w+)\n", text):
            assert [title[1]] == topics
            titled += 1
    assert titled > 100


@pytest.mark.parametrize("word", WORDS)
def test_words_are_where_they_are_spelt(word: str) -> None:
    assert any(found(word, "word", number) for number in range(300))
    for number, text in texts():
        assert found(word, "word", number) == matches(rf"\b{either_case(word)}\b", text)


@pytest.mark.parametrize("name", CLASS_CONCEPTS)
def test_classes_are_where_their_words_are_spelt(name: str) -> None:
    words = "|".join(either_case(word) for one in CLASS_CONCEPTS[name] for word in CLASSES[one])
    for number, text in texts():
        assert found(name, "class", number) == matches(rf"\b(?:{words})\b", text)


def test_no_word_is_of_two_classes() -> None:
    words = [word for one in CLASSES.values() for word in one]
    topical = [word for topic in TOPICS.values() for field in topic[1:] for word in field]
    assert len(set(words + topical)) == len(words + topical)


def test_every_class_is_part_of_a_concept() -> None:
    assert sorted(one for sets in CLASS_CONCEPTS.values() for one in sets) == sorted(CLASSES)


def test_concepts_overlap() -> None:
    """A word in a class in a quotation under a topic: one character, four concepts."""
    most = 0
    for number in range(300):
        spans = CORPUS.spans(number)
        most = max(most, *(sum(one.start <= place < one.end for one in spans) for place in (s.start for s in spans)))
    assert most >= 4


def test_no_two_concepts_have_one_name() -> None:
    assert len({one.name for one in CONCEPTS}) == len(CONCEPTS)
