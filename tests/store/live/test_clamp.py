"""Clamps read and written: what each form means, that both ways agree, and where an error lies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.live.clamp import PARTS, Change, Clamp, Condition, Mode, Where, parse_clamp, parse_sweep

FORMS = {
    "412=8.5": Clamp(412, "set", 8.5),
    "0=0": Clamp(0, "set", 0.0),
    "412=-3": Clamp(412, "set", -3.0),
    "412=max*4": Clamp(412, "max", 4.0),
    "412=max*-2": Clamp(412, "max", -2.0),
    "412=*0.5": Clamp(412, "scale", 0.5),
    "412=+3": Clamp(412, "add", 3.0),
    "412=+-3": Clamp(412, "add", -3.0),
    "412=off": Clamp(412, "ablate"),
    "412=1e-05": Clamp(412, "set", 1e-5),
    "7=off@prompt": Clamp(7, "ablate", where=Where("prompt")),
    "7=2@response": Clamp(7, "set", 2.0, Where("response")),
    "7=2@12:40": Clamp(7, "set", 2.0, Where(None, 12, 40)),
    "7=2@12:": Clamp(7, "set", 2.0, Where(None, 12)),
    "7=2@:40": Clamp(7, "set", 2.0, Where(None, 0, 40)),
    "7=2@if:88>2": Clamp(7, "set", 2.0, Where(conditions=(Condition(88, 2.0),))),
    "7=max*1@assistant@3:9@if:8>0.5@if:9>-1": Clamp(
        7, "max", 1.0, Where("assistant", 3, 9, (Condition(8, 0.5), Condition(9, -1.0)))
    ),
}


@pytest.mark.parametrize("text", FORMS)
def test_each_form_means_what_it_says_and_is_written_so(text: str) -> None:
    assert parse_clamp(text) == FORMS[text]
    assert str(FORMS[text]) == text


@pytest.mark.parametrize(
    ("loose", "strict"),
    [
        (" 412 = 8.50 ", "412=8.5"),
        ("412=.5", "412=0.5"),
        ("412=5.", "412=5"),
        ("7=off@if:8>2.0@12:40@prompt", "7=off@prompt@12:40@if:8>2"),
        ("7=off@prompt@prompt", "7=off@prompt"),
        ("007=1E1", "7=10"),
    ],
)
def test_what_is_written_loosely_is_brought_into_form(loose: str, strict: str) -> None:
    assert str(parse_clamp(loose)) == strict


finite = st.floats(-3e38, 3e38)
ids = st.integers(0, 10**9)
modes: st.SearchStrategy[Mode] = st.sampled_from(["set", "max", "scale", "add", "ablate"])


@st.composite
def wheres(draw: st.DrawFn) -> Where:
    start, length = draw(st.integers(0, 10**6)), draw(st.none() | st.integers(1, 10**6))
    conditions = draw(st.lists(st.builds(Condition, ids, finite), max_size=3))
    part = draw(st.none() | st.sampled_from(PARTS))
    return Where(part, start, None if length is None else start + length, tuple(conditions))


@given(ids, modes, finite, wheres())
def test_every_clamp_survives_being_written(feature: int, mode: Mode, value: float, where: Where) -> None:
    clamp = Clamp(feature, mode, 0.0 if mode == "ablate" else value, where)
    assert parse_clamp(str(clamp)) == clamp
    assert str(parse_clamp(str(clamp))) == str(clamp)


@pytest.mark.parametrize(
    ("text", "blamed", "character"),
    [
        ("412", "expected FEATURE=STRENGTH, such as 412=max*2", 0),
        ("", "expected FEATURE=STRENGTH, such as 412=max*2", 0),
        ("x=3", "'x' is not a feature number", 1),
        ("-1=3", "'-1' is not a feature number", 1),
        ("²=3", "'²' is not a feature number", 1),
        ("412=", "'' is not a strength", 5),
        ("412=8,5", "'8,5' is not a strength", 5),
        ("412=--3", "'--3' is not a strength", 5),
        ("412=nan", "'nan' is not a strength", 5),
        ("412=1e999", "'1e999' is too large a number", 5),
        ("412=max*", "'max*' is not a strength", 5),
        ("412=٣", "'٣' is not a strength", 5),
        ("412=3@", "'@' is not a place", 7),
        ("412=3@nowhere", "'@nowhere' is not a place", 7),
        ("412=3@prompt@response", "'@response' is at odds with @prompt", 14),
        ("412=3@9:9", "'@9:9' is an empty range", 7),
        ("412=3@:", "'@:' is not a place", 7),
        ("412=3@1:2@3:4", "'@3:4' is a second range", 11),
        ("412=3@prompt@if:x>2", "'@if:x>2' is not a place", 14),
    ],
)
def test_an_error_is_one_line_that_says_where(text: str, blamed: str, character: int) -> None:
    with pytest.raises(MonosemError) as caught:
        parse_clamp(text)
    assert "\n" not in caught.value.what
    where = f" (character {character})" if character else ""
    assert f"clamp {text!r}: {blamed}{where}" == caught.value.what
    assert "412=8.5" in caught.value.hint


@given(st.text(st.sampled_from("0123456789=@:>.*+-eEifmaxprotsn \n²"), max_size=25))
def test_nothing_else_than_a_clamp_or_that_error_comes_of_any_text(text: str) -> None:
    try:
        clamp = parse_clamp(text)
    except MonosemError:
        return
    assert parse_clamp(str(clamp)) == clamp


def test_what_becomes_of_an_activation() -> None:
    changes = {"4=2.5": Change(0, 2.5), "4=max*3": Change(0, 21), "4=*0.5": Change(0.5, 0)}
    changes |= {"4=+2": Change(1, 2), "4=+-2": Change(1, -2), "4=off": Change(0, 0)}
    for text, change in changes.items():
        assert parse_clamp(text).change(7.0) == change


def test_a_maximum_has_to_be_known_where_it_is_used() -> None:
    for maximum, why in ((None, "no feature index"), (0.0, "never fires")):
        with pytest.raises(MonosemError, match=why):
            parse_clamp("4=max*3").change(maximum)
        assert parse_clamp("4=3").change(maximum) == Change(0, 3)


def test_in_words() -> None:
    assert parse_clamp("4=max*3@response").in_words() == "set to max × 3 on response"
    assert parse_clamp("4=off@2:5@if:9>1").in_words() == "ablated from position 2 to 4 where 9 > 1"


def test_a_maximum_alone_is_taken_once() -> None:
    assert str(parse_clamp("412=max@prompt")) == "412=max*1@prompt"


def test_a_row_of_strengths() -> None:
    assert [str(clamp) for clamp in parse_sweep("4=0, 2.5,max*3,off@response")] == [
        "4=0@response",
        "4=2.5@response",
        "4=max*3@response",
        "4=off@response",
    ]
    for text, why in {
        "4=3": "not a row",
        "4": "not a row",
        "x=1,2": "not a feature number",
        "4=1,,2": "not a strength",
    }.items():
        with pytest.raises(MonosemError, match=why):
            parse_sweep(text)


def test_no_strength_is_beyond_float32() -> None:
    for text in ("4=1e39", "4=+-1e39", "4=1@if:5>1e39"):
        with pytest.raises(MonosemError, match="too large a number"):
            parse_clamp(text)
    with pytest.raises(MonosemError, match="1e\\+38 times 50 is too large"):
        parse_clamp("4=max*1e38").change(50.0)
    assert np.isfinite(np.float32(parse_clamp("4=max*1e38").change(3.0).offset))
