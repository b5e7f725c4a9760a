"""The panel at the right of a wide page: histogram with axes, logit effects, similar features, companions."""

from __future__ import annotations

from monosem_tui.draw.sheet import Sheet, joined, plain
from monosem_tui.model.feature_card import FeatureCard
from monosem_tui.model.feature_stats import Figures
from monosem_tui.pages.feature_charts import tall_along, tall_histogram, tall_logits
from monosem_tui.pages.feature_relations import effect_table, feature_table, neurons, turns

LEAST_SIDE, MOST_SIDE = 43, 56
SIDE_GAP = 3


def side_cells(cells: int) -> int:
    """Return the width of the panel on a page of some cells."""
    return min(MOST_SIDE, max(LEAST_SIDE, cells * 2 // 5))


def side_panel(card: FeatureCard, figures: Figures | None, cells: int, *, log: bool) -> Sheet:
    """Return the panel; what is still being read is left out, or said to be on its way."""
    blank = plain([()])
    parts = [] if card.dead else [tall_histogram(card, cells, log=log), blank]
    if figures is not None and not card.dead:
        parts += [tall_along(figures, cells), blank]
    parts += [effect_table(card, cells), blank, feature_table(card, figures, cells)]
    if figures is not None:
        if figures.roles:
            parts += [blank, turns(figures, cells)]
        if figures.logits is not None:
            parts += [blank, tall_logits(figures.logits, cells)]
        parts += [blank, neurons(figures, cells)]
    return joined(parts)
