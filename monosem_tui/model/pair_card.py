"""The data of a pair's page: two features and the passages of the text that their runs share, ready to be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.token_text import display_tokens
from monosem_tui.model.comparisons import HeldComparison
from monosem_tui.model.context_borders import BORDER
from monosem_tui.model.feature_card import ShownExample, top_token
from monosem_tui.model.feature_explanations import suggestion
from monosem_tui.model.open_run import OpenRun
from store.comparison.shared_text import Fires, SharedText, UnitPassage
from store.index.reader import FeatureStore
from store.query.text_units import VALUES

BOTH, ONLY_FIRST, ONLY_SECOND = "both", "only A", "only B"
SECTIONS: dict[str, Fires] = {BOTH: "both", ONLY_FIRST: "first", ONLY_SECOND: "second"}


@dataclass(frozen=True)
class PairedFeature:
    """One of the two features."""

    run: str
    feature: int
    label: str
    suggestion: str
    """The best explanation; empty where there is none."""
    token: str
    """Its top token."""
    density: float
    units: int
    """Shared units on which it fires."""
    top: float
    """Its largest value on them."""


@dataclass(frozen=True)
class PairStatistics:
    """Figures of a pair in a comparison, from the first feature's side."""

    r: float
    cosine: float
    """Cosine of the decoder directions; NaN in different spaces."""
    encoder_cosine: float
    joint: int
    """Units of the measuring half on which both fire."""
    jaccard: float
    coverage: float
    """Share of the first's activation on units where the second fires."""
    covered: float
    """Share of the second's activation on units where the first fires."""
    mutual: bool
    unit: str
    """`token` or `word`."""


@dataclass(frozen=True)
class ShownPassage:
    """A passage with the values of both features, drawn alike."""

    examples: tuple[ShownExample, ShownExample]

    @property
    def acts(self) -> tuple[float, float]:
        """Both values at the peak."""
        first, second = self.examples
        return first.act, second.act


@dataclass(frozen=True)
class PairCard:
    """Two features side by side."""

    features: tuple[PairedFeature, PairedFeature]
    """That of the open run first."""
    statistics: PairStatistics
    counts: Mapping[str, int]
    """Units of each of SECTIONS."""
    sections: Mapping[str, tuple[ShownPassage, ...]]


def read_pair(
    run: OpenRun, other: OpenRun, held: HeldComparison, shared: SharedText, pair: tuple[int, int]
) -> PairCard:
    """Read the page of two features.

    Args:
        run: the open run.
        other: the other run.
        held: their comparison.
        shared: the text that both share, the open run's first.
        pair: a feature of each.

    Raises:
        MonosemError: there is no such feature, or a store is damaged or has vanished.
    """
    stores = run.store, other.store
    for store in stores:
        store.check_lengths()
    firing = (shared.firing(0, stores[0], pair[0]), shared.firing(1, stores[1], pair[1]))
    found = shared.passages(firing)
    features = [
        _feature(one, feature, len(fires.unit_E), top)
        for one, feature, fires, top in zip((run, other), pair, firing, found.top, strict=True)
    ]
    return PairCard(
        (features[0], features[1]),
        _statistics(held, pair),
        {name: found.n[fires] for name, fires in SECTIONS.items()},
        {
            name: tuple(shown_passage(passage, shared.opener) for passage in found.passages[fires])
            for name, fires in SECTIONS.items()
        },
    )


def _feature(run: OpenRun, feature: int, units: int, top: float) -> PairedFeature:
    note, store = run.notes.get(feature), run.store
    return PairedFeature(
        run.name,
        feature,
        printable(note.label) if note else "",
        suggestion(run.explanations, feature),
        top_token(store, feature),
        float(store.columns.density_F[feature]),
        units,
        top,
    )


def _statistics(held: HeldComparison, pair: tuple[int, int]) -> PairStatistics:
    """Return the figures of a pair, from the side that chose the other as its best partner."""
    side, (mine, theirs) = held.side(), pair
    unit = held.comparison.summary.unit
    if side.partner_F[mine] == theirs:
        at, coverage, covered = mine, side.coverage_F[mine], side.covered_F[mine]
    else:
        side, at = held.side(theirs=True), theirs
        coverage, covered = side.covered_F[theirs], side.coverage_F[theirs]
    return PairStatistics(
        float(side.r_F[at]),
        float(side.cosine_F[at]),
        float(side.encoder_cosine_F[at]),
        int(side.joint_F[at]),
        float(side.jaccard_F[at]),
        float(coverage),
        float(covered),
        bool(side.mutual_F[at]),
        unit,
    )


def shown_passage(passage: UnitPassage, opener: bytes) -> ShownPassage:
    """Return a passage, a bar in place of what opens a context."""
    bar = BORDER.encode()
    pieces = display_tokens([text.replace(opener, bar) if opener else text for text in passage.text_U])
    first, second = (_example(pieces, act_U, passage) for act_U in passage.acts)
    return ShownPassage((first, second))


def _example(pieces: list[str], act_U: NDArray[np.float32], passage: UnitPassage) -> ShownExample:
    return ShownExample(pieces, act_U, passage.peak, passage.document, 0)


def read_shared(held: HeldComparison, mine: FeatureStore, theirs: FeatureStore) -> SharedText:
    """Read the texts of both runs and cut them into the units of their comparison.

    Raises:
        MonosemError: they share no document any more, or a store is damaged or has vanished.
    """
    told = held.comparison.summary
    value = next((one for one in VALUES if one == told.value), VALUES[0])
    return SharedText.of(mine, theirs, "word" if told.unit == "word" else "token", value)
