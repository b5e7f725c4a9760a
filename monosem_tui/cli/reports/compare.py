"""Output of `monosem compare`: figures of each pair of runs, and their best matched features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from monosem_tui.cli import output
from monosem_tui.cli.progress import ConsoleProgress
from monosem_tui.cli.reports.comparison_tree import report_tree
from monosem_tui.cli.reports.feature import read_notes
from monosem_tui.cli.sources import FoundSource, MissingBaseline, missing_baselines
from monosem_tui.draw.numbers import count, duration, fixed, share
from monosem_tui.model.feature_card import feature_name
from store.comparison.figures import LEVELS, NO_PARTNER, Shares, Side, SideSummary
from store.index.reader import FeatureStore
from store.settings.compare import CompareSettings

if TYPE_CHECKING:
    from engine.commands.compare import Compared

VALUES = {"sum": "the sum of its tokens'", "last": "that of its last token"}
"""Values of units other than the default, in words."""
BASELINES = {
    "neurons": "neurons with neurons",
    "features_neurons": "with the other's neurons",
    "random": "with the other's model at random",
    "seed": "ceiling: another seed",
}
"""Rows of the table by name of the baseline."""


def report(sources: Sequence[FoundSource], settings: CompareSettings, *, top: int, tree: bool, json: bool) -> None:
    """Compare sources pair by pair, and print each as soon as it is known; then the baselines that are not made.

    With `tree`, compare each dictionary with the next larger one, and print the tree.

    Raises:
        MonosemError: an index is missing or unfinished, or two of them share no text.
    """
    from engine.commands.compare import ComparedSource, compare_runs

    names = _names(sources)
    compared = [
        ComparedSource(one.place.path, name, one.neurons, None if one.baseline else one.place.run)
        for one, name in zip(sources, names, strict=True)
    ]
    if tree:
        report_tree(compared, sources, settings, top=top, json=json)
        return
    of = dict(zip(names, sources, strict=True))
    missing = missing_baselines(sources) if settings.baselines else []
    for found in compare_runs(compared, settings, ConsoleProgress()):
        if json:
            output.emit_json(_json(found, missing))
            continue
        _figures(found)
        if top:
            first, second = (of[one.name] for one in found.sources)
            _features(found, first, second, top)
        output.narrate(f"took {duration(found.seconds)}; kept in {found.kept}")
    if not json:
        for one in missing:
            output.narrate(f"not made: {one.what}, {one.cost}")
            output.narrate(f"  {one.command}")


def _names(sources: Sequence[FoundSource]) -> list[str]:
    """Return names that differ: of the run, or of the folder or file of an index; where two have the same, numbered."""
    names = [one.name if one.place.run else _index_name(one.place.path.resolve()) for one in sources]
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
    if told.value in VALUES:
        output.emit_text(f"a feature's value at a unit is {VALUES[told.value]}")
    if told.too_long:
        output.emit_text(f"{count(told.too_long)} {unit} of more than 24 bytes are left out")
    if told.one_sided:
        output.emit_text(f"{count(told.one_sided)} spans that only one side has tokens for are left out")
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
    if any(s.shared_variance for s in told.sides):
        rows.append(["explained variance they keep alone", *map(_kept_variance, told.sides)])
    if all(s.shifted for s in told.sides):
        rows.append(["by chance: median r, r above 0.5", *(_by_chance(s) for s in told.sides)])
    rows += [row for name, title in BASELINES.items() if any((row := _baseline_row(name, title, told.sides))[1:])]
    output.emit_table(columns, rows)
    if told.pw_mcc is not None:
        bound = "" if told.pw_mcc_exact else " at least (50 candidates a feature)"
        output.emit_text(f"decoders matched one to one: mean |cosine| {fixed(told.pw_mcc)}{bound}")


def _kept_variance(side: SideSummary) -> str:
    found = side.shared_variance
    return f"{fixed(found.kept)} of {fixed(found.whole)}" if found else ""


def _by_chance(side: SideSummary) -> str:
    assert side.shifted is not None
    return _median_and_share(side.shifted)


def _median_and_share(shares: Shares) -> str:
    return f"{fixed(shares.median_r)}, {share(shares.share_r[0])}"


def _baseline_row(name: str, title: str, sides: Sequence[SideSummary]) -> list[str]:
    """Return the row of a baseline; without a figure where a side has none."""
    return [title, *(_median_and_share(found) if (found := _of_baseline(s, name)) else "" for s in sides)]


def _of_baseline(side: SideSummary, name: str) -> Shares | None:
    return next((one.found for one in side.baselines if one.name == name), None)


def _with_interval(value: float, interval: Sequence[float]) -> str:
    return f"{fixed(value)} ({fixed(interval[0])} – {fixed(interval[1])})"


def _percent(value: float, interval: Sequence[float]) -> str:
    return f"{fixed(100 * value, 1)} % ({fixed(100 * interval[0], 1)} – {fixed(100 * interval[1], 1)})"


def _features(found: Compared, first: FoundSource, second: FoundSource, top: int) -> None:
    """Print the best matched judged features of the first run."""
    side = found.comparison.sides[0]
    order = _best(side)[:top]
    with FeatureStore.open(found.sources[0].index) as a, FeatureStore.open(found.sources[1].index) as b:
        notes = read_notes(first.place), read_notes(second.place)
        rows = []
        for feature in order.tolist():
            partner = int(side.partner_F[feature])
            signs = _signs(side.chosen_r_F[feature] < 0, second)
            rows.append(
                [
                    f"{signs[0]}{feature}",
                    "" if first.neurons else feature_name(a, notes[0], feature),
                    f"{signs[1]}{partner}",
                    "" if second.neurons else feature_name(b, notes[1], partner),
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


def _signs(falls: bool, second: FoundSource) -> tuple[str, str]:
    """Return the sign before each of a pair's numbers: a neuron that falls where the other side rises has a minus."""
    if not falls:
        return "", ""
    return ("", "−") if second.neurons else ("−", "")


