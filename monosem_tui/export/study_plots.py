"""The plots of a study, as SVG by the name of their files."""

from __future__ import annotations

from collections.abc import Sequence

from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.svg_plots import Axis, Line, lines, matrix, stacked
from store.settings.feature_kinds import KINDS
from store.study.figures import StudyFigures, StudyPair, StudyRun

MOST_LINES = 16
"""Lines of one plot; a study of more shows the first ones."""
_POINTS = 200


def study_plots(figures: StudyFigures) -> dict[str, str]:
    """Return the plots that a study has the figures for."""
    found = {"density": _density(figures.runs)}
    if any(run.kinds for run in figures.runs):
        found["kinds"] = _kinds(figures.runs)
    if any(run.universal for run in figures.runs):
        found["universal"] = _universal(figures.runs)
    if figures.pairs:
        found["partners"] = _partners(figures.pairs)
    return {f"{name}.svg": plot for name, plot in found.items()}


def _density(runs: Sequence[StudyRun]) -> str:
    drawn = []
    for run in runs[:MOST_LINES]:
        total = sum(run.density_counts) or 1
        middles = [(a + b) / 2 for a, b in zip(run.density_edges, run.density_edges[1:], strict=False)]
        points = [(x, n / total) for x, n in zip(middles, run.density_counts, strict=True)]
        drawn.append(Line(printable(run.name), points))
    low = min((line.points[0][0] for line in drawn if line.points), default=-6.0)
    high = max((y for line in drawn for _, y in line.points), default=1.0)
    x = Axis("log10 of the share of tokens that a feature fires on", float(int(low) - 1), 0.0)
    return lines("How often features fire", x, Axis("share of features, four bins a decade", 0.0, high), drawn)


def _kinds(runs: Sequence[StudyRun]) -> str:
    rows = []
    for run in runs:
        total = sum(run.kinds.values())
        if total:
            rows.append((printable(run.name), [run.kinds.get(kind, 0) / total for kind in KINDS]))
    return stacked("Kinds of features", KINDS, rows)


def _universal(runs: Sequence[StudyRun]) -> str:
    names = list(dict.fromkeys(run.model for run in runs))
    rows: list[tuple[str, list[float | None]]] = []
    for run in runs:
        known: dict[str, float | None] = {one.model: one.share for one in run.universal}
        rows.append((printable(run.name), [known.get(name) for name in names]))
    return matrix("Share of features with a partner of r ≥ 0.7 in another run of", list(map(printable, names)), rows)


def _partners(pairs: Sequence[StudyPair]) -> str:
    drawn = []
    for pair in pairs[:MOST_LINES]:
        step = max(1, len(pair.r) // _POINTS)
        points = [(max(0.0, r), (place + 1) / len(pair.r)) for place, r in enumerate(pair.r) if place % step == 0]
        drawn.append(Line(printable(f"{pair.first} in {pair.second}"), points))
    x = Axis("r with the best partner, measured on documents that it was not chosen on", 0.0, 1.0)
    return lines("Features with a partner at least as alike", x, Axis("share of judged features", 0.0, 1.0), drawn)
