"""Every filter against the dense activations, notes and weights it is about, feature by feature."""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.notes.note_file import FeatureNotes
from store.query.filter_parser import FilterError, parse_filter
from store.query.filters import (
    MARKS,
    All,
    Compare,
    Contains,
    FilterSource,
    FiresOn,
    Like,
    Marked,
    Not,
    Promotes,
    Says,
    TokenName,
)
from store.rules.kind_file import index_digest, kinds_path, save_kinds
from store.rules.kinds import Kinds
from store.settings.feature_kinds import KINDS
from tests.sample_run import VOCAB, Sample, build_sample

NOTES = {
    0: FeatureNotes(label="Water, boats", bookmark=True, tags=["place", "Sea"]),
    3: FeatureNotes(label="animals", comment="cats and DOGS"),
    5: FeatureNotes(bookmark=True, tags=["places"]),
    7: FeatureNotes(),
    99: FeatureNotes(label="water of another run", bookmark=True),
}
F = 48
SEA = VOCAB.index(b" sea")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return build_sample(tmp_path_factory.mktemp("run") / "sample")


@pytest.fixture(scope="module", params=["merged", "segments"])
def source(
    request: pytest.FixtureRequest, sample: Sample, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FilterSource]:
    path = sample.run.features if request.param == "merged" else sample.run.index
    folder = tmp_path_factory.mktemp("opened")
    if request.param == "merged":
        (folder / "features.h5").hardlink_to(path)
    else:
        shutil.copytree(path, folder / "index")
    with FeatureStore.open(folder) as store:
        yield FilterSource(store, NOTES)


def passing(source: FilterSource, text: str, ids: list[int] | None = None) -> list[int]:
    return parse_filter(text).keep(source, np.array(range(F) if ids is None else ids, np.int64)).tolist()


NUMBERS = st.sampled_from([0.0, 0.001, 0.02, 0.05, 1.0, 2.5, 8.0, 48.0])
COMPARED = {">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "=": lambda a, b: a == b}
COMPARED["<="] = lambda a, b: a <= b


@given(
    column=st.sampled_from(["density", "max", "mean", "count", "norm", "id"]),
    sign=st.sampled_from(sorted(COMPARED)),
    data=st.data(),
)
def test_columns(source: FilterSource, sample: Sample, column: str, sign: str, data: st.DataObject) -> None:
    ids = data.draw(st.permutations(range(F)))[: data.draw(st.integers(0, F))]
    truth = {}
    for i in ids:
        acts = [a for a in sample.dense_NF[:, i].tolist() if a > 0]
        mean = math.fsum(acts) / len(acts) if acts else 0.0
        norm = float(source.columns.decoder_norm_F[i])
        count = len(acts)
        truth[i] = {
            "density": count / int(sample.counted_N.sum()),
            "max": max(acts, default=0.0),
            "mean": float(np.float32(mean)),
            "count": count,
            "norm": norm,
            "id": i,
        }[column]
    bound = data.draw(st.one_of(NUMBERS, st.sampled_from(sorted(map(float, truth.values())) or [1.0])))
    expected = [i for i in ids if COMPARED[sign](truth[i], bound)]
    assert passing(source, f"{column}{sign}{bound!r}", ids) == expected
    assert passing(source, f"!{column}{sign}{bound!r}", ids) == [i for i in ids if i not in expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bookmarked", [0, 5]),
        ("labelled", [0, 3]),
        ("tagged", [0, 5]),
        ("commented", [3]),
        ("label:water", [0]),
        ("label:", None),
        ('label:"r, b"', [0]),
        ("tag:PLACE", [0]),
        ("tag:sea", [0]),
        ("comment:dogs", [3]),
        ("bookmarked tag:place", [0]),
        ("bookmarked !tag:place", [5]),
        ("id>=3 id<6", [3, 4, 5]),
        ("ID<=2", [0, 1, 2]),
        ("", list(range(F))),
        ("  \t ", list(range(F))),
        ('"boats"', [0]),
        ("animals", [3]),
        ("!!labelled", [0, 3]),
    ],
)
def test_notes(text: str, expected: list[int] | None, source: FilterSource) -> None:
    if expected is None:
        with pytest.raises(FilterError):
            parse_filter(text)
    else:
        assert passing(source, text) == expected
        assert passing(source, text, list(range(F))[::-1]) == expected[::-1]
        assert passing(source, text, []) == []


