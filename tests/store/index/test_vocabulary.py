"""Tokens are bytes, whatever they are."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.index.index_file import RULES, IndexFile
from store.index.vocabulary import Vocabulary

ODD = [b"", b"a", b"\xe6\x97", b"\xa5", b"\xff\xfe", b"\x00\x1b[2J", b"", b"x" * 100_000, "日本".encode(), b"\n"]


def reread(tokens: list[bytes], path: Path) -> Vocabulary:
    with h5py.File(path, "w") as file:
        Vocabulary.from_tokens(tokens).write(file.create_group("vocab"))
    with h5py.File(path, "r") as file:
        names = {f"vocab/{name}": len(item) for name, item in file["vocab"].items()}
        return Vocabulary.read(IndexFile(file, RULES["common"], names, {"B": names["vocab/strings"]}))


@pytest.mark.parametrize("tokens", [ODD, [], [b""], [b"", b""], ODD[::-1]])
def test_round_trip(tokens: list[bytes], tmp_path: Path) -> None:
    vocabulary = reread(tokens, tmp_path / "v.h5")
    assert len(vocabulary) == len(tokens)
    assert [vocabulary.token(i) for i in range(len(tokens))] == tokens
    assert vocabulary.tokens(range(len(tokens))) == tokens


@given(tokens=st.lists(st.binary(max_size=6), max_size=8), ids=st.lists(st.integers(-2, 10), max_size=12))
def test_any_tokens(tokens: list[bytes], ids: list[int]) -> None:
    vocabulary = Vocabulary.from_tokens(tokens)
    expected = [tokens[i] if 0 <= i < len(tokens) else f"<{i}>".encode() for i in ids]
    assert vocabulary.tokens(ids) == expected
    assert vocabulary.tokens(np.array(ids, np.int32)) == expected
    assert [vocabulary.token(i) for i in ids] == expected
    assert vocabulary.text(ids) == b"".join(expected).decode("utf-8", errors="replace")
    assert vocabulary.strings(ids) == [token.decode("utf-8", errors="replace") for token in expected]


def test_characters_that_span_tokens() -> None:
    vocabulary = Vocabulary.from_tokens(ODD)
    assert vocabulary.text([1, 2, 3, 9]) == "a日\n"
    assert vocabulary.strings([2, 3, 8]) == ["\ufffd", "\ufffd", "日本"]
    assert vocabulary.text([4]) == "\ufffd\ufffd"


TEXTS = st.text(alphabet=" ab\0é", max_size=4)


@given(st.lists(TEXTS, max_size=30), TEXTS)
def test_tokens_that_equal_a_text_are_those_of_a_plain_comparison(texts: list[str], wanted: str) -> None:
    tokens = [text.encode() for text in texts]
    vocabulary = Vocabulary.from_tokens(tokens)
    bare = wanted.encode().strip(b" ")
    assert vocabulary.reading(wanted, exact=True).tolist() == [
        number for number, token in enumerate(tokens) if token == wanted.encode()
    ]
    assert vocabulary.reading(wanted, exact=False).tolist() == [
        number for number, token in enumerate(tokens) if token.strip(b" ") == bare
    ]
