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

command_line: list[str] = []
"""The words of the command that is running."""
PIPED_WIDTH, WIDEST = 100, 10_000
"""Width where the reader's screen is unknown, and at most."""


def open_streams() -> None:
    """Print characters that the terminal's encoding lacks as `?` instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def visible(text: str) -> str:
    """Spell out every control character but the newline, as `⟨0x1B⟩`."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    from monosem_tui.draw.safe_text import printable

    return "\n".join(printable(line) for line in text.split("\n"))


def one_line(text: str) -> str:
    """Make text visible on a single line."""
    return visible(" ".join(text.split()))


def emit_text(text: str) -> None:
    """Print lines of data."""
    sys.stdout.write(visible(text) + "\n")


def emit_part(text: str) -> None:
    """Print a piece of a line at once, without a newline; `text` must be `visible`."""
    sys.stdout.write(text)
    sys.stdout.flush()


def emit_json(value: Any) -> None:
    """Print one line of JSON in ASCII, NaN and infinities as null."""
    sys.stdout.write(json_text(value) + "\n")


def emit_result(values: dict[str, Any], text: str, *, json: bool) -> None:
    """Print what a command has made: as JSON, or the one path that the next command needs."""
    if json:
        emit_json(values)
    else:
        emit_text(text)


def narrate(text: str) -> None:
    """Print narration to stderr."""
    sys.stderr.write(visible(text) + "\n")
    sys.stderr.flush()


def left_error() -> str:
    """Return the file in which this process leaves its error, where its launcher prints it (`--nproc`); else ""."""
    return os.environ.get("TORCHELASTIC_ERROR_FILE", "") if "MONOSEM_RANK" in os.environ else ""


def complain(what: str, hint: str = "") -> None:
    """Print an error and, indented below it, a hint; a process that `--nproc` has started leaves both in a file."""
    if path := left_error():
        from time import time

        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not needed to start
            file.write(json_text({"message": what, "hint": hint, "timestamp": int(time())}))
        return
    narrate(f"monosem: {one_line(what)}" + (f"\n  {one_line(hint)}" if hint else ""))


def is_screen(stream: TextIO) -> bool:
    """Return whether `stream` is a terminal on which lines can be overwritten."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def palette(stream: TextIO | None = None) -> Palette:
    """Return the colours for `stream` (default stdout): those the app would choose on a terminal, else none.

    NO_COLOR (https://no-color.org) forces none, MONOSEM_COLOR chooses, FORCE_COLOR forces colours into a pipe.
    """
    from monosem_tui.draw.palette import Palette
    from monosem_tui.terminal.capabilities import decide

    chosen = decide(os.environ)
    shown = is_screen(stream or sys.stdout) or bool(os.environ.get("FORCE_COLOR"))
    return Palette(colors=chosen.colors if shown else 0).themed(chosen.theme)


def page_width() -> int:
    """Return the width: $COLUMNS, else the terminal's (also before a pipe such as `| less`), else a page's."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and len(given) < 6 and 0 < int(given) <= WIDEST:
        return int(given)
    for stream in (sys.stdout, sys.stderr):
        if stream.isatty():
            return os.get_terminal_size(stream.fileno()).columns or PIPED_WIDTH
    return PIPED_WIDTH


def console(stream: TextIO | None = None) -> Console:
    """Return a Rich console on `stream` (default stdout) without markup, highlighting or guessed colours."""
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
    """Print lines of spans: styled on a terminal, plain elsewhere."""
    if not palette().colors:
        for spans in lines:
            emit_text("".join(span.text for span in spans).rstrip())
        return
    screen = console()
    for spans in lines:
        screen.print(styled_text(spans))


def styled_text(spans: Line, stream: TextIO | None = None) -> Text:
    """Convert a line of spans to Rich text in the colours of `stream` (default stdout)."""
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
    """Whether it shrinks on a narrow terminal."""


def right(*titles: str) -> list[Column]:
    """Return columns of numbers."""
    return [Column(title, ">") for title in titles]


def emit_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns; on a terminal columns shrink so that a row fits a line."""
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
    """Cut the widest shrinking columns until all fit `room`, or none exceeds `least`."""
    widths = list(widths)
    shrinking = [i for i, column in enumerate(columns) if column.shrinks]
    while sum(widths) > room and shrinking:
        widest = max(shrinking, key=lambda i: widths[i])
        if widths[widest] <= least:
            break
        widths[widest] -= 1
    return widths
