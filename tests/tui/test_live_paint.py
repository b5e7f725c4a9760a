"""The texts of Live by themselves: paint, tokens written with other clamps, breakdown, and the token at a cell."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monosem_tui.draw.heat import bins
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import HEAT, Line, Role, Span, text_of
from monosem_tui.live.breakdown import Loop, broken_down, loop_of
from monosem_tui.live.model_client import ModelClient
from monosem_tui.live.transcript import Transcript
from monosem_tui.live.tray import Tray
from monosem_tui.pages.live_candidates import moved_most, ranking
from monosem_tui.pages.live_contents import Shown
from monosem_tui.pages.live_page import live_lines
from monosem_tui.pages.live_paint import KL_EDGES, PaintKind, act_step, kl_step
from store.index.vocabulary import Vocabulary
from store.live.clamp import parse_clamp
from store.live.model_outputs import DrawnToken, NextTokens, PromptFeature, Step
from store.live.wire import Watched
from tests.tui.screens import MEANINGFUL

WORDS = [f" w{n}".encode() for n in range(60)]
SIZES = [(60, 20), (80, 24), (200, 50)]


def written(base: Sequence[int], clamped: Sequence[int], kl: Sequence[float], own: float = -1.0) -> Transcript:
    """Both texts, the clamped one with a log-probability of `own` a token under the model without clamps."""
    writing = Transcript()
    writing.obey(0, ["3=max*2"])
    for number, (one, other, moved) in enumerate(zip(base, clamped, kl, strict=True)):
        writing.take(Step(number, DrawnToken(one, -1.0), DrawnToken(other, -0.5), moved, own, ()))
    return writing


def shown(writing: Transcript, *clamps: str) -> Shown:
    talk = ModelClient(Path("run"), lambda: pytest.fail("nothing is to be started"))
    talk.writing = writing
    tray = Tray()
    tray.take([parse_clamp(clamp) for clamp in clamps])
    return Shown(talk, tray, Vocabulary.from_tokens(WORDS), lambda _feature: 4.0, lambda _feature: Span("a label"))


def role_of(lines: Sequence[Line], word: str) -> set[Role]:
    return {span.role for spans in lines for span in spans if span.text.strip(" │") == word}


def test_a_token_is_painted_by_how_far_the_clamps_move_it() -> None:
    kl = [0.0, *KL_EDGES, math.inf, math.nan, 0.29]
    page = shown(written(range(9), range(20, 29), kl), "3=max*2")
    for cells, height in SIZES:
        lines = live_lines(page, cells, height)
        found = [role_of(lines, f"w{n}") for n in range(20, 29)]
        assert found == [{HEAT[step]} for step in (0, 1, 2, 3, 4, 5, 5, 0, 2)]
        assert all(role_of(lines, f"w{n}") == {Role.PLAIN} for n in range(9))  # base is moved by nothing
        (scale,) = [spans for spans in lines if "painted by KL" in text_of(spans)]
        assert [span.text.strip() for span in scale if span.role in HEAT[1:]] == ["0.03", "0.1", "0.3", "1", "3"]
    page.paint.kind = PaintKind.NOTHING
    lines = live_lines(page, 80, 24)
    assert not {span.role for spans in lines for span in spans} & set(HEAT[1:])
    assert "not painted" in "\n".join(map(text_of, lines))


@pytest.mark.parametrize("colors", [0, 16, 256])
def test_steps_look_different_from_what_is_not_painted(colors: int) -> None:
    palette = Palette(colors=colors)
    looks = [palette.style(role) for role in HEAT]
    assert len(set(looks)) == (6 if colors else 4)
    assert set(HEAT[1:]) <= set(MEANINGFUL)


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=20), st.sampled_from([0.0, 0.5, 20.0]))
def test_steps_of_activations_are_those_of_pages(acts: list[float], top: float) -> None:
    assert [act_step(act, top) for act in acts] == bins(np.array(acts, np.float32), top).tolist()
    assert act_step(math.nan, top) == kl_step(0.0) == 0


def test_both_texts_are_painted_by_a_feature() -> None:
    page = shown(written(range(5), range(20, 25), [1.0] * 5), "3=max*2")
    turns = []
    for _ in range(3):
        page.paint.turn(page.tray)
        turns.append(page.paint.kind)
    assert turns == [PaintKind.FEATURE, PaintKind.NOTHING, PaintKind.KL]
    page.paint.turn(page.tray)
    assert page.paint.of(page.tray) == 3
    page.talk.writing.watched.take(Watched(id=1, feature=3, first=0, base=(0.0, 1.0, math.nan), clamped=(4.0, 0.1)))
    page.talk.writing.watched.take(Watched(id=1, feature=3, first=2, base=(0.0, 4.0), clamped=(0.0, 0.0)))
    for cells, height in SIZES:
        lines = live_lines(page, cells, height)
        steps = {
            word: HEAT.index(*role_of(lines, word)) for word in ("w0", "w1", "w2", "w3", "w4", "w20", "w21", "w22")
        }
        assert steps == {"w0": 0, "w1": 3, "w2": 0, "w3": 5, "w4": 0, "w20": 5, "w21": 1, "w22": 0}
        assert "painted by 3 a label, before clamps" in "\n".join(map(text_of, lines))
    page.talk.writing.cut(3)
    assert (page.talk.writing.watched.base, page.talk.writing.watched.clamped) == ([0.0, 1.0], [4.0, 0.1])
    page.paint.feature = 7  # typed, whatever is clamped
    assert page.paint.of(page.tray) == 7
    page.paint.feature = None
    page.tray.drop()
    page.paint.turn(page.tray)
    assert page.paint.kind is not PaintKind.FEATURE


# Candidates


FOUND = NextTokens((5, 6, 7, 8), (-0.2, -2.5, -4.0, -math.inf), (-2.0, -0.3, -4.0, -5.0))


def test_candidates_of_the_token_under_the_cursor() -> None:
    writing = written(range(3), [20, 5, 22], [0.5, 1.5, 0.0])
    writing.candidates[1] = FOUND
    writing.candidates[2] = NextTokens((22, 6), (-0.1, -3.0), (-0.1, -3.0))
    page = shown(writing, "3=max*2")
    assert not any("without clamps" in text_of(spans) for spans in live_lines(page, 80, 24))
    page.cursor = 1
    for cells, height in [*SIZES, (72, 24), (120, 40)]:
        text = "\n".join(map(text_of, live_lines(page, cells, height)))
        assert re.search(r"─ without clamps ─+ clamped ", text)
        assert re.search(r" token 2 .* KL 1.50\b", text)
        one, other = (next(row for row in text.splitlines() if word in row) for word in ("·w6  ", "▌·w5  "))
        assert re.search(r"·w6 +74.1 % ", one)
        assert re.search(r"·w5 +81.9 % ", other)
        assert re.search(r"·w5 +\+68.3", text)
        assert re.search(r"·w6 +−65.9", text)
    assert "74.1 % → 8.21 %" in "\n".join(map(text_of, live_lines(page, 120, 40)))
    page.cursor = 2
    text = "\n".join(map(text_of, live_lines(page, 120, 40)))
    assert "next token, which no clamp moves" in text
    assert re.search(r"▌·w22 +> ?90|▌·w22 +90.48 %", text)
    page.cursor = 0
    assert "candidates are kept for the last 4 096 tokens" in "\n".join(map(text_of, live_lines(page, 80, 24)))


def test_what_is_moved_most_comes_first() -> None:
    ranked = ranking(FOUND)
    assert [one.token for one in moved_most(ranked)] == [5, 6, 8]
    assert ranked[3].clamped == 0
    assert ranked[0].own == pytest.approx(math.exp(-2))


def test_candidates_of_long_texts_are_dropped_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monosem_tui.live.transcript.KEPT", 3)
    writing = Transcript()
    for number in range(6):
        writing.take(Step(number, None, DrawnToken(5, -1.0), 0.5, -1.0, (), FOUND))
    assert writing.candidates == [None, None, None, FOUND, FOUND, FOUND]
    writing.cut(4)
    assert len(writing.candidates) == 4


def test_what_was_written_with_other_clamps_is_dim() -> None:
    writing = written(range(8), range(20, 28), [2.0] * 8)
    page = shown(writing, "3=max*2")
    assert not writing.stale(page.tray.clamps)
    page.tray.take([parse_clamp("3=max*1")])
    lines = live_lines(page, 80, 24)
    assert role_of(lines, "w20") == role_of(lines, "w27") == {Role.DIM}
    assert "written with 3=max*2" in "\n".join(map(text_of, lines))
    writing.obey(5, page.tray.clamps)  # and three tokens after that
    lines = live_lines(page, 80, 24)
    assert role_of(lines, "w24") == {Role.DIM}
    assert role_of(lines, "w25") == {HEAT[4]}
    assert "up to token 5 with other clamps" in "\n".join(map(text_of, lines))
    writing.cut(3)
    writing.obey(3, page.tray.clamps)
    assert writing.stale(page.tray.clamps) == [range(3)]


def test_clamps_on_the_prompt_hold_as_they_were_when_it_was_read() -> None:
    writing = Transcript()
    writing.obey(0, ["3=2@prompt", "4=1"])
    writing.take(Step(0, None, DrawnToken(5, -1.0), 0.5, -1.0, ()))
    writing.obey(1, ["3=9@prompt", "4=2"])
    writing.take(Step(1, None, DrawnToken(5, -1.0), 0.5, -1.0, ()))
    assert writing.obeyed[1].clamps == {"3=2@prompt", "4=2"}
    assert writing.stale(["3=9@prompt", "4=2"]) == [range(1), range(1, 2)]
    assert writing.stale(["3=2@prompt", "4=2"]) == [range(1)]


@given(st.lists(st.integers(0, 3), max_size=80))
def test_a_loop_is_in_the_text_as_often_as_it_says(tokens: list[int]) -> None:
    found = loop_of(tokens)
    if found is None:
        return
    assert found.times >= 4
    assert found.times * len(found.tokens) >= 12 - len(found.tokens)
    repeated = list(found.tokens * found.times)
    assert any(tokens[at : at + len(repeated)] == repeated for at in range(len(tokens)))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(4, 20), st.lists(st.integers(10, 99)))
def test_what_follows_itself_is_found(stretch: list[int], times: int, before: list[int]) -> None:
    if len(stretch) * times < 12:
        return
    found = loop_of(before + stretch * times)
    assert found is not None
    assert len(found.tokens) <= len(stretch)
    assert found.times * len(found.tokens) > min(64, len(stretch) * times) - len(found.tokens)


def test_a_text_that_has_broken_down() -> None:
    fluent = list(range(40))
    assert loop_of([7] * 11) is None  # as in “very very very”
    assert loop_of([7] * 12) == Loop((7,), 12)
    assert loop_of([1, 2, 3] * 3 + [1, 2]) is None
    assert loop_of([5, 1, 2, 3] * 4) == Loop((5, 1, 2, 3), 4)
    assert loop_of([7] * 12 + fluent * 2) is None  # long ago
    moved = [1.0] * 40
    assert broken_down(written(fluent, fluent[::-1], moved)) is None
    assert broken_down(written(fluent, [7] * 40, [0.0] * 40)) is None  # no clamp has changed it
    found = broken_down(written(fluent, [20, 7] * 20, moved))
    assert found is not None
    assert (found.loop, found.base_too) == (Loop((20, 7), 20), False)
    found = broken_down(written([3] * 40, [20, 7] * 20, moved))
    assert found is not None
    assert found.base_too
    surprising = written(fluent, fluent[::-1], moved, own=-1.0 - math.log(9.9))
    assert broken_down(surprising) is None
    surprising = written(fluent, fluent[::-1], moved, own=-1.0 - math.log(10.1))
    found = broken_down(surprising)
    assert found is not None
    assert found.ratio == pytest.approx(10.1)
    assert broken_down(written(fluent[:15], fluent[:15], moved[:15], own=-9.0)) is None  # too early to say


@pytest.mark.parametrize(
    ("writing", "said"),
    [
        (
            written(range(40), [20, 7] * 20, [1.0] * 40),
            "the text has broken down: repeats “ w20 w7”; lower the strength",
        ),
        (
            written([3] * 40, [20, 7] * 20, [1.0] * 40),
            "both texts repeat themselves, this one “ w20 w7”: g sets a temperature",
        ),
        (
            written(range(40), range(40), [1.0] * 40, own=-9.0),
            "the text has broken down: perplexity 8103, 2981 × base; lower the strength",
        ),
    ],
)
def test_breakdown_is_said(writing: Transcript, said: str) -> None:
    for cells, height in SIZES:
        lines = live_lines(shown(writing, "3=max*2"), cells, height)
        errors = [span.text for spans in lines for span in spans if span.role is Role.ERROR]
        assert said in " ".join(errors)


def test_the_token_at_a_cell() -> None:
    page = shown(written(range(30), range(30), [1.0] * 30), "3=max*2")
    for cells, height in SIZES:
        lines = live_lines(page, cells, height)
        found = set()
        for y, spans in enumerate(lines):
            for match in re.finditer(r"\bw(\d+)", text_of(spans)):
                for x in range(*match.span()):
                    assert page.token_at(x, y) == int(match[1])
                found.add(int(match[1]))
        assert found == set(range(30))
        assert page.token_at(3, 0) is page.token_at(0, height - 1) is None


# Where a half would be empty


def test_without_clamps_the_clamped_half_helps() -> None:
    writing = written(range(30), range(30), [0.0] * 30)
    writing.obeyed.clear()
    writing.obey(0, [])
    page = shown(writing)
    for cells, height in SIZES:
        lines = "\n".join(map(text_of, live_lines(page, cells, height)))
        assert "no clamp: this half would say the same" in lines
        assert lines.count("w29") == 1  # the text once
    writing.prompt_features = tuple(PromptFeature(n, 4.0 - n / 10, n) for n in range(30))
    page.offered = 12
    for cells, height in SIZES:
        found = live_lines(page, cells, height)
        (here,) = [
            text_of(spans)
            for spans in found
            if text_of(spans)[max(0, cells // 2 - 1) :].find("▌") >= 0 or text_of(spans).startswith("▌")
        ]
        assert re.search(r"▌ +12 +2.8 .*70.0 %  ·w12", here)
    assert page.feature == 12
    page.tray.add(parse_clamp("12=max*1"))
    assert page.feature is None
    assert "no clamp:" not in "\n".join(map(text_of, live_lines(page, 80, 24)))


def test_before_anything_is_written_recipes_are_named() -> None:
    page = shown(Transcript())
    page.recipes = lambda: ["the sea", "\x1b[31mred", *map(str, range(50))]
    for cells, height in SIZES:
        lines = list(map(text_of, live_lines(page, cells, height)))
        assert any("recipes 52 · o opens them" in one for one in lines)
        assert "  the sea" in lines
        assert len(lines) == height
