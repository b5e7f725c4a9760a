"""Hints while a filter, a pattern or tags are typed: for every prefix of a line they are whole, and fit their panel."""

from __future__ import annotations

import pytest

from monosem_tui.draw.spans import Role, text_of, width_of
from monosem_tui.model.pair_filter import parse_pair_filter
from monosem_tui.pages.filter_hints import PAIR_TERMS, TERMS, FilterWords, filter_hints
from monosem_tui.pages.prompt_hints import pattern_hints, tag_hints
from monosem_tui.pages.typing_hints import Completion, Fault, TypingHints, fault_of, hint_lines, hint_rows
from store.files.errors import MonosemError
from store.query.filter_parser import FilterError, parse_filter
from store.query.filters import BadFilter
from store.run.counted_noun import ROW, TOKEN

WORDS = FilterWords(labels=("the sea", "she\x1b[31m"), tags={"place": 3, "a b": 1}, maps=("graph",), feature=412)
PAIRS = FilterWords(pairs=True)


def hints(text: str, words: FilterWords = WORDS, at: int | None = None) -> TypingHints:
    problem: MonosemError | None = None
    try:
        (parse_pair_filter if words.pairs else parse_filter)(text)
    except BadFilter as error:
        problem = error
    return filter_hints(text, len(text) if at is None else at, words, problem)


@pytest.mark.parametrize("words", [WORDS, PAIRS], ids=["features", "pairs"])
def test_each_example_is_a_filter_and_what_it_completes_begins_it(words: FilterWords) -> None:
    for term in words.terms:
        assert hints(term.example, words).fault is None, term.example
        assert term.form == "column" or term.example.startswith(term.typed)
        assert len(term.brief) <= 20
    assert len({term.name for term in TERMS}) == len(TERMS)


@pytest.mark.parametrize(
    ("text", "completions", "start", "said"),
    [
        ("", [term.typed for term in TERMS], 0, ""),
        ("den", ["density>"], 0, "“den” in ids"),
        ("max>5 !DEN", ["density>"], 7, "ids"),
        ("label:", ['"the sea"', "she\x1b[31m"], 6, "contains the text"),
        ('tag:"a', ['"a b"'], 4, "has the tag"),
        ("kind:c", ["context"], 5, "activation"),
        ("in:", ["graph#"], 3, "map"),
        ("like:4", ["412"], 5, "cosine"),
        ("density>", [], 8, "numbers: 0.001"),
        ("token>", [], 6, "that the token explains"),
        ("nope>1", [], 6, "columns: density, max"),
        ("nope:1", [], 5, "columns: density, max"),
        ("alive", ["alive"], 0, "fires in the index"),
        ('"two wo', [], 0, "begins with"),
    ],
)
def test_the_word_at_the_caret(text: str, completions: list[str], start: int, said: str) -> None:
    found = hints(text)
    assert [one.text for one in found.completions] == completions
    assert not completions or found.start == start
    assert said in found.words


def test_terms_of_pairs() -> None:
    assert [one.text for one in hints("o", PAIRS).completions] == ["only:", "outliers>"]
    assert [one.text for one in hints("only:", PAIRS).completions] == ["A", "B"]
    assert "over units" in hints("r<", PAIRS).words
    assert "numbers" not in hints("r<", PAIRS).words
    assert hints("mutual r<", PAIRS).fault == Fault("a number is expected after <", 9, unfinished=True)
    assert {term.name for term in PAIR_TERMS} <= {"only", "mutual", "r", "n", "cosine", "within", "covers"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("density>", Fault("a number is expected after >", 8, unfinished=True)),
        ("density>x", Fault("a number is expected after >", 8)),
        ("label:", Fault("a text is expected after label:", 6, unfinished=True)),
        ('max>1 "two', Fault("the closing quote is missing", 6, unfinished=True)),
        ("kind:x", Fault("one of token, n-gram, position, context, dense is expected after kind:", 5)),
        ("kind:cont", Fault("one of token, n-gram, position, context, dense is expected after kind:", 5, True)),
        ("!", Fault("a term is expected after !", 1, unfinished=True)),
    ],
)
def test_what_is_wrong_has_its_place_and_whether_more_text_may_mend_it(text: str, fault: Fault) -> None:
    assert hints(text).fault == fault


def test_every_prefix_of_a_filter_has_hints_that_fit() -> None:
    whole = 'density>1e-4 !label:"the \\"sea" token:" a">50% rule:{word("sea") & !quote}>1% in:graph(1,2,3,4) \x1b[31m'
    for end in range(len(whole) + 1):
        for at in (end, end // 2):
            found = hints(whole[:end], at=at)
            for cells, rows in ((60, 5), (80, 6), (200, 9), (20, 4)):
                lines = hint_lines(found, None, cells, rows, at % cells, refused=False)
                assert len(lines) == rows
                assert max(map(width_of, lines)) <= cells
                assert all(text_of(one).isprintable() for one in lines)


def test_a_fault_stands_below_its_character_in_red_once_it_is_refused() -> None:
    fault = fault_of(FilterError("max>", 4, "a number is expected after >"))
    assert fault is not None
    for pointed, refused, role in ((7, False, Role.DIM), (70, True, Role.ERROR)):
        last = hint_lines(TypingHints("x", fault=fault), None, 80, 6, pointed, refused=refused)[-1]
        assert text_of(last).index("▾") == pointed
        assert [span.role for span in last if span.text.strip()] == [role]
    away = fault_of(BadFilter("no token of the vocabulary is “x”", "There is “ x”."))
    assert away == Fault("no token of the vocabulary is “x” · There is “ x”.")
    assert "There is" in text_of(hint_lines(TypingHints("x", fault=away), None, 80, 6, None, refused=False)[-1])
    assert fault_of(None) is None


def test_completions_stand_in_columns_around_the_chosen_one() -> None:
    many = TypingHints("x", [Completion(f"word{n}", "meaning") for n in range(40)])
    text = "\n".join(map(text_of, hint_lines(many, None, 80, 6, None, refused=False)))
    assert ("word0 " in text, "word9 " in text, "+30" in text) == (True, True, True)
    shown = hint_lines(many, 12, 80, 6, None, refused=False)
    assert "word12" in "".join(span.text for one in shown for span in one if span.role is Role.CURSOR_BOLD)
    assert [hint_rows(height) for height in (8, 20, 24, 50)] == [0, 5, 6, 9]
    assert hint_lines(many, None, 80, 0, None, refused=False) == []


def test_patterns_and_tags() -> None:
    assert [one.text for one in pattern_hints("", 0, ["sea", "boat"], TOKEN).completions[:2]] == ["sea", "boat"]
    assert [one.text for one in pattern_hints("s", 1, ["sea", "boat"], ROW).completions] == ["sea"]
    assert pattern_hints("", 0, [], ROW).completions == []
    assert pattern_hints("[a-", 3, [], TOKEN).fault == Fault("unterminated character set (character 1)", 0, True)
    assert pattern_hints("[a-b]", 5, [], TOKEN).fault is None
    found = tag_hints("place a", 7, {"place": 2, "animal": 1})
    assert ([one.text for one in found.completions], found.start) == (["animal "], 6)
