"""Marks, verdicts, hypotheses and figures, each on its own; answers may be anything."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.endpoint.chat import Answer, AnswerToken, LikelyToken, TokenUse
from engine.explainer.hypotheses import LONGEST_SENTENCE, Hypothesis, read_hypothesis
from engine.explainer.judge_scores import JudgedText, judge_score
from engine.explainer.judgements import FEWEST_SILENT, right_marks, wrong_marks
from engine.explainer.verdicts import read_verdict
from engine.explainer.visible_text import marked_text, tenths, visible


def said(text: str, *tokens: AnswerToken, is_cut: bool = False) -> Answer:
    return Answer(text, TokenUse(1, 1), is_cut, tokens)


def token(text: str, **likeliest: float) -> AnswerToken:
    return AnswerToken(text, tuple(LikelyToken(name, math.log(p)) for name, p in likeliest.items()))


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("yes", 1.0),
        ("No.", 0.0),
        (" **Yes**, it does.", 1.0),
        ("<think>No, not at all. yes? no</think>\n\nyes", 1.0),
        ("reasoning that began elsewhere, no</think> Yes", 1.0),
        ("The text is about boats, which the explanation describes, so yes", 1.0),
        ("I first thought yes, but no", 0.0),
        ("nothing of the kind", None),
        ("yesterday", None),
        ("", None),
        ("<think>yes, yes, yes", None),
    ],
)
def test_verdicts_in_words(text: str, yes: float | None) -> None:
    verdict = read_verdict(said(text))
    assert (verdict.yes, verdict.is_answer) == ((yes, True) if yes is not None else (0.5, False))
    assert not verdict.is_graded


def test_half_an_answer_is_a_verdict_only_if_it_begins_with_it() -> None:
    assert read_verdict(said("Yes, because the", is_cut=True)).yes == 1.0
    assert not read_verdict(said("At first sight no, but then", is_cut=True)).is_answer


def test_verdicts_from_probabilities() -> None:
    graded = read_verdict(said("yes", token("yes", **{"yes": 0.5, "Yes": 0.1, "no": 0.2, "maybe": 0.2})))
    assert graded.is_graded and graded.yes == pytest.approx(0.75)
    later = read_verdict(
        said(
            "Well, no it is not. no",
            token("Well", yes=0.9, no=0.1),
            token(" no", yes=0.8, no=0.2),
            token(" no", yes=0.1, no=0.3),
        )
    )
    assert later.yes == pytest.approx(0.25)  # the last one
    unsaid = read_verdict(said("maybe", token("maybe", yes=0.3, no=0.1, maybe=0.6)))
    assert unsaid.yes == pytest.approx(0.75) and unsaid.is_answer
    assert not read_verdict(said("maybe", token("maybe", maybe=0.9))).is_answer


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EXPLANATION: boats\nPATTERN: \\b(boat|ship)s?\\b", Hypothesis("boats", "\\b(boat|ship)s?\\b")),
        ("**Explanation:** `boats` on **water**\n**Pattern:** `boat`", Hypothesis("boats on water", "boat")),
        ("- explanation: “boats”\n- pattern: /boat/", Hypothesis("boats", "boat")),
        ("Explanation: boats\nPattern: NONE", Hypothesis("boats")),
        ("EXPLANATION: boats", Hypothesis("boats")),
        ("EXPLANATION: wrong\nPATTERN: x\nBetter:\nEXPLANATION: right\nPATTERN: y", Hypothesis("right", "y")),
        ("<think>EXPLANATION: wrong\n</think>EXPLANATION: boats\nPATTERN: a", Hypothesis("boats", "a")),
        ("EXPLANATION: boats\x1b[31m\u202e and\u2028ships", Hypothesis("boats [31m and ships")),
        ("Boats.", None),
        ("EXPLANATION: -", None),
        ("", None),
    ],
)
def test_hypotheses(text: str, expected: Hypothesis | None) -> None:
    assert read_hypothesis(said(text)) == expected


def test_half_a_hypothesis() -> None:
    assert read_hypothesis(said("EXPLANATION: words that are ab", is_cut=True)) is None
    half = read_hypothesis(said("EXPLANATION: boats\nPATTERN: (boat|shi", is_cut=True))
    assert half == Hypothesis("boats", remark="the answer broke off inside its pattern")
    ended = read_hypothesis(said("EXPLANATION: boats\nPATTERN: boat\nThat is beca", is_cut=True))
    assert ended == Hypothesis("boats", "boat")


@settings(max_examples=50)
@given(st.text(max_size=800), st.booleans())
def test_any_answer_is_survived_and_bounded(text: str, is_cut: bool) -> None:
    for wrapped in (text, f"EXPLANATION: {text}\nPATTERN: {text}"):
        verdict = read_verdict(said(wrapped, is_cut=is_cut))
        assert 0 <= verdict.yes <= 1
        hypothesis = read_hypothesis(said(wrapped, is_cut=is_cut))
        if hypothesis is not None:
            assert len(hypothesis.sentence) <= LONGEST_SENTENCE and hypothesis.sentence.isprintable()
            assert hypothesis.pattern is None or hypothesis.pattern.isprintable()


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=12), st.data())
def test_text_of_a_corpus_stays_on_its_line_and_cannot_forge_marks(tokens: list[bytes], data: st.DataObject) -> None:
    marks = data.draw(st.lists(st.sampled_from([None, "", "7"]), min_size=len(tokens), max_size=len(tokens)))
    line = marked_text(tokens, marks)
    assert line.isprintable() and "\n" not in line
    assert line.count("⟦") == line.count("⟧") == sum(mark is not None for mark in marks)


def test_visible_text() -> None:
    assert visible("a\n\tb\u200b⟦x⟧\x1b[0m é 日") == "a↵⇥b⟨U+200B⟩[x]⟨U+001B⟩[0m é 日"


@pytest.mark.parametrize(
    ("act", "expected"), [(0, 0), (-1, 0), (0.001, 1), (1, 1), (1.01, 2), (9.5, 10), (10, 10), (99, 10)]
)
def test_tenths(act: float, expected: int) -> None:
    assert tenths(act, 10.0) == expected


@given(st.lists(st.sampled_from([0.0, 0.0, 0.5, 2.0, 4.0]), min_size=1, max_size=32), st.integers(0, 99))
def test_wrong_marks_are_as_many_and_silent(acts: list[float], seed: int) -> None:
    act_T = np.array(acts, np.float32)
    right_T = right_marks(act_T)
    wrong_T = wrong_marks(right_T, act_T > 0, np.random.default_rng(seed))
    assert (act_T[right_T] > 0).all()
    if wrong_T is None:
        assert not right_T.any() or (act_T <= 0).sum() < FEWEST_SILENT
    else:
        assert wrong_T.sum() == right_T.sum() > 0 and not (act_T[wrong_T] > 0).any()


def texts(yes: list[tuple[bool, float, int, int]]) -> list[JudgedText]:
    return [JudgedText(*one) for one in yes]


@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 9), st.integers(0, 2)),
        min_size=8,
        max_size=30,
    )
)
def test_the_area_against_a_count_of_all_pairs(rows: list[tuple[bool, float, int, int]]) -> None:
    score = judge_score(texts(rows), rounds=20)
    sides = [[row for row in rows if row[0] == side] for side in (True, False)]
    if score is None:
        assert min(map(len, sides)) < 3 or len({row[2] for row in rows}) < 3
        return

    def weight(row: tuple[bool, float, int, int]) -> float:
        return 1 / sum(other[0] == row[0] and other[3] == row[3] for other in rows)

    pairs = [(weight(a) * weight(b), float(a[1] > b[1]) + 0.5 * (a[1] == b[1])) for a in sides[0] for b in sides[1]]
    assert score.value == pytest.approx(sum(w * over for w, over in pairs) / sum(w for w, _ in pairs))
    assert score.low <= score.value <= score.high


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Documents of two texts each that agree; the judge is right about 80 % of documents: balanced accuracy .8."""
    rng, held = np.random.default_rng(0), 0
    for _ in range(100):
        rows = []
        for document in range(40):
            positive, right = document % 2 == 0, rng.random() < 0.8
            rows += [(positive, float(positive == right), document, 0)] * 2
        score = judge_score(texts(rows), rounds=200)
        assert score is not None
        held += score.low <= 0.8 <= score.high
    assert 85 <= held <= 100
