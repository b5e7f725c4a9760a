"""The verdict of a self-check: is the autoencoder read rightly, or which other reading is likely?

An autoencoder is judged by its explained variance on ordinary tokens: a few outliers may hold nearly all of the
variance of all tokens. No reading is advised that explains less than the present one, on ordinary tokens or on all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from engine.formats.foreign_sae import Stated

NEAR = 0.03
"""Difference in explained variance that other text of the same kind may cause (docs/formats.md)."""
NEAR_L0 = 0.15
"""Relative difference in L0 that other text may cause."""
BETTER = 0.05
"""Least gain in explained variance for a misreading to be likely; closer places are not told apart."""
POOR = 0.5
"""Explained variance of ordinary tokens below which nothing is advised: likely another model's."""
DEARER = 2.0
"""Multiple of L0 with which more is explained in any case, rightly read or not."""
ALL_POSITIONS = "BOS positions counted"
LINEAR = "without the nonlinearity"
GOOD, ANYWHERE = 0.75, 4
"""Explained variance of ordinary tokens below which it is suspicious to explain as much at most of so many places."""
NAMED = 3
"""Places that are named beside each other."""

Kind = Literal["agrees", "differs", "plausible", "doubtful"]


@dataclass(frozen=True)
class Trial:
    """The figures of one way of reading the file."""

    reading: str
    """The mistake that it would correct; "as read" for none."""
    explained_variance: float
    l0: float
    flag: str = ""
    """The flags to import with if this reading is right."""
    explained_variance_ordinary: float | None = None
    explained_variance_standardised: float | None = None
    tokens: int = 0
    """Tokens it was measured on: fewer where the first ones showed that others explain more."""
    place: str = ""
    """The place of a trial elsewhere."""
    named: bool = False
    """Whether the file names this place."""

    @property
    def ordinary(self) -> float:
        """Explained variance of ordinary tokens, or of all where only that is known."""
        ordinary = self.explained_variance_ordinary
        return self.explained_variance if ordinary is None else ordinary


def verdict(trials: Sequence[Trial], stated: Stated) -> tuple[Kind, str]:
    """Compare the first trial, which is as read, with the others and the stated figures.

    Trials on fewer tokens than the first are left out.
    """
    own = trials[0]
    others = [one for one in trials[1:] if one.tokens == own.tokens and one.reading not in (ALL_POSITIONS, LINEAR)]
    l0 = None if stated.nominal else stated.l0
    goal = stated.explained_variance
    explains = goal is not None and max(own.explained_variance, own.ordinary) >= goal - NEAR
    with_bos = next((one for one in trials if one.reading == ALL_POSITIONS), None)
    counts_bos = goal is not None and not explains and with_bos is not None and _near(with_bos, goal)
    fits = (explains or counts_bos) and own.ordinary >= min(POOR, (goal or 0) - NEAR) and _near_l0(own, l0)
    best = None if fits else _better(own, others, l0, goal)
    floor = POOR if goal is None else min(POOR, goal - NEAR)
    figures, off = _figures(own), _off(own, goal, l0, explains=explains or counts_bos)
    most = max(own.ordinary, best.ordinary if best else -1.0)
    linear = next((one for one in trials if one.reading == LINEAR), None)
    if linear is not None and not fits and linear.ordinary >= max(POOR, most + BETTER):
        return "differs", (
            f"{figures}{off}; it is linear: without the nonlinearity explained variance is {linear.ordinary:.3f}, and "
            "nothing here computes that"
        )
    if most < floor:
        return "doubtful", f"another model? {figures}{off}, and with none of the usual mistakes is it {floor:.2g}"
    if best is not None:
        return "differs", f"{figures}{off}; likely {_advice(best, others)}"
    if off:
        return "differs", f"{figures}{off}; {_unlikely(others, floor, l0)}"
    alike = _alike(own, others)
    if counts_bos and with_bos is not None:
        more = f", which likely has {ALL_POSITIONS}: with them it is {with_bos.explained_variance:.3f}"
        return "agrees", f"{figures}; stated: explained variance {goal:.3f}{more}{alike}"
    if goal is not None or l0 is not None:
        return "agrees", f"{figures}; stated: {_words(stated)}{alike}"
    if own.ordinary < GOOD and _fits_anywhere(own, others):
        return "doubtful", f"another model? {figures}, and about as much at most other places{alike}"
    known = f"; not comparable: {_words(stated)}" if stated.l0 is not None else "; nothing is stated to compare with"
    return "plausible", f"{figures}{known}, and no usual mistake would fit better{alike}"


def _fits_anywhere(own: Trial, others: Sequence[Trial]) -> bool:
    """Return whether it explains as much at most other places: a wide dictionary explains half of any noise."""
    places = [one for one in others if one.place]
    return len(places) >= ANYWHERE and 2 * sum(_close(one, own) for one in places) >= len(places)


