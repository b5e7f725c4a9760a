"""Hostile text: what is shown never moves the cursor and is never mis-measured."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from monosem_tui.draw.safe_text import cut, fit, head, printable, tail, width
from monosem_tui.draw.token_text import LONGEST, PART, display_token, display_tokens, dotted

HOSTILE = [
    "\x1b[31mred\x1b]52;c;aGk=\x07",
    "[red]markup[/red]",
    "\u200b\u200d\ufeff\u2066\u202e",
    "שלום עולם",
    "日本語",
    "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301",
    "\u0301alone",
    "👩‍👩‍👧‍👦👍🏽🇫🇷❤️",
    "\x9b31m\x85\x7f\x00",
    "\u2028\u2029\u00ad\ue000\U000e0001",
    "ᄀ\u1161\u11a8",
    "क्षि",
]
hostile_text = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(HOSTILE)).map("".join))


def assert_harmless(text: str) -> None:
    for character in text:
        assert unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"), hex(ord(character))
    # Cell by cell, as a terminal without grapheme clusters counts, and as one string.
    assert sum(map(cell_len, text)) == cell_len(text) == width(text)


@given(hostile_text)
def test_printable_is_harmless_and_settled(text: str) -> None:
    shown = printable(text)
    assert_harmless(shown)
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [b]text[/b]", "plain [b]text[/b]"),
        ("a\nb\tc\r\n", "a↵b⇥c␍↵"),
        ("\x1b[2J", "⟨0x1B⟩[2J"),
        ("\x85", "⟨U+0085⟩"),
        ("a\u200bb\u202ec", "a⟨U+200B⟩b⟨U+202E⟩c"),
        ("\u0301", "◌\u0301"),
        ("e\u0301", "e\u0301"),
        ("🇫🇷", "ＦＲ"),
        ("👍🏽", "👍"),
        ("❤️", "❤"),
        ("\u00a0\u2003x", "  x"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_marks_do_not_pile_up() -> None:
    assert len(printable("e" + "\u0301" * 1000)) <= 6


@given(hostile_text, st.integers(0, 30))
def test_pieces_fit(text: str, cells: int) -> None:
    shown = printable(text)
    for piece in (head(shown, cells), tail(shown, cells), cut(shown, cells)):
        assert width(piece) <= cells
        assert_harmless(piece)
    assert shown.startswith(head(shown, cells))
    assert shown.endswith(tail(shown, cells))
    assert width(head(shown, cells)) >= min(width(shown), cells) - 1  # at most half of a wide character is missing
    assert (cut(shown, cells) == shown) == (width(shown) <= cells)
    assert width(fit(shown, cells)) == width(fit(shown, cells, ">")) == cells


@given(st.lists(st.one_of(st.binary(max_size=6), hostile_text.map(lambda t: t.encode("utf-8", "ignore"))), max_size=8))
def test_tokens_are_harmless_and_each_has_a_cell(tokens: list[bytes]) -> None:
    for listed in (False, True):
        shown = display_tokens(tokens, listed=listed)
        assert len(shown) == len(tokens)
        for text in shown:
            assert_harmless(text)
            assert 1 <= width(text) <= LONGEST


letters = st.text(st.characters(categories=("Ll", "Lu", "Lo"), max_codepoint=0xFFFF), min_size=1, max_size=12).filter(
    lambda text: printable(text) == text
)


@given(letters, st.lists(st.integers(1, 40), max_size=6))
def test_text_is_whole_again_however_it_was_cut_into_tokens(text: str, places: list[int]) -> None:
    raw = text.encode()
    edges = sorted({0, len(raw), *(place for place in places if place < len(raw))})
    tokens = [raw[a:b] for a, b in pairwise(edges)]
    assert "".join(display_tokens(tokens)).replace(PART, "") == text


def test_a_character_stands_with_the_token_that_completes_it() -> None:
    assert display_tokens([b" \xe6", b"\x97", b"\xa5x", b"\xc3"]) == [" ‥", "‥", "日x", "⟨0xC3⟩"]
    assert display_tokens([b"\xc3\xa9"]) == ["é"]
    assert display_tokens([b"\xa9", b"a\xff"]) == ["⟨0xA9⟩", "a⟨0xFF⟩"]
    assert display_tokens([b"", b"<|endoftext|>"]) == ["⟨⟩", "<|endoftext|>"]


def test_spaces_are_seen_in_lists_only() -> None:
    assert display_tokens([b" the", b"  ", b"a b "]) == [" the", "  ", "a b "]
    assert display_tokens([b" the", b"  ", b"a b "], listed=True) == ["·the", "··", "a b·"]
    assert dotted("") == ""


@pytest.mark.parametrize("piece", ["-", "日", "\x00", "e\u0301"])
def test_a_very_long_token_is_cut(piece: str) -> None:
    shown = display_token(piece.encode() * 10_000)
    assert LONGEST - 1 <= width(shown) <= LONGEST
    assert shown.endswith("…")
