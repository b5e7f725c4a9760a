"""Terms of the places of the app: of columns by their names, and of what a pane shows beside its columns."""

from __future__ import annotations

import re
from typing import NamedTuple

from monosem_tui.draw.spans import Line, Role, text_of
from monosem_tui.keys.actions import Where
from monosem_tui.terms import comparison, detection, feature_page, live, quality
from monosem_tui.terms import map as plane
from monosem_tui.terms.table import TERMS
from monosem_tui.terms.term import Term


class Explained(NamedTuple):
    """The terms that a pane has to explain."""

    term: Term | None = None
    """The one under its cursor; None where that is on no term."""
    others: tuple[Term, ...] = ()
    """The others that it shows."""


_NAMED = {term.name: term for term in TERMS}
COLUMNS = {
    "id": _NAMED["feature"],
    "density": feature_page.DENSITY,
    "1 in": feature_page.DENSITY,
    "max": feature_page.MAX,
    "mean": feature_page.MEAN,
    "norm": feature_page.NORM,
    "0–max": feature_page.HISTOGRAM,
    "kind": feature_page.KIND,
    "token": feature_page.KIND,
    "n-gram": feature_page.KIND,
    "context": feature_page.KIND,
    "strongest example": feature_page.TOP,
    "fires on": feature_page.TOP_TOKEN,
    "label": _NAMED["note"],
    "F1": detection.F1,
    "precision": detection.PRECISION,
    "prec": detection.PRECISION,
    "recall": detection.RECALL,
    "rec": detection.RECALL,
    "AUROC": detection.AUROC,
    "from": detection.THRESHOLD,
    "r": comparison.CORRELATION,
    "cos": comparison.DIRECTION_COSINE,
    "units": comparison.UNITS,
    "within": comparison.WITHIN,
    "covers": comparison.COVERAGE,
    "status": quality.STATUS,
    "model and site": _NAMED["site"],
    "dictionary": _NAMED["spec"],
    "date": quality.CREATED,
    "trained": quality.TRAINED,
    "EV": quality.EXPLAINED_VARIANCE,
    "L0": quality.L0,
}
"""Terms by the names of columns, in whatever list."""
_ARROWS = "↓↑ "

OF_PLACES = {
    Where.FIND: (detection.MATCHES, detection.TOGETHER, detection.CONFIDENCE, detection.LIFT),
    Where.COMPARE: (comparison.MUTUAL, comparison.PARTNER, comparison.UNIT),
    Where.PAIR: comparison.COMPARISON,
    Where.DOCUMENT: (feature_page.ACTIVATION, feature_page.EXAMPLE, _NAMED["document"], _NAMED["context"]),
    Where.WRITING: live.WRITING,
    Where.INSPECT: (live.FIRINGS, feature_page.ACTIVATION, live.LOSS_CHANGE, _NAMED["counted token"]),
    Where.RECIPES: (live.RECIPE, live.CLAMP, live.SAMPLING),
    Where.MAP: (feature_page.DENSITY, feature_page.MAX, plane.PLANE, plane.CLUSTER, plane.TRUSTWORTHINESS),
    Where.RUNS: (quality.SPEED, quality.LOSS, quality.DEAD),
    Where.TRAINING: (quality.EXPLAINED_VARIANCE, quality.L0, quality.OUTLIER),
}
"""Terms that a place shows beside what its pane explains itself."""


def column_terms(header: Line) -> Explained:
    """Return the terms of a list's columns, that of the column it is sorted by first of all."""
    sorts = next((text.strip(_ARROWS) for text, role in header if role is Role.BOLD and text.strip(_ARROWS)), "")
    text = text_of(header)
    found = [term for name, term in COLUMNS.items() if re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)]
    return Explained(COLUMNS.get(sorts), tuple(dict.fromkeys(found)))


def place_terms(*places: Where) -> tuple[Term, ...]:
    """Return the terms of some places."""
    return tuple(term for place in places for term in OF_PLACES.get(place, ()))


GROUPS = {"dead": quality.DEAD, "ultra-low": quality.ULTRA_LOW}
"""Terms of Health's groups of features; others are of densities or of kinds."""


def group_term(title: str, note: str) -> Term:
    """Return the term of a group of features in Health."""
    return GROUPS.get(title) or (feature_page.KIND if note in ("kind", "too rare") else quality.DENSITIES)
