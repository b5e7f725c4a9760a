"""Every figure of a comparison equals a dense computation; a dictionary compared with itself has r = 1."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.comparison.compare import IndexedRun, compare
from engine.comparison.unit_matrix import ArrayRoom, release_pages
from engine.runtime.progress import Silent
from store.comparison.figures import LEVELS, NO_PARTNER, Comparison
from store.comparison.file import load_comparison, save_comparison
from store.files.errors import MonosemError
from store.index.reader import FeatureStore
from store.query.document_texts import DocumentTexts
from store.query.text_units import TextUnits, shared_units
from store.settings.compare import CompareSettings
from tests.store.cut_texts import CutText, Tokenizer, index_texts

LETTERS = np.frombuffer(b"ab c\xc3\xa9.", np.uint8)
SETTINGS = CompareSettings(least=4, shifts=2, resamplings=20)


def texts(seed: int, n: int = 24) -> list[bytes]:
    """Random documents, two of them equal."""
    rng = np.random.default_rng(seed)
    made = [bytes(rng.choice(LETTERS, rng.integers(5, 40)).tobytes()) for _ in range(n)]
    return [*made[:-1], made[0]]


def dense_units(units: TextUnits, side: int, cut: CutText, value: str = "max") -> NDArray[np.float64]:
    """Activations [U, F] of one side: the largest over the tokens of each unit, their sum or the last one's."""
    found = np.zeros((units.n_units, cut.dense_NF.shape[1]))
    in_text = sorted(range(len(cut.piece_N)), key=lambda at: (cut.piece_N[at].start, at))
    for at in in_text:
        if (unit := int(units.unit_N[side][at])) >= 0:
            row = cut.dense_NF[at]
            found[unit] = {"max": np.maximum(found[unit], row), "sum": found[unit] + row, "last": row}[value]
    return found


def pearson(a_U: NDArray[np.float64], b_U: NDArray[np.float64]) -> float:
    """The correlation coefficient; 0 for constants."""
    return float(np.corrcoef(a_U, b_U)[0, 1]) if a_U.std() > 0 and b_U.std() > 0 else 0.0


def compared(one: CutText, other: CutText, settings: CompareSettings = SETTINGS) -> tuple[Comparison, TextUnits]:
    """Compare two indexes, and return their units beside."""
    with FeatureStore.open(one.features) as a, FeatureStore.open(other.features) as b:
        units = shared_units(DocumentTexts.of(a), DocumentTexts.of(b), settings.unit)
        return compare(IndexedRun("a", a), IndexedRun("b", b), settings, Silent()), units


def test_threads_change_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (index_texts(tmp_path / name, texts(3), seed, n_features=9) for seed, name in enumerate("ab"))
    for name in ("correlation.FEATURES", "correlation.PAIR_BYTES"):  # blocks of few features
        monkeypatch.setattr(f"engine.comparison.{name}", 2 if name.endswith("FEATURES") else 30_000)
    alone, beside = (compared(one, other, replace(SETTINGS, memory=1_000_000, jobs=jobs))[0] for jobs in (1, 3))
    assert alone.summary == beside.summary
    for mine, theirs in zip(alone.sides, beside.sides, strict=True):
        for name, values in vars(mine).items():
            assert np.array_equal(values, getattr(theirs, name), equal_nan=values.dtype.kind == "f"), name
    assert (alone.sides[0].partner_F != NO_PARTNER).any()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