def test_dead_and_alive(source: FilterSource, sample: Sample) -> None:
    dead = [i for i in range(F) if not (sample.dense_NF[:, i] > 0).any()]
    assert dead
    assert passing(source, "dead") == dead
    assert passing(source, "alive") == [i for i in range(F) if i not in dead]


@given(token=st.integers(0, len(VOCAB) - 1), near=st.sampled_from([0, 7, 1 << 14]), block=st.sampled_from([5, 1 << 17]))
def test_fires_on_a_token(source: FilterSource, sample: Sample, token: int, near: int, block: int) -> None:
    fresh = FilterSource(source.store, {})
    for part in source.store.parts:
        part.near, part.block_tokens = near, block
    use = fresh.use_of(TokenName("", id=token))
    here = sample.token_N == token
    dense = sample.dense_NF.astype(np.float64)
    assert use.count_F.tolist() == (dense[here] > 0).sum(axis=0).tolist()
    np.testing.assert_allclose(use.sum_F, dense[here].sum(axis=0), rtol=1e-12)
    total = dense.sum(axis=0)
    share = [a / b if b else 0.0 for a, b in zip(dense[here].sum(axis=0), total, strict=True)]
    np.testing.assert_allclose(use.share_F, share, rtol=1e-12)
    for bound in (0.05, 0.5):
        wanted = FiresOn(TokenName("", id=token), ">", bound)
        assert wanted.keep(fresh, np.arange(F)).tolist() == [i for i in range(F) if share[i] > bound]


def test_tokens_are_named_by_text_or_number(source: FilterSource, sample: Sample) -> None:
    fires = [i for i in range(F) if (sample.dense_NF[sample.token_N == SEA, i] > 0).any()]
    assert 0 in fires
    for text in ('token:" sea"', "token:sea", f"token:#{SEA}"):
        assert passing(source, text) == fires
    assert 0 in passing(source, 'token:" sea">10%')
    assert 0 not in passing(source, 'token:" sea">99%')
    assert passing(source, f"token:#{SEA}>=0.1") == passing(source, 'token:" sea">=10%')
    with pytest.raises(MonosemError, match="no token of the vocabulary is “sea”\n  There is “ sea”: spaces count"):
        passing(source, 'token:"sea"')
    with pytest.raises(MonosemError, match="no token of the vocabulary is “zebra”"):
        passing(source, "token:zebra")
    assert passing(source, "token:#99999") == []


def test_promotes(source: FilterSource) -> None:
    for token in range(0, len(VOCAB), 7):
        expected = [i for i in range(F) if token in source.store.logits(i).top.id]
        assert Promotes(TokenName("", id=token)).keep(source, np.arange(F)).tolist() == expected


@pytest.mark.parametrize("feature", [0, 17, F - 1])
def test_like(feature: int, source: FilterSource) -> None:
    rows = source.store.sae().tensors["W_dec"].astype(np.float64).tolist()

    def cosine(a: list[float], b: list[float]) -> float:
        return (
            math.sumprod(a, b) / math.hypot(*a) / math.hypot(*b)
            if hasattr(math, "sumprod")
            else (sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b))
        )

    truth = [cosine(row, rows[feature]) for row in rows]
    np.testing.assert_allclose(source.cosines(feature), truth, atol=1e-6)
    assert passing(source, f"like:{feature}>0.5") == [i for i in range(F) if truth[i] > 0.5]
    nearest = sorted(range(F), key=lambda i: -truth[i])[:5]
    assert Like(feature, nearest=4).keep(source, np.arange(F)).tolist() == sorted(nearest)
    assert parse_filter(f"like:{feature}") == All((Like(feature),))
    with pytest.raises(MonosemError, match="there is no feature 48"):
        passing(source, "like:48")


def test_what_a_filter_measures(source: FilterSource) -> None:
    assert parse_filter("bookmarked max>1").strength(source) is None
    found = parse_filter("!dead like:3 token:sea").strength(source)
    assert found is not None
    assert found.tolist() == source.cosines(3).tolist()


