"""The first and the last line of every screen: the open run and the screens; the keys and the position."""

from __future__ import annotations

from enum import Enum

from monosem_tui.draw.safe_text import head, printable
from monosem_tui.draw.spans import Line, Role, Span, crop, line, width_of, wrap
from monosem_tui.draw.spots import SpottedLine, spotted
from monosem_tui.keys.actions import VIEWS, Action
from monosem_tui.model.open_run import OpenRun, essential, headline

BACK, HELP, QUIT = "back", "help", "quit"
"""Actions whose hints come last. The first two stay when it is narrow, and the third where nothing can be closed."""


class Titles(Enum):
    """The screens whose titles are shown."""

    ALL = "all"
    PRESENT = "present"
    NONE = "none"


def header(run: OpenRun | None, present: str, cells: int) -> SpottedLine:
    """`stories · … · EV 0.941 · L0 16.0          [1]Browse 2 Find 3 Live 4 Health 5 Runs`.

    The run's name and quality take precedence over titles of other screens.
    """
    least = width_of(essential(run)) + 1
    forms = [tabs(present, titles) for titles in Titles]
    right = next((form for form in forms if least + width_of(form.spans) <= cells), forms[-1])
    left = headline(run, cells - width_of(right.spans) - 1)
    gap = cells - width_of(left) - width_of(right.spans)
    return right.after(line(*left, " " * gap)) if gap > 0 else SpottedLine(left)


def tabs(present: str, titles: Titles) -> SpottedLine:
    """Return the screens with their keys, the present one in brackets; a click shows one."""
    parts: list[tuple[Line, str]] = []
    for view in VIEWS:
        here = view.name == present
        title = view.title if titles is Titles.ALL or (here and titles is Titles.PRESENT) else ""
        text = f"[{view.key}]{title}" if here else f"{view.key} {title}".rstrip()
        parts += [(line(" "), ""), (line(Span(text, Role.BOLD if here else Role.DIM)), f"view.{view.name}")]
    return spotted([*parts, (line(" "), "")])


def hints(actions: list[Action], right: str, cells: int) -> SpottedLine:
    """Return a line with the hints of as many actions as fit, and `right` at its end; a click on a hint runs it."""
    end = line(Span(right, Role.DIM), " ")
    said = {action.id: action.hint for action in actions if action.hint}
    last = [name for name in (BACK, HELP) if name in said]
    quits = [QUIT] if QUIT in said else []
    others = [name for name in said if name not in (BACK, HELP, QUIT)]
    if BACK not in {action.id for action in actions}:
        last, quits = last + quits, []
    for names in ([*others, *last, *quits], *([*others[:n], *last] for n in range(len(others), -1, -1))):
        parts: list[tuple[Line, str]] = []
        for name in names:
            key, _, word = said[name].partition(" ")
            parts += [
                (line("  " if parts else " "), ""),
                (line(Span(key, Role.BOLD), Span(f" {word}", Role.DIM)), name),
            ]
        gap = cells - sum(width_of(part) for part, _ in parts) - width_of(end)
        if gap >= 2:
            return spotted([*parts, (line(" " * gap, *end), "")])
    return SpottedLine(end)


def sentence(said: str, cells: int, most: int, role: Role = Role.BOLD) -> list[Line]:
    """Return a sentence for the end of the screen in at most `most` lines, cut where it needs more."""
    whole = line(" ", Span(printable(said), role))
    if width_of(whole) < cells or most <= 1:
        return [whole]
    room = max(2, cells - 2)
    words = [line(Span(piece, role)) for word in printable(said).split(" ") for piece in _pieces(word, room)]
    lines = [line(" ", *one) for one in wrap(words, room, " ")]
    if len(lines) <= most:
        return lines
    rest = line(*lines[most - 1], *lines[most])
    return [*lines[: most - 1], crop(rest, cells)]


def _pieces(word: str, cells: int) -> list[str]:
    """Return a word in pieces that fit a line: paths may be longer."""
    pieces = []
    while word:
        piece = head(word, cells) or word
        pieces.append(piece)
        word = word[len(piece) :]
    return pieces