def _cosine(value: float) -> str:
    return "–" if np.isnan(value) else fixed(value, 2)


def _best(side: Side) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return judged features with a partner, the highest r first."""
    wanted = np.flatnonzero(side.judged_F & (side.partner_F != NO_PARTNER))
    return wanted[np.argsort(-side.r_F[wanted], kind="stable")]


def _json(found: Compared, missing: Sequence[MissingBaseline]) -> dict[str, Any]:
    told, side = found.comparison.summary, found.comparison.sides[0]
    return {
        "a": told.sides[0].name,
        "b": told.sides[1].name,
        "unit": told.unit,
        "value": told.value,
        "units": told.units,
        "measured": told.measured,
        "documents": told.documents,
        "too_long": told.too_long,
        "one_sided": told.one_sided,
        "unit_bytes": told.unit_bytes,
        **_side_json(told.sides[0]),
        "reverse": _side_json(told.sides[1]),
        "pw_mcc": told.pw_mcc,
        "pw_mcc_exact": told.pw_mcc_exact,
        "file": str(found.kept),
        "text": told.text,
        "seconds": found.seconds,
        "missing": [asdict(one) for one in missing],
        "features": _feature_json(side),
    }


def _side_json(side: SideSummary) -> dict[str, Any]:
    names = ("median_r", *(f"share_r_{level}" for level in LEVELS))
    nulls = {name: _of_baseline(side, name) for name in BASELINES}
    ceiling = nulls.pop("seed")
    return {
        "judged": side.judged,
        "silent": side.silent,
        "unpaired": side.unpaired,
        "median_r": side.found.median_r,
        "share_r": _levels(side.found.share_r),
        "mutual": side.mutual,
        "energy": side.energy,
        "explained_variance": side.shared_variance.whole if side.shared_variance else None,
        "explained_variance_shared": side.shared_variance.kept if side.shared_variance else None,
        "ci": dict(zip(names, side.ci, strict=True)),
        "nulls": {name: _shares_json(one) for name, one in {"shifted": side.shifted, **nulls}.items()},
        "ceiling": _shares_json(ceiling),
    }


def _shares_json(shares: Shares | None) -> dict[str, Any] | None:
    return None if shares is None else {"median_r": shares.median_r, "share_r": _levels(shares.share_r)}


def _levels(shares: Sequence[float]) -> dict[str, float]:
    return {str(level): value for level, value in zip(LEVELS, shares, strict=True)}


def _feature_json(side: Side) -> list[dict[str, Any]]:
    return [
        {
            "feature": feature,
            "partner": int(side.partner_F[feature]),
            "r": float(side.r_F[feature]),
            "sign": -1 if side.chosen_r_F[feature] < 0 else 1,
            "mutual": bool(side.mutual_F[feature]),
            "cosine": float(side.cosine_F[feature]),
            "encoder_cosine": float(side.encoder_cosine_F[feature]),
            "coverage": float(side.coverage_F[feature]),
            "jaccard": float(side.jaccard_F[feature]),
            "n": int(side.joint_F[feature]),
        }
        for feature in _best(side).tolist()
    ]
