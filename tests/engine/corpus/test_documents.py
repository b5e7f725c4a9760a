"""Cutting and numbering: the same documents wherever a stream of text happens to be cut into chunks."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.corpus import documents
from engine.corpus.documents import cut, numbered, split
from store.files.errors import MonosemError

MARK = re.compile(re.escape("<|endoftext|>"))
BLANK = re.compile(r"\n\s*\n")
LIMIT = 32

TEXTS = st.lists(
    st.sampled_from(
        ["a", "word", "日本", "  ", "\n", "\n \n", "x" * 40, "<|endoftext|>", "<|endof", " " * 50, "é", ". "]
    ),
    max_size=40,
).map("".join)


@pytest.fixture(autouse=True, scope="module")
def short() -> object:
    """Documents of at most LIMIT characters, so that small texts meet the limit."""
    patch = pytest.MonkeyPatch()
    patch.setattr(documents, "MAX_DOCUMENT", LIMIT)
    yield
    patch.undo()


@given(TEXTS)
def test_pieces_keep_every_character_but_white_space(text: str) -> None:
    pieces = list(cut(text))
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < len(piece) <= LIMIT and piece == piece.strip() for piece in pieces)


@given(TEXTS, st.integers(1, 60), st.sampled_from([MARK, BLANK]))
@example(text=f"a\n{' ' * 100}\na", size=1, separator=BLANK)
@example(text=f"{'a ' * 40}\n{' ' * 200}b", size=7, separator=BLANK)
def test_chunks_make_no_difference(text: str, size: int, separator: re.Pattern[str]) -> None:
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    # Whole documents first, then each of them cut: what a reader with unlimited memory would do.
    expected = [piece for document in separator.split(text) for piece in cut(document)]
    assert list(split(chunks, separator)) == expected
    if expected:
        pieces = [list(cut(document)) for document in separator.split(text)]
        sources = [number for number, of_one in enumerate(filter(None, pieces)) for _ in of_one]
        assert [one.text_number for one in numbered(split(chunks, separator), "words")] == sources


def test_a_piece_ends_at_a_line_or_a_word_or_where_it_must() -> None:
    lines = "0123456789012345678901234567\nabcdef gh"
    assert list(cut(lines)) == ["0123456789012345678901234567", "abcdef gh"]
    words = "01234567890123456789 12345678901234567890"
    assert list(cut(words)) == ["01234567890123456789", "12345678901234567890"]
    assert list(cut("日" * 70)) == ["日" * 32, "日" * 32, "日" * 6]
    assert list(cut("a" * 32 + " " + "b" * 32)) == ["a" * 32, "b" * 32]


def test_blank_documents_are_not_numbered() -> None:
    found = list(numbered(["one", " \n\t", "", "\u00a0", " two \n"], "words"))
    assert [(one.number, one.text) for one in found] == [(0, "one"), (1, "two")]


def test_every_document_can_be_encoded() -> None:
    found = list(numbered(["a\ud800b \U0001f600", "\udfff"], "words"))
    assert [one.text for one in found] == ["a\ufffdb \U0001f600", "\ufffd"]


def test_a_corpus_without_text_is_an_error() -> None:
    with pytest.raises(MonosemError, match=r"words\.txt holds no text"):
        list(numbered([" ", "\n"], "words.txt"))


def test_numbers_follow_each_other_across_cut_documents() -> None:
    found = list(numbered(["a " * 100, "b"], "words"))
    assert all(after.number == before.number + 1 for before, after in pairwise(found))
    assert len(found) > 3 and found[-1].text == "b"
    assert [one.text_number for one in found] == [0] * (len(found) - 1) + [1]
