"""Every figure of a comparison with neurons equals a dense computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.comparison.compare import IndexedRun, shifts_of
from engine.comparison.neuron_compare import compare_neurons
from engine.runtime.progress import Silent
from store.comparison.figures import LEVELS, Comparison
from store.index.neuron_file import NeuronActs, create_neurons, keys_of, numbers_of
from store.index.reader import FeatureStore
from store.query.document_texts import DocumentTexts
from store.query.text_units import TextUnits, shared_units
from store.settings.compare import CompareSettings
from tests.engine.comparison.test_compare import dense_units, pearson, texts
from tests.store.cut_texts import CutText, index_texts

NEURONS = 6
SETTINGS = CompareSettings(least=4, shifts=2, resamplings=20, memory=1_000_000)


def with_neurons(cut: CutText, path: Path, seed: int) -> NDArray[np.float32]:
    """Write neurons on the tokens of an index, some of which follow its features, and return them as stored [N, D]."""
    rng = np.random.default_rng(seed)
    acts_ND = rng.normal(size=(len(cut.token_N), NEURONS)).astype(np.float32)
    n = min(3, cut.dense_NF.shape[1])
    acts_ND[:, :n] += cut.dense_NF[:, :n] * np.array([1, -2, 0.5])[:n]
    acts_ND[:, -1] = 0
    unit_D = np.array([1, 2, 0.5, 1, 4, 1], np.float32)
    with create_neurons(path, "0", 1, unit_D, len(acts_ND)) as writer:
        for some in np.array_split(acts_ND, 3):
            writer.add(some)
    return (acts_ND / unit_D).astype(np.float16).astype(np.float32) * unit_D


def farthest(units: TextUnits, side: int, acts_ND: NDArray[np.float32], value: str = "max") -> NDArray[np.float64]:
    """The value of largest magnitude of each unit [U, D]; of two that are as far, the one above 0. Or sum, or last."""
    found = np.zeros((units.n_units, acts_ND.shape[1]))
    for unit in range(units.n_units):
        rows = acts_ND[units.unit_N[side] == unit]
        if value != "max":
            found[unit] = rows.astype(np.float64).sum(0) if value == "sum" else rows[-1]
            continue
        high, low = rows.max(0), rows.min(0)
        found[unit] = np.where(high >= -low, high, low)
    return found


def test_keys_rise_with_the_numbers_and_give_them_back() -> None:
    numbers = np.array([-65504, -1.5, -6e-8, -0.0, 0.0, 6e-8, 1, 65504], np.float16)
    keys = keys_of(numbers)
    assert (np.diff(keys.astype(int)) >= 0).all()
    assert keys[3] == keys[4]
    np.testing.assert_array_equal(numbers_of(keys), numbers)


@pytest.mark.parametrize("seed, value", [(0, "max"), (1, "max"), (2, "max"), (1, "sum"), (2, "last")])
@pytest.mark.parametrize("which", [(False, True), (True, False), (True, True)])
def test_every_figure_equals_a_dense_computation(
    tmp_path: Path, seed: int, value: str, which: tuple[bool, bool]
) -> None:
    documents = texts(seed)
    cuts = (
        index_texts(tmp_path / "a", documents, seed, n_features=5),
        index_texts(tmp_path / "b", documents, seed + 9, n_features=7, longest=6, context=11),
    )
    paths = [tmp_path / f"{side}.h5" for side in (0, 1)]
    acts = [with_neurons(cut, path, seed) for cut, path in zip(cuts, paths, strict=True)]
    with (
        FeatureStore.open(cuts[0].features) as a,
        FeatureStore.open(cuts[1].features) as b,
        NeuronActs.open(paths[0]) as first,
        NeuronActs.open(paths[1]) as second,
    ):
        units = shared_units(DocumentTexts.of(a), DocumentTexts.of(b))
        both = [
            IndexedRun(name, store, neurons=neurons if wanted else None)
            for name, store, neurons, wanted in zip("ab", (a, b), (first, second), which, strict=True)
        ]
        found = compare_neurons(both[0], both[1], SETTINGS.changed(value=value), Silent())
    assert found.summary.value == value
    values = [
        farthest(units, side, acts[side], value) if which[side] else dense_units(units, side, cuts[side], value)
        for side in (0, 1)
    ]
    check(found, values, units, which)


def check(found: Comparison, values: list[NDArray[np.float64]], units: TextUnits, which: tuple[bool, bool]) -> None:
    """Compare every figure with its definition."""
    halves = [~units.measuring_U, units.measuring_U]
    judged = [
        ((x != 0).sum(0) >= 4) & ((x[halves[0]] != 0).sum(0) >= 2) & ((x[halves[1]] != 0).sum(0) >= 2) for x in values
    ]
    table = np.array([[pearson(a, b) for b in values[1][halves[0]].T] for a in values[0][halves[0]].T])
    table[~judged[0]] = 0
    table[:, ~judged[1]] = 0
    best = [np.abs(table).argmax(1), np.abs(table).argmax(0)]
    for side in (0, 1):
        figures, told = found.sides[side], found.summary.sides[side]
        np.testing.assert_array_equal(figures.judged_F, judged[side])
        np.testing.assert_array_equal(figures.units_F, (values[side] != 0).sum(0))
        for row in np.flatnonzero(judged[side]):
            partner = best[side][row]
            chosen = table[row, partner] if side == 0 else table[partner, row]
            assert figures.chosen_r_F[row] == pytest.approx(chosen, abs=1e-6)
            assert figures.partner_F[row] == partner
            assert figures.mutual_F[row] == (best[1 - side][partner] == row)
            a_U, b_U = values[side][halves[1], row], values[1 - side][halves[1], partner]
            sign = np.sign(chosen)
            a_U, b_U = (a_U, sign * b_U) if which[1 - side] else (sign * a_U, b_U)
            joint, either = (a_U > 0) & (b_U > 0), (a_U > 0) | (b_U > 0)
            assert figures.r_F[row] == pytest.approx(pearson(a_U, b_U), abs=1e-6)
            assert figures.joint_F[row] == joint.sum()
            assert figures.jaccard_F[row] == pytest.approx(joint.sum() / max(1, either.sum()))
            assert figures.coverage_F[row] == pytest.approx(a_U[joint].sum() / max(a_U[a_U > 0].sum(), 1e-9), abs=1e-6)
            assert figures.covered_F[row] == pytest.approx(b_U[joint].sum() / max(b_U[b_U > 0].sum(), 1e-9), abs=1e-6)
        r_J = figures.r_F[judged[side]]
        assert told.found.median_r == pytest.approx(np.median(r_J))
        assert told.found.share_r == pytest.approx([(r_J > level).mean() for level in LEVELS])
        nulls = [null(values, by, judged, halves, side) for by in shifts_of(units, SETTINGS)]
        assert told.shifted is not None
        assert told.shifted.median_r == pytest.approx(np.mean(nulls))
        low, high = told.ci[0]
        assert low <= high


def null(
    values: list[NDArray[np.float64]],
    by: int,
    judged: list[NDArray[np.bool_]],
    halves: list[NDArray[np.bool_]],
    side: int,
) -> float:
    """The median r of a side where the second side's units are moved on."""
    moved = [values[0], np.roll(values[1], by, axis=0)]
    mine, theirs = moved[side][:, judged[side]], moved[1 - side][:, judged[1 - side]]
    table, other = (np.array([[pearson(a, b) for b in theirs[half].T] for a in mine[half].T]) for half in halves)
    best = np.abs(table).argmax(1)
    rows = np.arange(len(best))
    return float(np.median(np.sign(table[rows, best]) * other[rows, best]))
