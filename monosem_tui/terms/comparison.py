"""Terms of Compare: features of one run beside those of another on the same text."""

from __future__ import annotations

from monosem_tui.terms.term import Term

UNIT = Term(
    "unit",
    "the shortest span of the original text between places at which all compared tokenizers cut; elsewhere, "
    "what a figure is counted in",
    formula="a feature's value at a unit is the largest of its tokens'; with --value, their sum or the last one's",
)
CORRELATION = Term(
    "r",
    "how nearly two features fire alike: the correlation of their values over shared units",
    formula="Pearson's r; partners are chosen on one half of the documents and measured on the other",
    unit="−1 to 1",
    typical="compare prints the same for shifted text, neurons and random weights beside it",
)
MUTUAL = Term(
    "mutual",
    "each of two features is the other's best partner, drawn ⇄",
)
PARTNER = Term(
    "best partner",
    "the feature of the other run with the largest r; features with fewer than 20 firing units are too rare to judge",
)
COVERAGE = Term(
    "coverage",
    "share of a feature's activation at units where the other one fires; it differs by direction",
    formula="Σ a at units with b > 0 / Σ a",
    unit="share",
)
WITHIN = Term(
    "within",
    "share of a branch's activation at units where its root fires: how far it is a part of the root",
    unit="share",
)
JACCARD = Term(
    "Jaccard",
    "of the units on which either fires, the share on which both do",
    formula="both / (A + B − both)",
    unit="share",
)
DIRECTION_COSINE = Term(
    "cosine",
    "angle of two directions; of two runs only where both write into the same space",
    formula="W_dec[i] · W_dec[j] / (‖W_dec[i]‖ ‖W_dec[j]‖)",
    unit="−1 to 1",
    typical="above 0.7 two seeds' features are taken as the same one",
    source="Paulo and Belrose 2025, arXiv 2501.16615",
)
UNITS = Term("joint units", "spans of the text that both runs have, and over which r is measured", unit="units")

COMPARISON = (UNIT, CORRELATION, MUTUAL, PARTNER, COVERAGE, WITHIN, JACCARD, DIRECTION_COSINE, UNITS)
"""All of them."""
