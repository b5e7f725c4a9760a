"""Output of `monosem compare`: figures of each pair of runs, and their best matched features."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monosem_tui.cli import output
from monosem_tui.cli.progress import ConsoleProgress
from monosem_tui.cli.reports.comparison_tree import report_tree
from monosem_tui.cli.reports.feature import read_notes
from monosem_tui.cli.run_lookup import Place
from monosem_tui.draw.numbers import count, duration, fixed, share
from monosem_tui.model.feature_card import feature_name
from store.comparison.figures import LEVELS, NO_PARTNER, Side, SideSummary
from store.index.reader import FeatureStore
from store.settings.compare import CompareSettings

if TYPE_CHECKING:
    from engine.commands.compare import Compared

NOT_MEASURED = "not measured here: neurons and random weights; the ceiling is the same settings with another --seed"


def report(places: Sequence[Place], settings: CompareSettings, *, top: int, tree: bool, json: bool) -> None:
    """Compare runs pair by pair, and print each as soon as it is known; or the tree of all of them.

    Raises:
        MonosemError: an index is missing or unfinished, or two of them share no text.
    """
    from engine.commands.compare import compare_runs

    names = _names(places)
    if tree and len(places) > 1:
        report_tree(places, names, settings, top=top, json=json)
        return
    of = dict(zip([place.path for place in places], places, strict=True))
    for found in compare_runs([place.path for place in places], names, settings, ConsoleProgress()):
        if json:
            output.emit_json(_json(found))
            continue
        _figures(found)
        if top:
            _features(found, of[found.paths[0]], of[found.paths[1]], top)
        output.narrate(f"took {duration(found.seconds)}; kept in {found.kept}")
    if not json:
        output.narrate(NOT_MEASURED)


def _names(places: Sequence[Place]) -> list[str]:
    """Return names that differ: of the run, or of the folder or file of an index; where two have the same, numbered."""
    names = [place.run.name if place.run else _index_name(place.path.resolve()) for place in places]
    return [name if names.count(name) == 1 else f"{name}-{number}" for number, name in enumerate(names, 1)]


def _index_name(path: Path) -> str:
    return path.parent.name if path.name == "features.h5" else path.stem


def _figures(found: Compared) -> None:
    told = found.comparison.summary
    unit = "words" if told.unit == "word" else "units"
    output.emit_text(
        f"{count(told.units)} {unit} of {count(told.documents)} documents in common; partners are chosen on half of "
        f"the documents and measured on the other ({count(told.measured)} {unit})"
    )
    if told.too_long:
        output.emit_text(f"{count(told.too_long)} {unit} of more than 24 bytes are left out")
    lengths = [f"{bytes_}: {share(n / max(1, told.units))}" for bytes_, n in enumerate(told.unit_bytes, 1) if n]
    output.emit_text(f"bytes a unit  {'  '.join(lengths[:8])}{'  …' if len(lengths) > 8 else ''}")
    output.emit_text("")
    columns = [output.Column("")] + [output.Column(side.name, shrinks=True) for side in told.sides]
    rows = [
        [
            "features, judged, silent",
            *(f"{count(s.features)}, {count(s.judged)}, {count(s.silent)}" for s in told.sides),
        ],
        ["median r with the best partner", *(_with_interval(s.found.median_r, s.ci[0]) for s in told.sides)],
    ]
    for number, level in enumerate(LEVELS):
        rows.append([f"r above {level}", *(_percent(s.found.share_r[number], s.ci[number + 1]) for s in told.sides)])
    rows.append(["mutual", *(share(s.mutual) for s in told.sides)])
    rows.append(["energy in features of r ≥ 0.7", *(share(s.energy) for s in told.sides)])
    if all(s.shifted for s in told.sides):
        rows.append(["by chance: median r, r above 0.5", *(_by_chance(s) for s in told.sides)])
    output.emit_table(columns, rows)
    if told.pw_mcc is not None:
        bound = "" if told.pw_mcc_exact else " at least (50 candidates a feature)"
        output.emit_text(f"decoders matched one to one: mean |cosine| {fixed(told.pw_mcc)}{bound}")


def _by_chance(side: SideSummary) -> str:
    assert side.shifted is not None
    return f"{fixed(side.shifted.median_r)}, {share(side.shifted.share_r[0])}"


def _with_interval(value: float, interval: Sequence[float]) -> str:
    return f"{fixed(value)} ({fixed(interval[0])} – {fixed(interval[1])})"


def _percent(value: float, interval: Sequence[float]) -> str:
    return f"{fixed(100 * value, 1)} % ({fixed(100 * interval[0], 1)} – {fixed(100 * interval[1], 1)})"


def _features(found: Compared, first: Place, second: Place, top: int) -> None:
    """Print the best matched judged features of the first run."""
    side = found.comparison.sides[0]
    order = _best(side)[:top]
    with FeatureStore.open(found.indexes[0]) as a, FeatureStore.open(found.indexes[1]) as b:
        notes = read_notes(first), read_notes(second)
        rows = []
        for feature in order.tolist():
            partner = int(side.partner_F[feature])
            rows.append(
                [
                    str(feature),
                    feature_name(a, notes[0], feature),
                    str(partner),
                    feature_name(b, notes[1], partner),
                    fixed(float(side.r_F[feature])),
                    _cosine(side.cosine_F[feature]),
                    _cosine(side.encoder_cosine_F[feature]),
                    count(int(side.joint_F[feature])),
                    "yes" if side.mutual_F[feature] else "",
                ]
            )
    names = found.comparison.summary.sides
    output.emit_text("")
    output.emit_table(
        [
            output.Column(names[0].name, ">"),
            output.Column("fires on", shrinks=True),
            output.Column(names[1].name, ">"),
            output.Column("fires on", shrinks=True),
            *output.right("r", "cosine", "encoders'", "both fire"),
            output.Column("mutual"),
        ],
        rows,
    )


def _cosine(value: float) -> str:
    return "–" if np.isnan(value) else fixed(value, 2)


def _best(side: Side) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return judged features with a partner, the highest r first."""
    wanted = np.flatnonzero(side.judged_F & (side.partner_F != NO_PARTNER))
    return wanted[np.argsort(-side.r_F[wanted], kind="stable")]


