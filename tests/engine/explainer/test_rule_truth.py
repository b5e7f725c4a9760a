"""Rules recover the concepts of the planted corpus."""

from __future__ import annotations

from pathlib import Path

from store.rules.grammar import parse_rule
from tests.engine.explainer.rule_truth import NEAR, planted_figures


def test_rules_are_as_good_as_the_planted_concepts(tmp_path: Path) -> None:
    """On held-out documents, of the features whose concept has an F1 of 0.9: nine in ten."""
    found = [one for one in planted_figures(400, tmp_path / "run") if one.own >= 0.9]
    assert len(found) > 35
    worse = [one for one in found if one.rule_f1 < one.own - NEAR]
    assert len(worse) <= 0.1 * len(found), worse
    for one in found:
        parse_rule(one.rule)
    named = {one.name: one.rule for one in found}
    assert named["quotation"].startswith("quote")
    assert "because" in named["because"]
