"""Lookup of things by some words: features, runs, recipes, documents and commands, the likeliest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from monosem_tui.model.command_search import Offer, RankedOffer, ranked
from monosem_tui.model.word_index import NONE, SCATTERED, SLIPPED, WordIndex, words_of
from monosem_tui.model.word_match import LETTERS, SLIP

MOST = 100
"""Findings that are kept."""
COMMAND_COST = 5.0
"""Cost of a command: after what is called so, before what is said so."""


class Kind(Enum):
    """The kind of a thing, in the order in which equally good ones are listed."""

    FEATURE = "feature"
    RUN = "run"
    RECIPE = "recipe"
    COMMAND = "command"
    DOCUMENT = "document"


_ORDER = {kind: place for place, kind in enumerate(Kind)}


@dataclass(frozen=True)
class Finding:
    """One thing that was found, ready to be drawn."""

    kind: Kind
    key: int | str
    """Number of a feature, path of a run, name of a recipe, corpus place of a document, id of a command."""
    name: str
    """Printable."""
    text: str = ""
    """More about it in a few words, printable."""
    given: bool = False
    """Whether its text was given by a person."""
    offer: Offer | None = None
    """The command."""


class Found:
    """The answer to some words: the best findings, each made when it is first asked for."""

    def __init__(self, total: int = 0, makers: Sequence[Callable[[], Finding]] = ()) -> None:
        self.total = total
        """Things that match."""
        self._makers = makers
        self._made: dict[int, Finding] = {}

    def __len__(self) -> int:
        return len(self._makers)

    def __getitem__(self, number: int) -> Finding:
        if number not in self._made:
            self._made[number] = self._makers[number]()
        return self._made[number]


class LookupSource(Protocol):
    """Things of one kind, numbered from 0."""

    @property
    def kind(self) -> Kind:
        """Their kind."""

    @property
    def indexes(self) -> Sequence[WordIndex]:
        """Indexes of their words, each over all of them."""

    @property
    def weight_E(self) -> NDArray[np.float64]:
        """Rank among equally good ones: from 0 to 1, larger is better."""

    def numbered(self, number: int) -> int | None:
        """Return the thing that is called by a number; None where there is none."""

    def finding(self, entry: int) -> Finding:
        """Return a thing, ready to be drawn."""


class _Hit(NamedTuple):
    cost: float
    order: int
    place: int
    make: Callable[[], Finding]


def search(
    sources: Sequence[LookupSource], offers: list[Offer], text: str, wanted: Callable[[], bool] = lambda: True
) -> Found:
    """Return what matches all words of a text: exact numbers, then names, then what is said, scattered letters last.

    Args:
        sources: the things.
        offers: the commands, which alone match an empty text.
        text: what was typed.
        wanted: asked now and then whether the answer is still wanted.

    Raises:
        Superseded: it is not.
    """
    parts = words_of(text)
    commands = [RankedOffer(offer) for offer in offers] if not parts else ranked(offers, text)
    hits = [_command_hit(place, one) for place, one in enumerate(commands)]
    total = len(commands)
    for source in sources if parts else ():
        number = source.numbered(int(text)) if text.strip().isdecimal() and len(text) < 12 else None
        cost_E = _costs(source, parts, wanted)
        if number is not None:
            cost_E[number] = -1.0
        entries, n = _best(cost_E, source.weight_E)
        total += n
        order = _ORDER[source.kind]
        hits += [_Hit(float(cost_E[e]), order, place, _finder(source, e)) for place, e in enumerate(entries)]
    hits.sort(key=lambda hit: hit[:3])
    return Found(total, [hit.make for hit in hits[:MOST]])


def _command_hit(place: int, found: RankedOffer) -> _Hit:
    offer = found.offer
    finding = Finding(Kind.COMMAND, offer.action.id, offer.action.title, offer=offer)
    cost = COMMAND_COST + {SLIP: SLIPPED, LETTERS: SCATTERED}.get(found.worst, 0)
    return _Hit(cost, _ORDER[Kind.COMMAND], place, lambda: finding)


def _finder(source: LookupSource, entry: int) -> Callable[[], Finding]:
    return lambda: source.finding(entry)


def _costs(source: LookupSource, parts: Sequence[str], wanted: Callable[[], bool]) -> NDArray[np.float64]:
    """Return how badly each thing matches all words [E], infinity where it lacks one."""
    total_E = np.zeros(len(source.weight_E))
    for part in dict.fromkeys(parts):
        cost_E = np.full(len(total_E), NONE, np.int16)
        for index in source.indexes:
            np.minimum(cost_E, index.costs(part, wanted), out=cost_E)
        total_E += np.where(cost_E < NONE, cost_E, np.inf)
    return total_E


def _best(cost_E: NDArray[np.float64], weight_E: NDArray[np.float64]) -> tuple[list[int], int]:
    """Return the best things in order, and the number of all that match."""
    match_N = np.flatnonzero(np.isfinite(cost_E))
    key_N = cost_E[match_N] + 0.5 * (1 - weight_E[match_N])
    if len(match_N) > MOST:
        chosen = np.argpartition(key_N, MOST)[:MOST]
        return match_N[chosen[np.argsort(key_N[chosen], kind="stable")]].tolist(), len(match_N)
    return match_N[np.argsort(key_N, kind="stable")].tolist(), len(match_N)
