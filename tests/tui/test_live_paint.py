"""The texts of Live by themselves: paint, tokens written with other clamps, breakdown, and the token at a cell."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import HEAT, Line, Role, Span, text_of
from monosem_tui.live.breakdown import Loop, broken_down, loop_of
from monosem_tui.live.model_client import ModelClient
from monosem_tui.live.transcript import Transcript
from monosem_tui.live.tray import Tray
from monosem_tui.pages.live_contents import Shown
from monosem_tui.pages.live_page import live_lines
from monosem_tui.pages.live_paint import KL_EDGES, PaintKind, kl_step, legend
from store.index.vocabulary import Vocabulary
from store.live.clamp import parse_clamp
from store.live.model_outputs import DrawnToken, Step
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
    page.paint.kind = page.paint.kind.following()
    lines = live_lines(page, 80, 24)
    assert not {span.role for spans in lines for span in spans} & set(HEAT[1:])
    assert "not painted" in "\n".join(map(text_of, lines))


@pytest.mark.parametrize("colors", [0, 16, 256])
def test_steps_look_different_from_what_is_not_painted(colors: int) -> None:
    palette = Palette(colors=colors)
    looks = [palette.style(role) for role in HEAT]
    assert len(set(looks)) == (6 if colors else 4)
    assert set(HEAT[1:]) <= set(MEANINGFUL)
    assert text_of(legend(shown(Transcript()).paint)).startswith("painted by KL, nats")
    assert kl_step(0.0) == 0
    assert PaintKind.KL.following().following() is PaintKind.KL


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
