"""The paint of the texts of Live: how far the clamps move each token, or a feature's activation, in steps of heat."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from monosem_tui.draw.heat import STEPS
from monosem_tui.draw.numbers import activation
from monosem_tui.draw.safe_text import fit
from monosem_tui.draw.spans import HEAT, Line, Role, Span, line
from monosem_tui.live.transcript import Transcript
from monosem_tui.live.tray import Tray

KL_EDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Nats from which each step of heat begins: the same for all texts, so that they can be compared."""
NAME = 24
"""Cells of a feature's label at most."""
Roles = Callable[[int], Role]
"""Returns the role of a token of a text."""


class PaintKind(Enum):
    """The quantity that the texts are painted by."""

    KL = "KL"
    FEATURE = "feature"
    NOTHING = "nothing"


@dataclass
class Paint:
    """The choice of a quantity to paint by."""

    kind: PaintKind = PaintKind.KL
    feature: int | None = None
    """The feature that was typed; None for that of the clamp under the cursor."""

    def of(self, tray: Tray) -> int | None:
        """Return the feature whose activations are wanted; None where the texts are painted by something else."""
        return self._chosen(tray) if self.kind is PaintKind.FEATURE else None

    def turn(self, tray: Tray) -> None:
        """Paint by the next quantity; by a feature only where one is clamped or was typed."""
        order = [kind for kind in PaintKind if kind is not PaintKind.FEATURE or self._chosen(tray) is not None]
        self.kind = order[(order.index(self.kind) + 1) % len(order)] if self.kind in order else order[0]

    def _chosen(self, tray: Tray) -> int | None:
        return tray.present.clamp.feature if self.feature is None and tray.present else self.feature


def kl_step(kl: float) -> int:
    """Return the step of heat of a token's KL, from 0 for none to 5."""
    return 0 if math.isnan(kl) else bisect_right(KL_EDGES, kl)


def act_step(act: float, top: float) -> int:
    """Return the step of heat of an activation, as draw.heat.bins does for many."""
    if not act > 0 or top <= 0:
        return 0
    return 1 + math.floor((STEPS - 1) * math.log1p(9 * min(1.0, act / top)) / math.log(10) + 1e-9)


def text_roles(paint: Paint, writing: Transcript, top: float, *, clamped: bool) -> Roles:
    """Return the roles of a text's tokens.

    Args:
        paint: the choice.
        writing: both texts.
        top: the largest activation of the feature that they may be painted by.
        clamped: whether it is the clamped text; the base text has no KL.
    """
    if paint.kind is PaintKind.FEATURE:
        acts = writing.watched.clamped if clamped else writing.watched.base
        return lambda token: HEAT[act_step(acts[token], top)] if token < len(acts) else Role.PLAIN
    if paint.kind is PaintKind.NOTHING or not clamped:
        return lambda _token: Role.PLAIN
    return lambda token: HEAT[kl_step(writing.kl[token])] if token < len(writing.kl) else Role.PLAIN


def top_of(writing: Transcript, maximum: float | None) -> float:
    """Return the largest activation of the feature that is watched: its maximum, or that in the texts where unknown."""
    acts = (*writing.watched.base, *writing.watched.clamped)
    return maximum or max((act for act in acts if math.isfinite(act)), default=0.0)


def legend(paint: Paint, tray: Tray, label: Callable[[int], Span], top: float, *, short: bool = False) -> Line:
    """Return what the paint says, with its scale."""
    by = "" if short else "painted by "
    if paint.kind is PaintKind.NOTHING:
        return line(Span("not painted (v)", Role.DIM))
    feature = paint.of(tray)
    if feature is None:
        return line(Span(f"{by}KL, nats ", Role.DIM), *_scale([f"{edge:g}" for edge in KL_EDGES]))
    name = fit(label(feature).text, NAME).rstrip()
    edges = [top * (10 ** (step / (STEPS - 1)) - 1) / 9 for step in range(1, STEPS)]
    said = Span(f"{by}{feature}{' ' * bool(name)}{name}, before clamps ", Role.DIM)
    return line(said, *_scale(["> 0", *map(activation, edges)]))


def _scale(edges: Sequence[str]) -> list[Span]:
    return [Span(f" {edge} ", role) for edge, role in zip(edges, HEAT[1:], strict=True)]