def _json(found: Compared) -> dict[str, Any]:
    told, side = found.comparison.summary, found.comparison.sides[0]
    return {
        "a": told.sides[0].name,
        "b": told.sides[1].name,
        "unit": told.unit,
        "units": told.units,
        "measured": told.measured,
        "documents": told.documents,
        "too_long": told.too_long,
        "unit_bytes": told.unit_bytes,
        **_side_json(told.sides[0]),
        "reverse": _side_json(told.sides[1]),
        "pw_mcc": told.pw_mcc,
        "pw_mcc_exact": told.pw_mcc_exact,
        "file": str(found.kept),
        "text": told.text,
        "seconds": found.seconds,
        "features": _feature_json(side),
    }


def _side_json(side: SideSummary) -> dict[str, Any]:
    names = ("median_r", *(f"share_r_{level}" for level in LEVELS))
    shifted = side.shifted
    return {
        "judged": side.judged,
        "silent": side.silent,
        "unpaired": side.unpaired,
        "median_r": side.found.median_r,
        "share_r": _levels(side.found.share_r),
        "mutual": side.mutual,
        "energy": side.energy,
        "ci": dict(zip(names, side.ci, strict=True)),
        "nulls": {
            "shifted": None if shifted is None else {"median_r": shifted.median_r, "share_r": _levels(shifted.share_r)},
            "neurons": None,
            "random": None,
        },
        "ceiling": None,
    }


def _levels(shares: Sequence[float]) -> dict[str, float]:
    return {str(level): value for level, value in zip(LEVELS, shares, strict=True)}


def _feature_json(side: Side) -> list[dict[str, Any]]:
    return [
        {
            "feature": feature,
            "partner": int(side.partner_F[feature]),
            "r": float(side.r_F[feature]),
            "mutual": bool(side.mutual_F[feature]),
            "cosine": float(side.cosine_F[feature]),
            "encoder_cosine": float(side.encoder_cosine_F[feature]),
            "coverage": float(side.coverage_F[feature]),
            "jaccard": float(side.jaccard_F[feature]),
            "n": int(side.joint_F[feature]),
        }
        for feature in _best(side).tolist()
    ]
