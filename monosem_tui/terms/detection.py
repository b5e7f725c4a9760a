"""Terms of Find: a feature as a detector of tokens."""

from __future__ import annotations

from monosem_tui.terms.term import Term

PRECISION = Term(
    "precision",
    "of the tokens on which a feature exceeds its threshold, the share that matches (specificity)",
    formula="tp / (tp + fp)",
    unit="share",
)
RECALL = Term(
    "recall",
    "of the tokens that match, the share on which a feature exceeds its threshold (sensitivity)",
    formula="tp / (tp + fn)",
    unit="share",
)
F1 = Term(
    "F1",
    "harmonic mean of precision and recall; both must be high",
    formula="2·tp / (2·tp + fp + fn), at the threshold where it is largest",
    unit="share, 1 is a perfect detector",
    typical=".5 is what completeness asks for",
)
THRESHOLD = Term(
    "threshold",
    "the activation from which a feature counts as firing; the column `from`",
    formula="that with the best F1; v chooses it on half of the contexts and measures on the others",
    unit="activation",
)
AUROC = Term(
    "AUROC",
    "the chance that a matching token has a higher activation than another one",
    formula="over all pairs; a tie (mostly two zeros) counts half",
    unit="share; .5 is chance",
)
CONFIDENCE = Term(
    "confidence interval",
    "where the true figure lies with a probability of 95 %, written .56–.58",
    formula="Wilson's; tokens are treated as independent, which neighbours are not",
)
TOGETHER = Term(
    "together",
    "the set of features that detects the pattern best when any of them fires",
    formula="grown greedily while the F1 of the union rises, five at most",
    unit="share",
)
MATCHES = Term(
    "matching tokens",
    "tokens that the pattern touches; with W the last one of each match, with w those that match by themselves",
    unit="tokens",
)
LIFT = Term(
    "lift",
    "how much more often than chance two things come together",
    formula="p(i,j) / (p(i) p(j)); of an n-gram: its share of the active tokens / its share of all",
    unit="ratio, 1 is chance",
)
NGRAMS = Term(
    "n-grams",
    "the tokens, pairs and triples, and the tokens before and after, on which a feature fires",
    formula="share of its activation, ×lift",
    unit="share of its activation",
)

DETECTION = (PRECISION, RECALL, F1, THRESHOLD, AUROC, CONFIDENCE, TOGETHER, MATCHES, LIFT, NGRAMS)
"""All of them."""
