"""A token of a text in words: its number, its text, and how strongly features fire on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from monosem_tui.draw.numbers import activation
from monosem_tui.draw.spans import Line, Role, Span, line
from monosem_tui.draw.token_text import dotted


class FiringOnToken(NamedTuple):
    """A feature on a token."""

    feature: int
    activation: float
    top: float
    """Its maximum; 0 where unknown."""


def token_line(text: str, firings: Sequence[FiringOnToken], *, number: int | None = None, noun: str = "token") -> Line:
    """Return `token 412 ·self   735 fires 4.2, 36 % of its maximum 11.8`.

    Args:
        text: the token as displayed in running text.
        firings: the features that colour it.
        number: of the token, counted from 0.
        noun: for what it is.
    """
    numbered = f"{number + 1} " if number is not None else ""
    spans = [Span(f" {noun} ", Role.DIM), Span(numbered), Span(dotted(text), Role.BOLD)]
    return line(*spans, *(span for one in firings for span in _firing(one)))


def _firing(one: FiringOnToken) -> list[Span]:
    name = Span(f"   {one.feature} ", Role.DIM)
    if not one.activation > 0:
        return [name, Span("does not fire", Role.DIM)]
    share = f", {100 * one.activation / one.top:.0f} % of its maximum {activation(one.top)}" if one.top > 0 else ""
    return [name, Span("fires ", Role.DIM), Span(activation(one.activation)), Span(share, Role.DIM)]
