"""Printing: ASCII JSON, aligned tables, and no control character from any text."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from monosem_tui.cli import output
from monosem_tui.draw.spans import Role, Span

SGR = re.compile(r"\x1b\[[\d;]*m")
"""The only escape sequence that printing may use: colour and weight."""
HARMFUL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
HOSTILE = "a\x1b[31mred\x07\r\x9b2J\u202eevil\x7f[bold]x[/bold] :smile: é日本\ttab"


def test_json_is_ascii_and_strict(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit_json({"text": HOSTILE, "bad": [math.nan, math.inf, -math.inf, 1.5], "pair": (1, None)})
    out = capsys.readouterr().out
    assert out.isascii()
    assert not HARMFUL.search(out.removesuffix("\n"))
    assert json.loads(out) == {"text": HOSTILE, "bad": [None, None, None, 1.5], "pair": [1, None]}


@settings(max_examples=200)
@given(st.text())
def test_text_is_harmless(capsys: pytest.CaptureFixture[str], text: str) -> None:
    output.emit_text(text)
    output.narrate(text)
    output.complain(text, text)
    captured = capsys.readouterr()
    assert not HARMFUL.search(captured.out + captured.err)


def test_markup_is_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for force in ("", "1"):
        monkeypatch.setenv("FORCE_COLOR", force)
        output.emit_lines([(Span("[bold]x[/bold] :smile: "), Span("http://a.b", Role.HEAT_5))])
        assert SGR.sub("", capsys.readouterr().out) == "[bold]x[/bold] :smile: http://a.b\n"


def test_styled_lines_use_colour_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    output.emit_lines([(Span(HOSTILE, Role.HEAT_5), Span("x" * 500, Role.DIM))])
    out = capsys.readouterr().out
    assert "\x1b[38;5;16;48;5;214m" in out
    assert not HARMFUL.search(SGR.sub("", out))
    assert out.count("\n") == 1


def test_no_color_wins(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    output.emit_lines([(Span("x", Role.HEAT_5),)])
    assert capsys.readouterr().out == "x\n"


def test_tables_align_by_cells(capsys: pytest.CaptureFixture[str]) -> None:
    columns = (output.Column("name"), output.Column("size", ">"), output.Column("note"))
    output.emit_table(columns, [("日本語", "7", "a"), ("x\ny\x1b", "12345", "b"), ("é", "1", "")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert {cell_len(line[: line.index(mark)]) for line, mark in zip(lines[1:3], "ab", strict=True)} == {
        cell_len(lines[0][: lines[0].index("note")])
    }
    assert not HARMFUL.search("".join(lines))


def test_narrow_terminals_shorten_what_may_be_shortened() -> None:
    columns = (output.Column("a", shrinks=True), output.Column("b"), output.Column("c", shrinks=True))
    assert output._shrunk(columns, [30, 10, 12], 40) == [18, 10, 12]
    assert output._shrunk(columns, [30, 10, 20], 30) == [10, 10, 10]
    assert output._shrunk(columns, [30, 10, 20], 5) == [8, 10, 8]
    assert output._shrunk(columns[1:2], [30], 5) == [30]
