"""Search of commands by a few letters, likeliest first."""

from __future__ import annotations

import re
from typing import NamedTuple

from monosem_tui.keys.actions import Action
from monosem_tui.model.word_match import BEGINNING, INSIDE, LETTERS, SLIP, WHOLE, is_slip, may_slip

LITTLE = frozenset({"a", "an", "and", "as", "by", "in", "it", "of", "on", "or", "the", "to"})
"""Words that are ignored in a search."""


class Offer(NamedTuple):
    """An action, and the reason why it would do nothing now (or empty)."""

    action: Action
    why_not: str


class RankedOffer(NamedTuple):
    """An offer that matches a text."""

    offer: Offer
    worst: int = WHOLE
    """Kind of its worst match, where that is a slip or scattered letters."""


def found(offers: list[Offer], text: str) -> list[Offer]:
    """Return the offers that every word of `text` matches: available actions and better matches first.

    Matches with a slip, and by scattered letters, come last.
    """
    return [one.offer for one in ranked(offers, text)]


def ranked(offers: list[Offer], text: str) -> list[RankedOffer]:
    """Return the offers of `found`, and which of them match with a slip or by scattered letters."""
    words = text.casefold().split()
    typed = [word for word in words if word not in LITTLE] or words
    matching = []
    for place, offer in enumerate(offers):
        distances = [_distance(word, offer.action) for word in typed]
        matches = [one for one in distances if one is not None]
        if len(matches) == len(typed):
            begins = offer.action.title.casefold().startswith(text.casefold().strip())
            worst = max(matches, default=WHOLE)
            matching.append(
                (worst if worst >= SLIP else WHOLE, bool(offer.why_not), sum(matches), not begins, place, offer)
            )
    if not matching and all(word in LITTLE for word in words):
        inside = [offer for offer in offers if text.casefold().strip() in offer.action.title.casefold()]
        return [RankedOffer(offer) for offer in inside]
    return [RankedOffer(one[-1], one[0]) for one in sorted(matching, key=lambda one: one[:-1])]


def _distance(word: str, action: Action) -> int | None:
    """Return the distance of a typed word from an action's title and id, or None without a match."""
    names = [*re.findall(r"[\w'-]+", action.title.casefold()), *re.findall(r"\w+", action.id)]
    words = [name for name in names if name not in LITTLE]
    if word in words:
        return WHOLE
    if any(one.startswith(word) for one in words):
        return BEGINNING
    if any(word in one for one in words):
        return INSIDE
    if may_slip(word) and any(is_slip(word, one) for one in words):
        return SLIP
    # A single letter would match nearly everything.
    scattered = re.compile(".*".join(map(re.escape, word)))
    return LETTERS if len(word) > 1 and any(map(scattered.match, words)) else None
