"""The tray of clamps as lines."""

from __future__ import annotations

from collections.abc import Callable

from monosem_tui.draw.numbers import activation, signed
from monosem_tui.draw.safe_text import fit
from monosem_tui.draw.spans import MARK, Line, Role, Span, crop, line, spread, width_of
from monosem_tui.live.transcript import Transcript
from monosem_tui.live.tray import Tray, TrayClamp
from store.live.clamp import Clamp
from store.live.model_outputs import ClampedAct

NAME = 48
"""Cells of a label or explanation, where there is room."""


def tray_lines(
    tray: Tray,
    writing: Transcript,
    maximum: Callable[[int], float | None],
    label: Callable[[int], Span],
    cells: int,
    most: int,
) -> list[Line]:
    """Return at most `most` rows around the cursor; a sentence where the tray is empty."""
    if not tray.held:
        return [
            crop(line("  ", Span("none: a adds one, c in Browse takes the feature under the cursor", Role.DIM)), cells)
        ]
    first = max(0, min(tray.cursor - most // 2, len(tray.held) - most))
    now = {act.feature: act for act in writing.acts[-1]} if writing.acts else {}
    rows = range(first, min(len(tray.held), first + most))
    return [_row(tray.held[n], n == tray.cursor, now, maximum, label, cells) for n in rows]


def _row(
    held: TrayClamp,
    here: bool,
    now: dict[int, ClampedAct],
    maximum: Callable[[int], float | None],
    label: Callable[[int], Span],
    cells: int,
) -> Line:
    clamp = held.clamp
    role = Role.PLAIN if held.on else Role.DIM
    name, said = max(0, min(NAME, cells - 56)), label(clamp.feature)
    left = [
        Span(MARK if here else " ", Role.ACCENT),
        Span(f"{clamp.feature:>6}  ", Role.BOLD if held.on else Role.DIM),
        Span(fit(said.text, name) + "  " if name else "", said.role if held.on else Role.DIM),
        Span(clamp.in_words() if held.on else f"off ({clamp.in_words()})", role),
    ]
    level = _level(clamp, maximum)
    act = now.get(clamp.feature)
    right = line(Span("now ", Role.DIM), _now(act), " ") if act is not None and held.on else ()
    strength = line(Span("  ◀ ", Role.DIM), Span(level, Role.BOLD), Span(" ▶", Role.DIM)) if held.on and level else ()
    if right and width_of(left) + width_of(strength) + width_of(right) + 2 > cells:
        strength = ()  # the present activation shows it too
    return spread(line(*left, *strength), right, cells)


def _level(clamp: Clamp, maximum: Callable[[int], float | None]) -> str:
    """Return the value of a multiple of a maximum; empty where the words state it."""
    most = maximum(clamp.feature)
    return activation(clamp.value * most) if clamp.mode == "max" and most else ""


def _now(act: ClampedAct) -> str:
    natural, clamped = activation(act.natural), activation(act.clamped)
    return natural if natural == clamped else f"{natural} → {clamped if act.clamped >= 0 else signed(act.clamped)}"
