"""The only place that prints. stdout is data, stderr is narration, and no control character reaches either."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TextIO

from monosem_tui.draw.json_text import json_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from monosem_tui.draw.palette import Palette
    from monosem_tui.draw.spans import Line

PIPED_WIDTH = 100
"""Columns to lay text out for when nobody says how wide the reader's screen is."""


def open_streams() -> None:
    """Let characters that the terminal's encoding lacks come out as `?` instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def visible(text: str) -> str:
    """`text` with every control character but the newline written out, as `⟨0x1B⟩`."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    from monosem_tui.draw.safe_text import printable

    return "\n".join(printable(line) for line in text.split("\n"))


def one_line(text: str) -> str:
    """`text` made visible on a single line."""
    return visible(" ".join(text.split()))


def emit_text(text: str) -> None:
    """Print lines of data."""
    sys.stdout.write(visible(text) + "\n")


def emit_part(text: str) -> None:
    """Print a piece of data that goes on on the same line, at once; `text` has been made `visible`."""
    sys.stdout.write(text)
    sys.stdout.flush()


def emit_json(value: Any) -> None:
    """Print one line of JSON in ASCII; what JSON cannot say (nan, infinity) becomes null."""
    sys.stdout.write(json_text(value) + "\n")


def narrate(text: str) -> None:
    """Tell the person who waits."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()


def complain(what: str, hint: str = "") -> None:
    """Print an error: what, and indented below it what to do."""
    narrate(f"monosem: {one_line(what)}" + (f"\n  {one_line(hint)}" if hint else ""))


def is_screen(stream: TextIO) -> bool:
    """Whether lines on `stream` can be drawn over."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def palette(stream: TextIO | None = None) -> Palette:
    """The colours for `stream` (stdout): the terminal's, as the app would choose them; none for anything else.

    NO_COLOR (https://no-color.org) means none, MONOSEM_COLOR says which, FORCE_COLOR means some although it is a pipe.
    """
    from monosem_tui.draw.palette import Palette
    from monosem_tui.terminal.capabilities import decide

    chosen = decide(os.environ)
    shown = is_screen(stream or sys.stdout) or bool(os.environ.get("FORCE_COLOR"))
    return Palette(colors=chosen.colors if shown else 0).themed(chosen.theme)


def page_width() -> int:
    """Columns to lay out for: $COLUMNS, else the terminal's, also behind a pipe (`| less`), else a page's."""
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return int(given)
    for stream in (sys.stdout, sys.stderr):
        if stream.isatty():
            return os.get_terminal_size(stream.fileno()).columns or PIPED_WIDTH
    return PIPED_WIDTH


def console(stream: TextIO | None = None) -> Console:
    """A Rich console on stdout (or `stream`) that obeys no markup, guesses no highlights and no colours."""
    from rich.console import Console

    colors = palette(stream).colors
    return Console(
        file=stream or sys.stdout,
        color_system={0: None, 16: "standard"}.get(colors, "256"),
        no_color=not colors,
        force_terminal=True if colors else None,
        soft_wrap=True,
        markup=False,
        emoji=False,
        highlight=False,
    )


def emit_lines(lines: Iterable[Line]) -> None:
    """Print lines of spans: with their styles on a terminal, as plain text elsewhere."""
    if not palette().colors:
        for spans in lines:
            emit_text("".join(span.text for span in spans).rstrip())
        return
    screen = console()
    for spans in lines:
        screen.print(styled_text(spans))


def styled_text(spans: Line, stream: TextIO | None = None) -> Text:
    """A line of spans as Rich's text, in the colours of `stream` (stdout)."""
    from rich.text import Text

    from monosem_tui.draw.palette import paint

    painted = paint(spans, palette(stream))
    return Text.assemble(*((visible(text), style) for text, style in painted), no_wrap=True)


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    title: str
    align: Literal["<", ">"] = "<"
    shrinks: bool = False
    """Whether it gives way on a narrow terminal."""


def emit_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; on a terminal the ones that may shrink do, so that a row stays a line."""
    from monosem_tui.draw.safe_text import fit, width
    from monosem_tui.draw.spans import Role, Span

    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(width(text) for text in (c.title, *(row[i] for row in cells))) for i, c in enumerate(columns)]
    if sys.stdout.isatty():
        widths = _shrunk(columns, widths, page_width() - 2 * (len(columns) - 1))

    def line(texts: Sequence[str], role: Role) -> Line:
        fitted = (fit(text, size, column.align) for text, column, size in zip(texts, columns, widths, strict=True))
        return (Span("  ".join(fitted).rstrip(), role),)

    emit_lines([line([c.title for c in columns], Role.DIM), *(line(row, Role.PLAIN) for row in cells)])


def _shrunk(columns: Sequence[Column], widths: list[int], room: int, least: int = 8) -> list[int]:
    """`widths` with the widest shrinking columns cut until all fit into `room`, or none is above `least`."""
    widths = list(widths)
    shrinking = [i for i, column in enumerate(columns) if column.shrinks]
    while sum(widths) > room and shrinking:
        widest = max(shrinking, key=lambda i: widths[i])
        if widths[widest] <= least:
            break
        widths[widest] -= 1
    return widths
