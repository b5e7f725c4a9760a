"""The paint of the texts of Live: how far the clamps move each token, in steps of heat."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from monosem_tui.draw.spans import HEAT, Line, Role, Span, line
from monosem_tui.live.transcript import Transcript

KL_EDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Nats from which each step of heat begins: the same for all texts, so that they can be compared."""
Roles = Callable[[int], Role]
"""Returns the role of a token of a text."""


class PaintKind(Enum):
    """The quantity that the texts are painted by; the values are shown."""

    KL = "KL"
    NOTHING = "nothing"

    def following(self) -> PaintKind:
        """Return the next one, cyclically."""
        order = list(PaintKind)
        return order[(order.index(self) + 1) % len(order)]


@dataclass
class Paint:
    """The choice of a quantity to paint by."""

    kind: PaintKind = PaintKind.KL


def kl_step(kl: float) -> int:
    """Return the step of heat of a token's KL, from 0 for none to 5."""
    return 0 if math.isnan(kl) else bisect_right(KL_EDGES, kl)


def clamped_roles(paint: Paint, writing: Transcript) -> Roles:
    """Return the roles of the clamped text's tokens."""
    if paint.kind is PaintKind.NOTHING:
        return lambda _token: Role.PLAIN
    return lambda token: HEAT[kl_step(writing.kl[token])] if token < len(writing.kl) else Role.PLAIN


def legend(paint: Paint) -> Line:
    """Return what the paint says, with its scale."""
    if paint.kind is PaintKind.NOTHING:
        return line(Span("not painted (v)", Role.DIM))
    steps = [Span(f" {edge:g} ", role) for edge, role in zip(KL_EDGES, HEAT[1:], strict=True)]
    return line(Span("painted by KL, nats ", Role.DIM), *steps)
