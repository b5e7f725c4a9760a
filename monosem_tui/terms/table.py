"""The table of all terms, of which docs/glossary.md is made."""

from __future__ import annotations

from monosem_tui.terms.comparison import COMPARISON
from monosem_tui.terms.detection import DETECTION
from monosem_tui.terms.feature_page import PAGE
from monosem_tui.terms.live import LIVE
from monosem_tui.terms.map import MAP
from monosem_tui.terms.quality import QUALITY
from monosem_tui.terms.term import Term
from monosem_tui.terms.words import WORDS

TERMS: tuple[Term, ...] = tuple(
    sorted((*PAGE, *QUALITY, *DETECTION, *COMPARISON, *LIVE, *MAP, *WORDS), key=lambda term: term.name.casefold())
)
"""All terms by name; no name occurs twice."""