def test_terms_become_filters() -> None:
    assert parse_filter(
        'density>1e-4 MAX<=12 !dead label:water token:" sea">=50% promotes:the like:412>0.4 boat'
    ) == All(
        (
            Compare("density", ">", 1e-4),
            Compare("max", "<=", 12.0),
            Not(Marked("dead")),
            Says("label", "water"),
            FiresOn(TokenName(" sea"), ">=", 0.5),
            Promotes(TokenName("the", exact=False)),
            Like(412, ">", 0.4),
            Contains("boat"),
        )
    )
    assert parse_filter("count>=2k id=1M mean<.5").filters[1] == Compare("id", "=", 1e6)
    assert parse_filter(r'"a \"b\" \\ \n"') == All((Contains('a "b" \\ \n'),))
    assert parse_filter("token:#12 promotes:#x like:7") == All(
        (FiresOn(TokenName("", id=12)), Promotes(TokenName("#x", exact=False)), Like(7))
    )
    for mark in MARKS:
        assert parse_filter(mark.upper()) == All((Marked(mark),))
        assert parse_filter(f'"{mark}"') == All((Contains(mark),))


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("dead max<", 9, "a number is expected after <"),
        ("max<x12", 4, "a number is expected after <"),
        ("max>=1..2", 5, "a number is expected after >="),
        ("max>nan", 4, "a number is expected"),
        ("size>3", 0, "there is no column size: density, max"),
        ("dead lable:sea", 5, "there is no filter lable:"),
        ('label:"sea', 6, "the closing quote is missing"),
        ('  "', 2, "the closing quote is missing"),
        ("tag:", 4, "a text is expected after tag:"),
        ('token:""', 8, "a text is expected after token:"),
        ("like:sea", 5, "the number of a feature is expected"),
        ("like:4>", 7, "a number is expected after >"),
        ("like:4x", 6, "a space is missing"),
        ('"sea"boat', 5, "a space is missing"),
        ("! dead", 1, "a term is expected after !"),
        ("!", 1, "a term is expected after !"),
    ],
)
def test_errors_say_where(text: str, at: int, what: str) -> None:
    with pytest.raises(FilterError) as error:
        parse_filter(text)
    assert error.value.at == at
    assert what in error.value.what
    here = f"“{text[at:]}” at character {at + 1} of" if text[at:] else f"ends at character {at}:"
    assert here in error.value.what
    assert "\n" not in error.value.what


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parsed = parse_filter(text)
    except FilterError as error:
        assert 0 <= error.at <= len(text)
    else:
        assert all(dataclasses.is_dataclass(one) for one in parsed.filters)


@given(st.text(max_size=12))
def test_a_quoted_text_is_looked_for_as_it_is(text: str) -> None:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    assert parse_filter(quoted) == All((Contains(text),))


def test_kinds(source: FilterSource, sample: Sample) -> None:
    """Once they are measured for the whole index; before, the filter says how."""
    with pytest.raises(MonosemError, match="not measured"):
        passing(source, "kind:token")
    if not source.store.merged:
        return
    kind_F = np.array([number % 6 - 1 for number in range(F)], np.int8)
    share_F = np.where(kind_F < 0, np.nan, np.linspace(0, 1, F)).astype(np.float32)
    with pytest.raises(MonosemError, match="not measured"):
        source.sort(np.arange(F), "context", descending=True)
    kinds = Kinds(share_F, share_F, share_F / 2, kind_F)
    save_kinds(kinds_path(source.store.path), kinds, index_digest(source.store.path))
    for number, kind in enumerate(KINDS):
        assert passing(source, f"kind:{kind}") == np.flatnonzero(kind_F == number).tolist()
    assert passing(source, "!kind:dense id<6") == [0, 1, 2, 3, 4]
    known = kind_F >= 0
    for name, values_F in {"token": share_F, "ngram": share_F, "position": share_F / 2, "context": 1 - share_F}.items():
        assert passing(source, f"{name}>40%") == np.flatnonzero(known & (values_F > 0.4)).tolist()
        assert passing(source, f"!{name}>40%") == np.flatnonzero(~(known & (values_F > 0.4))).tolist()
    alive_F = source.columns.count_F > 0
    for descending in (True, False):
        found = source.sort(np.arange(F), "context", descending=descending)
        order = sorted(np.flatnonzero(known & alive_F), key=lambda one: -share_F[one], reverse=descending)
        assert found[: len(order)].tolist() == order
        assert set(found[len(order) :].tolist()) == set(np.flatnonzero(~known | ~alive_F).tolist())
    with pytest.raises(FilterError, match="one of token, n-gram, position, context, dense is expected after kind:"):
        parse_filter("kind:red")
