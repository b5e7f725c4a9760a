"""JSON as dataclasses: sound values arrive with their types, all others raise an error that names the field."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.files.typed_json import JsonError, Positive, decode


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A part."""

    name: str
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Outer:
    """Every kind of annotation."""

    count: int
    mode: Literal["set", "max"] = "set"
    on: bool = False
    most: int | None = 3
    scale: Positive = 1.0
    words: tuple[str, ...] = ()
    inner: Inner = field(default_factory=lambda: Inner(name="none"))
    parts: tuple[Inner, ...] = ()


FULL = Outer(
    count=-5, mode="max", on=True, most=None, scale=0.5, words=("é", "\ud800"), parts=(Inner(name="a", weight=-0.0),)
)


def test_what_was_written_is_read() -> None:
    assert decode(Outer, json.loads(json.dumps(asdict(FULL)))) == FULL
    assert decode(Outer, {"count": 1, "of a later version": 2}) == Outer(count=1)
    found = decode(Inner, {"name": "", "weight": 2})
    assert type(found.weight) is float


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"count": True}, "count is true, not an integer"),
        ({"count": 1.0}, "count is 1.0, not an integer"),
        ({"count": 2**63}, "count is an integer of 64 bits, not an integer"),
        ({"count": 1 << 20_000}, "count is an integer of 20001 bits, not an integer"),
        ({"mode": "add"}, 'mode is "add", not one of set, max'),
        ({"mode": ["set"]}, "mode is a list, not one of set, max"),
        ({"on": 1}, "on is 1, not true or false"),
        ({"most": "\ud800"}, 'most is "\\ud800", not an integer'),
        ({"scale": 0}, "scale is 0, not a positive number"),
        ({"scale": math.inf}, "scale is Infinity, not a positive number"),
        ({"words": "abc"}, 'words is "abc", not a list'),
        ({"words": ["a", None]}, "words[1] is null, not text"),
        ({"inner": []}, "inner is a list, not an object"),
        ({"inner": {}}, "inner.name is missing"),
        ({"parts": [{"name": "a"}, {"name": {}}]}, "parts[1].name is an object, not text"),
        ({"inner": {"name": "a", "weight": 10**400}}, "inner.weight is an integer of 1329 bits, not a number"),
        ({"inner": {"name": "a", "weight": math.nan}}, "inner.weight is NaN, not a number"),
    ],
)
def test_an_error_names_the_field(change: dict[str, Any], error: str) -> None:
    with pytest.raises(JsonError) as found:
        decode(Outer, {"count": 1} | change)
    assert str(found.value) == error
    if "count" not in change:
        assert decode(Outer, {"count": 1} | change, lenient=True).mode == "set"


def test_a_value_by_itself() -> None:
    assert decode(int, 3) == 3
    with pytest.raises(JsonError, match="the value is a list, not an object"):
        decode(Outer, [])
    with pytest.raises(JsonError, match="count is missing"):
        decode(Outer, {})


def test_lenient_decoding_skips_only_what_is_unsound() -> None:
    unsound = {
        "count": 2,
        "on": 0,
        "words": ["a", 1, "b"],
        "parts": [{"name": "x", "weight": "y"}, {}],
        "inner": 5,
    }
    found = decode(Outer, unsound, lenient=True)
    assert found == Outer(count=2, words=("a", "b"), parts=(Inner(name="x"),))


def test_floats_that_are_not_finite_where_they_are_accepted() -> None:
    for value, expected in ((None, math.nan), (math.nan, math.nan), (-math.inf, -math.inf)):
        weight = decode(Inner, {"name": "", "weight": value}, finite=False).weight
        assert repr(weight) == repr(expected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "weight"]), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Outer.__dataclass_fields__, "other"]), JSON), st.booleans(), st.booleans())
def test_no_value_raises_anything_else(found: dict[str, object], finite: bool, lenient: bool) -> None:
    try:
        decoded = decode(Outer, found, finite=finite, lenient=lenient)
    except JsonError as error:
        assert error.field
        str(error).encode()
    else:
        assert decode(Outer, asdict(decoded), finite=False) == decoded or "nan" in repr(decoded)
