"""Two features on shared text equal a dense computation; passages are the text itself, with the values of both."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from store.comparison.shared_text import SharedText
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query.document_texts import DocumentTexts
from store.query.text_units import LONGEST, shared_units
from tests.store.cut_texts import index_texts

LETTERS = np.frombuffer(b"ab c\xc3\xa9.", np.uint8)


def texts(seed: int, n: int = 20) -> list[bytes]:
    """Random documents; the last has a span that no tokenizer of the tests cuts into short units."""
    rng = np.random.default_rng(seed)
    return [bytes(rng.choice(LETTERS, rng.integers(5, 40)).tobytes()) for _ in range(n)]


@pytest.mark.parametrize("unit, value", [("token", "max"), ("word", "max"), ("word", "sum"), ("word", "last")])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_equal_a_dense_computation(tmp_path: Path, seed: int, unit: str, value: str) -> None:
    documents = texts(seed)
    one = index_texts(tmp_path / "a", documents, seed, n_features=3, density=0.2)
    other = index_texts(tmp_path / "b", documents, seed + 9, n_features=4, longest=7, context=11, spaced=True)
    with FeatureStore.open(one.features) as a, FeatureStore.open(other.features) as b:
        shared = SharedText.of(a, b, unit, value)  # type: ignore[arg-type]
        units = shared_units(DocumentTexts.of(a), DocumentTexts.of(b), unit)  # type: ignore[arg-type]
        dense = []
        for side, (store, cut, feature) in enumerate(((a, one, 1), (b, other, 2))):
            act_U = np.zeros(units.n_units)
            for place, act in zip(units.unit_N[side], cut.dense_NF[:, feature], strict=True):
                if place >= 0:
                    act_U[place] = {"max": max(act_U[place], act), "sum": act_U[place] + act, "last": act}[value]
            firing = shared.firing(side, store, feature)
            np.testing.assert_array_equal(firing.unit_E, np.flatnonzero(act_U))
            np.testing.assert_allclose(firing.act_E, act_U[firing.unit_E], rtol=1e-6)
            np.testing.assert_allclose(firing.on(np.arange(units.n_units)), act_U, rtol=1e-6)
            dense.append(act_U)
        both = (dense[0] > 0) & (dense[1] > 0)
        found = shared.passages((shared.firing(0, a, 1), shared.firing(1, b, 2)), each=4, before=5, after=3)
    assert found.n == {
        "both": both.sum(),
        "first": ((dense[0] > 0) & ~both).sum(),
        "second": ((dense[1] > 0) & ~both).sum(),
    }
    assert found.top == pytest.approx((dense[0].max(), dense[1].max()))
    weaker = np.minimum(dense[0] / found.top[0], dense[1] / found.top[1])
    strength = {"both": weaker, "first": dense[0] * ~both, "second": dense[1] * ~both}
    for kind, passages in found.passages.items():
        assert len({passage.document for passage in passages}) == len(passages)
        ranks = []
        for passage in passages:
            whole = documents[one_document(documents, b"".join(passage.text_U))]
            assert b"".join(passage.text_U) in whole
            firsts = [float(act_U[passage.peak]) for act_U in passage.acts]
            ranks.append(min(firsts[0] / found.top[0], firsts[1] / found.top[1]) if kind == "both" else max(firsts))
            assert all(len(act_U) == len(passage.text_U) for act_U in passage.acts)
        assert ranks == sorted(ranks, reverse=True)
        if passages:
            assert ranks[0] == pytest.approx(strength[kind].max())


def one_document(documents: list[bytes], text: bytes) -> int:
    """Return the number of a document that has a text in it."""
    return next(number for number, document in enumerate(documents) if text in document)


def test_text_of_no_unit_is_a_piece_without_a_value(tmp_path: Path) -> None:
    long = b"x" * (LONGEST + 6)
    documents = [b"ab " + long + b" cd", b"one two", *texts(1, 12)]
    one = index_texts(tmp_path / "a", documents, 1, longest=1, density=1.0)
    with FeatureStore.open(one.features) as a:
        shared = SharedText.of(a, a, "word")
        firing = shared.firing(0, a, 0)
        found = shared.passages((firing, firing), each=40, before=99, after=99)
    whole = {b"".join(passage.text_U) for passage in found.passages["both"]}
    assert documents[0] in whole
    passage = next(one for one in found.passages["both"] if b"".join(one.text_U) == documents[0])
    gap = next(number for number, text in enumerate(passage.text_U) if len(text) > LONGEST)
    assert passage.acts[0][gap] == 0
    assert passage.acts[0][passage.peak] > 0


def test_stores_without_common_text_are_refused(tmp_path: Path) -> None:
    one, other = (index_texts(tmp_path / str(seed), texts(seed), seed) for seed in (1, 2))
    with (
        FeatureStore.open(one.features) as a,
        FeatureStore.open(other.features) as b,
        pytest.raises(MonosemError, match="no document in common"),
    ):
        SharedText.of(a, b, "token")