def _better(own: Trial, others: Sequence[Trial], l0: float | None, goal: float | None) -> Trial | None:
    """Return the likely misreading: none explains less, and it explains clearly more or alone has the stated L0.

    Where a variance is stated that is missed, what reaches it is clear enough by less.
    """
    candidates = []
    for one in others:
        more = one.explained_variance >= own.explained_variance and one.ordinary >= own.ordinary
        # Read at another layer, fewer features fire than at the place it was made for.
        dearer = one.l0 > DEARER * own.l0 and own.ordinary >= POOR and not one.named
        if l0 is not None and _near_l0(own, l0) != _near_l0(one, l0):
            clearly, dearer = not _near_l0(own, l0), False
        else:
            reaches = goal is not None and own.explained_variance < goal - NEAR <= one.explained_variance
            clearly = one.ordinary > own.ordinary + (NEAR if reaches else BETTER)
        if more and clearly and not dearer:
            candidates.append(one)
    fitting = [one for one in candidates if _near_l0(one, l0)] or candidates
    best = max(fitting, key=lambda one: one.ordinary, default=None)
    if best is None or not best.place:
        return best
    return next((one for one in fitting if one.named and one.ordinary >= best.ordinary - BETTER), best)


def _advice(best: Trial, others: Sequence[Trial]) -> str:
    """Return the likely misreading with its flags; of places too close to tell apart, only one the file names."""
    figures = f"with that it would be {_figures(best).removeprefix('explained variance ')}"
    rivals = [] if not best.place else [one for one in others if one.place and one != best and _close(one, best)]
    if rivals and not best.named:
        places = " or ".join(f"{one.place} ({one.ordinary:.3f})" for one in [best, *_strongest(rivals)])
        return f"wrong site, {places} fit: it cannot tell them apart"
    names = ", which the file names" if best.named else ""
    alike = f"; it cannot tell that from {_list(rivals)}" if rivals else ""
    return f"{best.reading}{names}{f' ({best.flag})' if best.flag else ''}: {figures}{alike}"


def _unlikely(others: Sequence[Trial], floor: float, l0: float | None) -> str:
    """Return what is known of a reading that has the stated L0 but explains less: it is named, not advised."""
    fitting = [] if l0 is None else [one for one in others if _near_l0(one, l0) and one.ordinary >= floor]
    if not fitting:
        return "none of the usual mistakes explains it: other text, layer or model?"
    best = max(fitting, key=lambda one: one.ordinary)
    return f"{best.reading}? It has the stated L0 then, but explains less, {best.ordinary:.3f}: not advised"


def _alike(own: Trial, others: Sequence[Trial]) -> str:
    rivals = [one for one in others if one.place and _close(one, own)]
    return f"; it cannot tell this place from {_list(rivals)}" if rivals else ""


def _strongest(rivals: Sequence[Trial]) -> list[Trial]:
    return sorted(rivals, key=lambda one: -one.ordinary)[:NAMED]


def _list(rivals: Sequence[Trial]) -> str:
    more = f" and {len(rivals) - NAMED} more" if len(rivals) > NAMED else ""
    return ", ".join(f"{one.place} ({one.ordinary:.3f})" for one in _strongest(rivals)) + more


def _close(one: Trial, other: Trial) -> bool:
    return abs(one.ordinary - other.ordinary) <= BETTER


def _near(trial: Trial, goal: float) -> bool:
    return abs(trial.explained_variance - goal) <= NEAR


def _near_l0(trial: Trial, l0: float | None) -> bool:
    return l0 is None or abs(trial.l0 - l0) <= NEAR_L0 * l0


def _figures(one: Trial) -> str:
    ordinary = one.explained_variance_ordinary
    differs = ordinary is not None and abs(ordinary - one.explained_variance) >= 0.0005
    of_ordinary = f" ({ordinary:.3f} of ordinary tokens)" if differs else ""
    return f"explained variance {one.explained_variance:.3f}{of_ordinary}, L0 {one.l0:.1f}"


def _words(stated: Stated) -> str:
    explained, l0 = stated.explained_variance, stated.l0
    known = [] if explained is None else [f"explained variance {explained:.3f}"]
    known += [] if l0 is None else [f"L0 {l0:.1f}" + (" (k, or a target of its training)" if stated.nominal else "")]
    return ", ".join(known)


def _off(trial: Trial, goal: float | None, l0: float | None, *, explains: bool) -> str:
    off = []
    if goal is not None and not explains:
        off.append(f"{trial.explained_variance - goal:+.3f} from the stated variance")
    if l0 is not None and not _near_l0(trial, l0):
        off.append(f"{trial.l0 - l0:+.1f} from the stated L0 of {l0:.1f}")
    return f" ({', '.join(off)})" if off else ""
