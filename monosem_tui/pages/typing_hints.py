"""Hints while a line is typed: what may stand there, completions, and what is wrong at which character."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from monosem_tui.draw.safe_text import fit, printable, width
from monosem_tui.draw.spans import Line, Role, Span, crop, line, lit, rule, text_of, width_of, wrap
from store.files.errors import MonosemError
from store.query.filter_parser import FilterError

LEAST = 36
"""Cells of a completion with its meaning: more of them stand side by side where there is room."""
MOST_NAME = 26
LOWEST, MOST_ROWS = 12, 9
"""Lines of the lowest screen that has hints, and the most lines of hints."""
GAP = 2
POINTER = "▾"


class Completion(NamedTuple):
    """A text that may stand where one types."""

    text: str
    meaning: str
    shown: str = ""
    """Its form as an example; empty where that is the text itself."""
    whole: str = ""
    """The meaning where there is room; empty where that is the same."""


class Fault(NamedTuple):
    """The fault of a text that is typed."""

    why: str
    at: int | None = None
    """The character at fault; None where none is."""
    unfinished: bool = False
    """Whether more text may mend it."""


class TypingHints(NamedTuple):
    """Hints on a text and its caret."""

    title: str
    completions: Sequence[Completion] = ()
    start: int = 0
    """The character from which on a completion takes the place of what was typed."""
    words: str = ""
    """The meaning of what the caret is on, in a sentence."""
    fault: Fault | None = None


class Guide(NamedTuple):
    """How a text is to be typed."""

    hints: Callable[[str, int], TypingHints]
    """Returns the hints of a text and the place of its caret."""
    placeholder: str = ""
    """An example for an empty line; without one, that of the kind of text."""


def hint_rows(height: int) -> int:
    """Return the lines of hints on a screen of `height` lines; none where it is low."""
    return 0 if height < LOWEST else max(4, min(MOST_ROWS, height // 4))


def fault_of(error: MonosemError | None) -> Fault | None:
    """Return an error about a typed text as a fault."""
    if error is None:
        return None
    if isinstance(error, FilterError):
        return Fault(error.why, error.at, error.unfinished)
    return Fault(" · ".join(filter(None, (error.what, error.hint))), error.at)


def hint_lines(
    hints: TypingHints, chosen: int | None, cells: int, rows: int, pointed: int | None, *, refused: bool
) -> list[Line]:
    """Return hints in exactly `rows` lines; what is wrong stands last, next to the line that is typed.

    Args:
        hints: what is shown.
        chosen: the completion that stands in the text now.
        cells: width.
        rows: height.
        pointed: the cell of the character at fault.
        refused: whether enter was pressed on a text that is at fault.
    """
    if not rows:
        return []
    wrong = _fault_lines(hints.fault, cells, pointed, refused=refused)[-max(1, rows - 1) :] if hints.fault else []
    room = rows - 1 - len(wrong)
    said = _sentence(hints.words, cells)[:room] if hints.words else []
    grid = _grid(hints.completions, chosen, cells, room - len(said))
    body = [*said, *grid]
    return [rule(hints.title, cells, Role.DIM), *body, *[()] * (room - len(body)), *wrong]


def _sentence(words: str, cells: int) -> list[Line]:
    return [line(" ", *one) for one in wrap([line(word) for word in printable(words).split(" ")], cells - 2, " ")]


def _fault_lines(fault: Fault, cells: int, pointed: int | None, *, refused: bool) -> list[Line]:
    """Return what is wrong, a pointer above the character at fault."""
    role = Role.DIM if fault.unfinished and not refused else Role.ERROR
    why = printable(fault.why)
    if pointed is None:
        return [line(*((Span(span.text, role)) for span in one)) for one in _sentence(why, cells)]
    if pointed + GAP + width(why) < cells:
        return [line(" " * pointed, Span(f"{POINTER} {why}", role))]
    if width(why) + 2 <= pointed:
        return [line(" " * (pointed - width(why) - 1), Span(f"{why} {POINTER}", role))]
    above = [line(Span(text_of(one), role)) for one in _sentence(why, cells)]
    return [*above, line(" " * pointed, Span(POINTER, role))]


def _grid(completions: Sequence[Completion], chosen: int | None, cells: int, rows: int) -> list[Line]:
    """Return completions in columns, read downwards; those around the chosen one where not all fit."""
    if rows <= 0 or not completions:
        return []
    abreast = max(1, min((cells - 1) // LEAST, -(-len(completions) // rows)))
    column = (cells - 1) // abreast
    page = rows * abreast
    first = 0 if chosen is None else chosen // page * page
    seen = list(enumerate(completions))[first : first + page]
    size = min(MOST_NAME, max(width(_shown(one)) for _, one in seen))
    lines: list[Line] = []
    for row in range(min(rows, len(seen))):
        parts = [_entry(one, size, column, here=number == chosen) for number, one in seen[row::rows]]
        lines.append(line(" ", *(span for part in parts for span in part)))
    if first + page < len(completions):
        more = line(Span(f" +{len(completions) - first - page} ", Role.DIM))
        last = crop(lines[-1], cells - width_of(more))
        lines[-1] = line(*last, " " * (cells - width_of(more) - width_of(last)), *more)
    return lines


def _entry(one: Completion, size: int, cells: int, *, here: bool) -> Line:
    room = cells - size - 2 * GAP
    meaning = next((said for said in (one.whole, one.meaning) if said and width(printable(said)) <= room), one.meaning)
    named = line(Span(fit(_shown(one), size), Role.BOLD), " " * GAP, Span(printable(meaning), Role.DIM))
    shown = crop(named, cells - GAP)
    shown = line(*shown, " " * (cells - GAP - width_of(shown)))
    return line(*(lit(shown) if here else shown), " " * GAP)


def _shown(one: Completion) -> str:
    return printable(one.shown or one.text)


def having(n: int) -> str:
    """Return the meaning of a tag that `n` features have."""
    return f"of {n} feature{'s' * (n != 1)}"