@pytest.mark.parametrize("kinds", [{}, {"opened": False}, {"spaced": True}, {"tokenizer": "changing"}])
@pytest.mark.parametrize("unit, value", [("token", "max"), ("word", "max"), ("word", "sum"), ("word", "last")])
def test_every_figure_equals_a_dense_computation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, kinds: dict[str, bool], unit: str, value: str
) -> None:
    if seed % 2:  # all arrays in temporary files
        monkeypatch.setattr("engine.comparison.compare.ArrayRoom", lambda memory: ArrayRoom(0))
    documents = texts(seed)
    one = index_texts(tmp_path / "a", documents, seed, n_features=5)
    other = index_texts(tmp_path / "b", documents, seed + 9, n_features=7, longest=6, context=11, **kinds)  # type: ignore[arg-type]
    given = {"least": 4, "shifts": 2, "resamplings": 20, "unit": unit, "value": value, "memory": 1_000_000}
    settings = CompareSettings(**given)  # type: ignore[arg-type]
    found, units = compared(one, other, settings)
    assert units.unpaired == (0, 0)
    assert found.summary.value == value
    dense = [dense_units(units, side, cut, value) for side, cut in enumerate((one, other))]
    halves = [~units.measuring_U, units.measuring_U]
    judged = [
        ((x > 0).sum(0) >= 4) & ((x[halves[0]] > 0).sum(0) >= 2) & ((x[halves[1]] > 0).sum(0) >= 2) for x in dense
    ]
    best = []
    for side in (0, 1):
        mine, theirs = dense[side], dense[1 - side]
        table = np.array(
            [
                [pearson(mine[halves[0], f], theirs[halves[0], g]) for g in range(theirs.shape[1])]
                for f in range(mine.shape[1])
            ]
        )
        table[~judged[side]] = 0
        table[:, ~judged[1 - side]] = 0
        best.append(np.where(table.max(1) > 1e-12, table.argmax(1), NO_PARTNER))
        np.testing.assert_allclose(found.sides[side].chosen_r_F, np.maximum(table.max(1), 0), atol=1e-6)
    for side in (0, 1):
        mine, theirs, figures = dense[side][halves[1]], dense[1 - side][halves[1]], found.sides[side]
        np.testing.assert_array_equal(figures.partner_F, best[side])
        np.testing.assert_array_equal(figures.judged_F, judged[side])
        np.testing.assert_array_equal(figures.units_F, (dense[side] > 0).sum(0))
        for feature, partner in enumerate(best[side]):
            a_U = mine[:, feature]
            b_U = theirs[:, partner] if partner != NO_PARTNER else np.zeros(len(a_U))
            joint = int(((a_U > 0) & (b_U > 0)).sum())
            either = int(((a_U > 0) | (b_U > 0)).sum())
            assert figures.r_F[feature] == pytest.approx(pearson(a_U, b_U), abs=1e-6)
            assert figures.joint_F[feature] == joint
            assert figures.jaccard_F[feature] == pytest.approx(joint / either if either else 0)
            assert figures.coverage_F[feature] == pytest.approx(a_U[b_U > 0].sum() / max(a_U.sum(), 1e-9), abs=1e-6)
            assert figures.covered_F[feature] == pytest.approx(b_U[a_U > 0].sum() / max(b_U.sum(), 1e-9), abs=1e-6)
            assert figures.mutual_F[feature] == (partner != NO_PARTNER and best[1 - side][partner] == feature)
        told = found.summary.sides[side]
        r_J = figures.r_F[judged[side]]
        assert told.found.median_r == pytest.approx(np.median(r_J))
        assert told.found.share_r == pytest.approx([(r_J > level).mean() for level in LEVELS])
        assert told.mutual == pytest.approx(figures.mutual_F[judged[side]].mean())


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's account of this process's memory")
def test_released_pages_are_no_longer_this_process_s_memory_and_keep_their_values() -> None:
    def resident() -> int:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return sum(1024 * int(line.split()[1]) for line in lines if line.startswith(("RssFile", "RssShmem")))

    room, n_bytes = ArrayRoom(1000), 1 << 24
    in_memory, in_file = room.array(100, np.int64), room.array(n_bytes // 8, np.int64)
    in_memory[:], in_file[:] = 7, np.arange(len(in_file))
    touched = resident()
    release_pages(in_memory, in_file[10:-10])
    assert resident() < touched - 0.9 * n_bytes
    np.testing.assert_array_equal(in_file, np.arange(len(in_file)))
    assert (in_memory == 7).all()


def test_a_dictionary_beside_itself_has_r_1_for_every_judged_feature(tmp_path: Path) -> None:
    one = index_texts(tmp_path / "a", texts(3, 60), 3, n_features=8)
    found, _ = compared(one, one)
    for side in found.sides:
        assert side.judged_F.all()
        np.testing.assert_array_equal(side.partner_F, np.arange(8))
        np.testing.assert_allclose(side.r_F, 1, atol=1e-6)
        np.testing.assert_allclose(side.cosine_F, 1, atol=1e-6)
    assert found.summary.pw_mcc == pytest.approx(1)
    assert found.summary.sides[0].energy == pytest.approx(1)
    shifted = found.summary.sides[0].shifted
    assert shifted is not None
    assert shifted.median_r < 0.5


def test_units_are_the_shortest_spans_between_common_boundaries(tmp_path: Path) -> None:
    documents = texts(5)
    cuts = [index_texts(tmp_path / str(seed), documents, seed, context=9) for seed in (1, 2)]
    with FeatureStore.open(cuts[0].features) as a, FeatureStore.open(cuts[1].features) as b:
        units = shared_units(DocumentTexts.of(a), DocumentTexts.of(b))
    spans: list[set[tuple[int, int, int]]] = []
    for cut in cuts:
        ends: dict[int, list[int]] = {}
        for token, document in zip(cut.token_N, cut.document_N, strict=True):
            if token != b"<s>":
                ends.setdefault(document, [0]).append(ends.get(document, [0])[-1] + len(token))
        spans.append({(document, end, 0) for document, all_ends in ends.items() for end in all_ends[1:]})
    assert units.n_units == len(spans[0] & spans[1]) - units.too_long
    assert units.unpaired == (0, 0)
    assert units.too_long == 0 or units.length_U.max() <= 24


def test_a_document_that_one_lacks_is_left_out(tmp_path: Path) -> None:
    documents = texts(6)
    one = index_texts(tmp_path / "a", documents, 1)
    other = index_texts(tmp_path / "b", [*documents[4:], b"something else"], 2)
    _, units = compared(one, other)
    assert units.unpaired == (4, 1)


def test_texts_that_differ_are_refused(tmp_path: Path) -> None:
    one, other = index_texts(tmp_path / "a", texts(1), 1), index_texts(tmp_path / "b", texts(2), 2)
    with pytest.raises(MonosemError, match="no document in common"):
        compared(one, other)


def test_a_comparison_is_read_as_it_was_written(tmp_path: Path) -> None:
    one, other = (index_texts(tmp_path / name, texts(1), seed) for name, seed in (("a", 1), ("b", 2)))
    found, _ = compared(one, other)
    save_comparison(tmp_path / "comparisons" / "b.h5", found)
    read = load_comparison(tmp_path / "comparisons" / "b.h5")
    assert read.summary == found.summary
    for mine, theirs in zip(read.sides, found.sides, strict=True):
        for name, values in vars(mine).items():
            np.testing.assert_array_equal(values, getattr(theirs, name))


Unit = tuple[frozenset[int], frozenset[int]]


def units_by_hand(cuts: tuple[CutText, CutText], documents: list[bytes], unit: str) -> tuple[set[Unit], int, int]:
    """The tokens of both sides in each unit, byte by byte; how many are too long, and how many have one side alone."""
    found: set[Unit] = set()
    too_long = one_sided = 0
    for number, text in enumerate(documents):
        tokens = [
            [(at, p.start, p.end) for at, p in enumerate(cut.piece_N) if p.document == number and p.end > p.start]
            for cut in cuts
        ]
        edges = [
            place
            for place in range(len(text) + 1)
            if not any(start < place < end for side in tokens for _, start, end in side)
            and (unit == "token" or place in (0, len(text)) or text[place : place + 1].isspace())
        ]
        for start, end in pairwise(edges):
            sides = [frozenset(at for at, a, b in side if start <= a and b <= end) for side in tokens]
            if all(sides) and end - start <= 24:
                found.add((sides[0], sides[1]))
            too_long += all(sides) and end - start > 24
            one_sided += bool(sides[0]) != bool(sides[1])
    return found, too_long, one_sided


@pytest.mark.parametrize("unit", ["token", "word"])
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
@pytest.mark.parametrize(
    "kinds", [("plain", "plain"), ("plain", "changing"), ("located", "changing"), ("changing", "changing")]
)
def test_units_are_those_of_the_original_text_whatever_tokenizers_do_to_it(
    tmp_path: Path, kinds: tuple[Tokenizer, Tokenizer], seed: int, unit: str
) -> None:
    rng = np.random.default_rng(seed)
    words = [b"Ab", b"cAb", b"a", b"bbbbbbbbbbbbbbbbbbbbbbbbbbbbb", b"x.", b"\xc3\xa9t"]
    documents = [
        b" ".join(words[n] + b" " * int(rng.integers(0, 2)) for n in rng.integers(0, len(words), 8)).strip()
        + b"%d" % number
        for number in range(16)
    ]
    cuts = tuple(
        index_texts(tmp_path / str(side), documents, seed + side, context=9 + 2 * side, tokenizer=kind)
        for side, kind in enumerate(kinds)
    )
    found, units = compared(cuts[0], cuts[1], CompareSettings(least=4, shifts=1, resamplings=20, unit=unit))  # type: ignore[arg-type]
    made: dict[int, tuple[set[int], set[int]]] = {}
    for side in (0, 1):
        for at, number in enumerate(units.unit_N[side].tolist()):
            if number >= 0:
                made.setdefault(number, (set(), set()))[side].add(at)
    truth, too_long, one_sided = units_by_hand((cuts[0], cuts[1]), documents, unit)
    assert {(frozenset(a), frozenset(b)) for a, b in made.values()} == truth
    assert (units.too_long, units.one_sided) == (too_long, one_sided)
    assert found.summary.one_sided == one_sided
    assert units.unpaired == (0, 0)
    for side, cut in enumerate(cuts):
        np.testing.assert_array_equal(found.sides[side].units_F, (dense_units(units, side, cut) > 0).sum(0))
