"""The definition of a term: a word of the field, a figure, or a heading of a screen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """One word with one meaning. Sentences begin in lower case and have no full stop at their end."""

    name: str
    """As it stands in docs/glossary.md, unique."""
    meaning: str
    formula: str = ""
    """How it is computed."""
    unit: str = ""
    typical: str = ""
    """Usual values, measured or published; empty where nobody has measured any."""
    source: str = ""
    """Where it comes from."""
    heading: str = ""
    """As it heads a section of a page, where it does."""
    phrase: str = ""
    """Dim words under or behind the heading."""

    @property
    def title(self) -> str:
        """The heading, else the name."""
        return self.heading or self.name
