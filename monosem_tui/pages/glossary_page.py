"""docs/glossary.md, made from the table of terms by `make glossary`."""

from __future__ import annotations

import sys
from pathlib import Path

from monosem_tui.terms.table import TERMS
from monosem_tui.terms.term import Term

_HEAD = """\
# Glossary

One word, one meaning: in the code, in messages, on the screens and in these pages. Made from `monosem_tui/terms/` by
`make glossary`; do not edit. In the app, `?` explains in these words what the cursor is on. Formulas that need more
than a line are in [formulas.md](formulas.md).

Typical values are measured on two dictionaries where no other is named: *stories260K* (layer 2, `topk`, 1 024
features, k 16, index of 994 054 tokens) and *Gemma 3 270M* (layer 9, `topk`, 4 096 features, k 32, 199 148 tokens).
Of features, they are the 5 % and 95 % quantiles.

"""


def glossary_page() -> str:
    """Return the whole page."""
    return _HEAD + "".join(f"- **{term.name}**{_heads(term)}: {_sentences(term)}\n" for term in TERMS)


def _heads(term: Term) -> str:
    return f" (`{term.heading}` on a feature's page)" if term.heading else ""


def _sentences(term: Term) -> str:
    """Return what is known of a term in sentences, each part by its name."""
    parts = [term.meaning]
    named = ("Computed", term.formula), ("Unit", term.unit), ("Typical", term.typical), ("Source", term.source)
    parts += [f"*{name}*: {text}" for name, text in named if text]
    return " ".join(f"{part}." for part in parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(glossary_page(), encoding="utf-8")
