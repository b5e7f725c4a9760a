"""The noun that the figures of a run are counted in: tokens of a text, or rows of a user's array."""

from __future__ import annotations

from typing import NamedTuple


class CountedNoun(NamedTuple):
    """A noun, for one and for several."""

    one: str
    many: str

    @property
    def per_second(self) -> str:
        """The unit of a speed: `tok/s`, or `rows/s`."""
        return "tok/s" if self == TOKEN else f"{self.many}/s"


TOKEN = CountedNoun("token", "tokens")
ROW = CountedNoun("row", "rows")


def noun_of(*, array: bool) -> CountedNoun:
    """Return the noun for what was made on an array, or on text."""
    return ROW if array else TOKEN
