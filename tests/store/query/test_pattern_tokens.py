"""Tokens that match, against characters told apart one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.index.corpus_text import NO_OPENER, opening_token
from store.index.reader import FeatureStore
from store.index.vocabulary import Vocabulary
from store.query.pattern_tokens import compile_pattern, text_matches, token_matches, whole
from tests.store import raw as raws
from tests.store.raw import Raw, RawToken, build_store

E, JAPAN, HERB = "é".encode(), "日".encode(), "🌿".encode()
VOCAB = [
    b"<s>", b"a", b"b ", b" ab", b"\n", b"", b".", E[:1], E[1:], JAPAN[:1], JAPAN[1:], HERB[:2], HERB[2:], b"b" + E[:1],
    E[1:] + b"a", E, b"\xff",
]  # fmt: skip
PATTERNS = [
    "a",
    "b",
    "ab",
    "a b",
    "é",
    "日",
    "🌿",
    "[^a]+",
    ".",
    "(?s).+",
    r"\Aa",
    r"a\Z",
    "^",
    "b?",
    "\ufffd",
    "a.b",
    ".",
]


@contextmanager
def opened(raw: Raw, per_segment: int, *, merged: bool) -> Iterator[FeatureStore]:
    """An index of `raw` with the vocabulary of this file."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(raws, "vocabulary", lambda: Vocabulary.from_tokens(VOCAB))
        build_store(Path(folder) / "run", raw, per_segment, merged=merged)
        with FeatureStore.open(Path(folder) / "run") as store:
            yield store


@st.composite
def corpora(draw: st.DrawFn, *, bos: bool) -> Raw:
    """Contexts that cut documents and characters anywhere; with `bos`, each and every document opened by <s>."""
    contexts: list[list[RawToken]] = []
    document = 0
    for _ in range(draw(st.integers(1, 4))):
        ids = draw(st.lists(st.integers(1, len(VOCAB) - 1), min_size=1, max_size=9))
        borders = draw(st.sets(st.integers(0, 8), max_size=2))
        context = [RawToken(0, document, False, {})] if bos else []
        for place, token in enumerate(ids):
            if place in borders:
                document += 1
                if bos and place:
                    context.append(RawToken(0, document, False, {}))
            context.append(RawToken(token, document, bos or bool(context), {0: 1.0}))
        if bos:
            context[0] = context[0]._replace(document=context[1].document)
        contexts.append(context)
    return Raw(4, contexts)


def stretches(raw: Raw) -> Iterator[list[int]]:
    """Places of the tokens of each stretch."""
    place = 0
    for context in raw.contexts:
        for document in dict.fromkeys(token.document for token in context):
            yield [place + i for i, token in enumerate(context) if token.document == document]
        place += len(context)


def characters(data: bytes) -> list[tuple[str, int]]:
    """Every character and how many bytes it has, found by trying."""
    found, at = [], 0
    while at < len(data):
        for size in (1, 2, 3, 4):
            try:
                text = data[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            found.append((text, size))
            at += size
            break
        else:
            found.append(("\ufffd", 1))
            at += 1
    return found


def naive(raw: Raw, pattern: str, bos: bool) -> tuple[list[bool], list[bool]]:
    """Tokens with a character in a match, and those with the end of one."""
    matched, ending = ([False] * len(raw.tokens) for _ in range(2))
    for places in stretches(raw):
        owner = [p for p in places if not (bos and raw.tokens[p].id == 0) for _ in VOCAB[raw.tokens[p].id]]
        data = b"".join(VOCAB[raw.tokens[p].id] for p in places if not (bos and raw.tokens[p].id == 0))
        owners: list[list[int]] = []
        for _, size in characters(data):
            at = sum(len(one) for one in owners)
            owners.append(owner[at : at + size])
        for found in re.finditer(pattern, "".join(text for text, _ in characters(data))):
            for holders in owners[found.start() : found.end()]:
                for place in holders:
                    matched[place] = True
            if found.end() > found.start():
                ending[owners[found.end() - 1][-1]] = True
    return matched, ending


@settings(max_examples=15)
@given(st.data(), st.booleans(), st.integers(1, 4), st.booleans(), st.sampled_from([1, 5, 999]))
def test_text_against_a_naive_decoding(
    data: st.DataObject, bos: bool, per_segment: int, merged: bool, block: int
) -> None:
    """Characters that match, wherever tokens and segments cut them; and tokens that match by themselves."""
    raw = data.draw(corpora(bos=bos))
    with opened(raw, per_segment, merged=merged) as store:
        # Where there is no BOS but the first tokens happen to be the same one and nowhere else, it looks like one.
        opener = opening_token(store, store.layout.counted_tokens())
        if not bos and opener != NO_OPENER:
            return
        assert opener == (0 if bos else NO_OPENER)
        for pattern in PATTERNS:
            found = whole(text_matches(store, re.compile(pattern), block))
            assert (found.matched_N.tolist(), found.ending_N.tolist()) == naive(raw, pattern, bos), pattern
            alone = whole(token_matches(store, re.compile(pattern), block))
            expected = [bool(re.search(pattern, VOCAB[token.id].decode(errors="replace"))) for token in raw.tokens]
            assert alone.matched_N.tolist() == alone.ending_N.tolist() == expected, pattern


def test_a_question_counts_only_what_counts() -> None:
    """ "a b" spans tokens 1 and 2; with `last` the first of them takes no part."""
    tokens = [(0, False), (1, True), (3, True), (6, True), (1, True)]  # <s>, "a", " ab", ".", "a"
    raw = Raw(4, [[RawToken(token, 0, counted, {}) for token, counted in tokens]])
    with opened(raw, 1, merged=True) as store:
        matches = whole(text_matches(store, re.compile("a ab")))
        every, last = matches.question(store, "x"), matches.question(store, "x", last=True)
    assert every.scored_N.tolist() == [False, True, True, True, True]
    assert every.matched_N.tolist() == [False, True, True, False, False]
    assert last.scored_N.tolist() == [False, False, True, True, True]
    assert last.matched_N.tolist() == [False, False, True, False, False]


def test_ids_outside_the_vocabulary_have_a_name() -> None:
    raw = Raw(4, [[RawToken(0, 0, False, {}), RawToken(77, 0, True, {}), RawToken(1, 0, True, {})]])
    with opened(raw, 1, merged=True) as store:
        assert whole(text_matches(store, re.compile("<77>"))).matched_N.tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("a(", r"unterminated subpattern \(character 2\)"), ("*", r"nothing to repeat \(character 1\)")],
)
def test_a_broken_pattern_says_where(pattern: str, said: str) -> None:
    with pytest.raises(MonosemError, match=said):
        compile_pattern(pattern)
