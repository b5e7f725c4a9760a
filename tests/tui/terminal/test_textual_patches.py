"""Pasted text stays text, whatever it holds and however the line cuts it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual._xterm_parser import XTermParser
from textual.events import Key, Paste
from textual.message import Message

from monosem_tui.terminal.textual_patches import PlainPastes
from tests.hostile_run import ALL, PAYLOADS

START, END = "\x1b[200~", "\x1b[201~"


def read(parser: XTermParser, *pieces: str) -> list[Message]:
    return [event for piece in pieces for event in parser.feed(piece)]


def told(events: list[Message]) -> list[str]:
    """Keys by their names, pastes by their text."""
    assert all(isinstance(event, (Key, Paste)) for event in events)
    return [event.key if isinstance(event, Key) else f"paste {event.text}" for event in events]  # type: ignore[union-attr]


@pytest.mark.parametrize("text", [*PAYLOADS, ALL, "\x1b", "\x1b" * 40, f"{START}x", "\x1b[201", "\x1b[20q:quit\r"])
def test_no_key_comes_from_a_paste(text: str) -> None:
    wanted = "paste " + text.replace("\x1b", "").replace("\x00", "")
    assert told(read(PlainPastes(), f"j{START}{text}{END}k")) == ["j", wanted, "k"]


def test_by_itself_textual_would_press_keys() -> None:
    assert "q" in told(read(XTermParser(), f"{START}\x1b_q\x1b[x{END}"))


@given(st.data())
def test_a_line_may_cut_it_anywhere(data: st.DataObject) -> None:
    sent = f"a\x1b[A{START}\x1b[31mred\x1b[20{END}b{START}{END}\x1b[B"
    cuts = sorted(data.draw(st.lists(st.integers(1, len(sent) - 1), unique=True)))
    pieces = [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert told(read(PlainPastes(), *pieces)) == ["a", "up", "paste [31mred[20", "b", "paste ", "down"]


def test_escape_alone_does_not_wait_for_more() -> None:
    parser = PlainPastes()
    assert read(parser, "\x1b") == []
    read_on = told(read(parser, "[A"))
    assert read_on == ["up"]
