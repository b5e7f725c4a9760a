"""Both texts of Live as lines: base and clamped, painted token by token, what was written with other clamps dim."""

from __future__ import annotations

from collections.abc import Sequence

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Line, Role, Span, crop, line, rule, width_of
from monosem_tui.draw.token_rows import Growing, Row, TextSpot, row_of, window
from monosem_tui.live.transcript import Transcript
from monosem_tui.pages.live_contents import Shown
from monosem_tui.pages.live_help import no_clamp_lines
from monosem_tui.pages.live_paint import Roles, text_roles
from store.live.model_outputs import End

WALL, FORK = "│", "│"
HELP = 12
"""Most lines of help below a text that nothing is clamped in."""
SIDE_BY_SIDE = 100
"""Least cells for the texts side by side."""


def text_lines(shown: Shown, cells: int, room: int, top: int) -> list[Line]:
    """Return both texts in exactly `room` lines, the first of which is line `top` of the page.

    Where nothing is or was clamped, help takes the place of the clamped text.
    """
    writing = shown.talk.writing
    base_title = "base" + _end(writing, writing.base_end, len(writing.base))
    if cells >= SIDE_BY_SIDE:
        left, right = (cells - 1) // 2, cells - 1 - (cells - 1) // 2
        one = _base(shown, (top + 1, 0), left, room - 1)
        title, other = _clamped(shown, (top + 1, left + 1), right, room - 1)
        wall = Span(WALL, Role.DIM)
        heads = line(*rule(base_title, left), Span("┬", Role.DIM), *rule(title, right))
        return [heads, *(line(*_padded(a, left), wall, *b) for a, b in zip(one, other, strict=True))]
    lower = min(HELP, (room - 2) // 2) if shown.alone else room - 2 - (room - 2) // 2
    upper = room - 2 - lower
    title, other = _clamped(shown, (top + 2 + upper, 0), cells, lower)
    return [rule(base_title, cells), *_base(shown, (top + 1, 0), cells, upper), rule(title, cells), *other]


def _base(shown: Shown, place: tuple[int, int], cells: int, room: int) -> list[Line]:
    writing = shown.talk.writing
    roles = text_roles(shown.paint, writing, shown.top(), clamped=False)
    return _column(shown, shown.base, [one.token for one in writing.base], place, cells, room, None, roles)


def _clamped(shown: Shown, place: tuple[int, int], cells: int, room: int) -> tuple[str, list[Line]]:
    """Return the title and the lines of the clamped text, or of what takes its place."""
    writing = shown.talk.writing
    if shown.alone:
        return "clamped", no_clamp_lines(shown, cells, room)
    tokens = [one.token for one in writing.clamped]
    stale = writing.stale(shown.tray.clamps)
    title = "clamped" + _stale(shown, stale) + _end(writing, writing.clamped_end, len(tokens)) + _fork(writing.fork)
    roles = _dimmed(text_roles(shown.paint, writing, shown.top(), clamped=True), stale)
    return title, _column(shown, shown.clamped, tokens, place, cells, room, writing.fork, roles)


def _dimmed(roles: Roles, stale: Sequence[range]) -> Roles:
    """Return dim for tokens that were written with other clamps, whatever they are painted by."""
    if not stale:
        return roles
    return lambda token: Role.DIM if any(token in one for one in stale) else roles(token)


def _end(writing: Transcript, end: End | None, tokens: int) -> str:
    """Return why a text is complete, with the limit of tokens."""
    if end is None:
        return ""
    context = len(writing.prompt) + tokens - 1  # the last token is drawn but not read
    return {
        "eos": " · the model ended it",
        "length": f" · {count(tokens)} tokens (limit)",
        "context": f" · context full ({count(context)})",
    }[end]


def _stale(shown: Shown, stale: Sequence[range]) -> str:
    """Return which tokens were written with other clamps than the tray's, and with which where all were."""
    if not stale:
        return ""
    writing = shown.talk.writing
    number = sum(map(len, stale))
    if number < len(writing.clamped):
        last = stale[-1].stop
        return f" · {'up to' if number == last else 'before'} token {last} with other clamps"
    former = sorted({clamp for one in writing.obeyed for clamp in one.clamps} - set(shown.tray.clamps))
    if not former:
        return " · written before the clamps were changed"
    return f" · written with {printable(former[0])}" + (f" and {len(former) - 1} more" if len(former) > 1 else "")


def _fork(fork: int | None) -> str:
    return "" if fork is None else f" · differs from token {fork + 1}"


def _padded(spans: Line, cells: int) -> Line:
    return line(*spans, " " * (cells - width_of(spans)))


def _column(
    shown: Shown,
    text: Growing,
    tokens: Sequence[int],
    place: tuple[int, int],
    cells: int,
    room: int,
    fork: int | None,
    roles: Roles,
) -> list[Line]:
    """Return a text in exactly `room` rows that show its end, or the token under the cursor; `place` is line, cell."""
    rows = text.rows(tokens, cells - 2, fork, FORK)
    cursor = None if shown.cursor is None else row_of(rows, min(shown.cursor, len(tokens) - 1))
    first = window(len(rows), room, cursor)
    seen = rows[first : first + room]
    shown.spots.append(TextSpot(place[0], place[1] + 1, place[1] + cells, seen))
    drawn = [_row(row, shown.cursor, fork, roles, cells) for row in seen]
    return drawn + [()] * (room - len(drawn))


def _row(row: Row, cursor: int | None, fork: int | None, roles: Roles, cells: int) -> Line:
    spans: list[Span] = []
    for piece in row:
        role = Role.CARET if piece.token == cursor else roles(piece.token)
        before, mark, after = piece.text.partition(FORK) if piece.token == fork else (piece.text, "", "")
        spans += [Span(before, role), Span(mark, Role.ACCENT), Span(after, role)]
    return crop(line(" ", *spans), cells)
