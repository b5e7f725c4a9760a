"""Kind and explanations of a feature as JSON, with keys that programs rely on: add, never rename."""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from typing import Any

from store.notes.explanations import Explanation, Explanations, ExplanationScores
from store.rules.kinds import Kinds
from store.settings.feature_kinds import SHARES


def explained_json(feature: int, kinds: Kinds | None, explanations: Explanations) -> dict[str, Any]:
    """Return the kind, the shares that decide it, and the explanations of all authors, the best first.

    Kind and shares are null where they were not measured, or the feature fires too rarely to judge.
    """
    return {
        **kind_json(feature, kinds),
        "explanations": [_explanation_json(one) for one in explanations.of(feature)],
    }


def kind_json(feature: int, kinds: Kinds | None) -> dict[str, Any]:
    """Return the kind and the shares that decide it."""
    shares = {f"{name}_share": float(kinds.share(name)[feature]) if kinds else None for name in SHARES}
    known = {name: None if value is None or isnan(value) else value for name, value in shares.items()}
    return {"kind": kinds.of(feature) if kinds else None, **known}


def _explanation_json(one: Explanation) -> dict[str, Any]:
    return {
        "author": one.author,
        "text": one.text,
        "rule": one.rule,
        "pattern": one.pattern,
        "last": one.last,
        "made_from": one.made_from,
        "threshold": one.threshold,
        "documents": one.documents,
        **scores_json(one.scores),
    }


def scores_json(scores: ExplanationScores) -> dict[str, Any]:
    """Return figures by name, null where not measured, and their intervals under `ci`."""
    known = {name: value for name, value in asdict(scores).items() if value is not None}
    values = {name: known[name]["value"] if name in known else None for name in asdict(scores)}
    return values | {"ci": {name: [one["low"], one["high"]] for name, one in known.items()}}
