"""One line to type a filter, a pattern, a command or a note into."""

from __future__ import annotations

from enum import Enum
from typing import Literal, get_args

from textual import events

from monosem_tui.draw.numbers import count
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import cut, printable, width
from monosem_tui.draw.spans import Role, Span, line, width_of
from monosem_tui.draw.typed_text import place_at, typed_text
from monosem_tui.keys.actions import TYPING, Where
from monosem_tui.keys.table import at
from monosem_tui.pages.header import hints
from monosem_tui.widgets.line_view import OneLine

NoteKind = Literal["label", "tags", "comment"]
LiveKind = Literal[
    "prompt", "system", "clamp", "settings", "text", "document", "feature", "sweep", "recipe", "recipe file", "export"
]
Kind = Literal["/", ":", ">", "find"] | NoteKind | LiveKind
"""A filter, a number or a command, a command that is chosen, a pattern, a note, or something for the live model."""
LIVE: tuple[LiveKind, ...] = get_args(LiveKind)
RUNNING: tuple[Kind, ...] = ("prompt", "system", "text")
"""Kinds of text with several lines."""
PLACEHOLDERS: dict[Kind, str] = {
    "/": 'density>1e-4 token:"the">50% label:x',
    ":": "412, or a command: sort, filter, find, help …",
    ">": "letters of what you look for",
    "find": r"such as \b(sea|boat)s?\b",
    "label": "in a few words, what it fires on",
    "tags": "words between blanks",
    "comment": "a remark",
    "prompt": "text that the model goes on from",
    "system": "who the model is to be",
    "clamp": "412=max*1, 412=8.5 or 412=off; then @response",
    "settings": "t=0.8 p=0.95 k=40 max=200 seed=1, or greedy",
    "text": "any text; pasted lines stay lines",
    "document": "number of a document of the corpus",
    "feature": "number of a feature; none for the clamp under the cursor",
    "sweep": "strengths of one feature: 412=max*0.5,max*1,max*2@response",
    "recipe": "a name, or a file: NAME.json",
    "recipe file": "path of a recipe",
    "export": "path of a new file: .txt or .json",
}
"""Examples in the empty line, by what is typed."""
NOTES: tuple[NoteKind, ...] = get_args(NoteKind)
LONGEST, LONGEST_PATTERN, LONGEST_NOTE, LONGEST_TEXT = 200, 1_000, 4_000, 20_000
"""Longest text in characters: more is a paste that went wrong."""
LEFT = 16
"""Cells that the message at the end of the line leaves to the text."""


class Typed(Enum):
    """The effect of a key on the line."""

    CHANGED = "changed"
    KEEP = "keep"
    LEAVE = "leave"
    NEXT = "next"
    PREVIOUS = "previous"
    COMPLETE = "complete"
    COMPLETE_BACK = "complete_back"
    NOTHING = "nothing"


_ACTIONS = {key: Typed(action.name) for action in at(*TYPING) for key in action.keys}

_WHERE: dict[Kind, Where] = {"/": Where.INPUT, ":": Where.NUMBER, ">": Where.COMMAND, "find": Where.PATTERN}
_WHERE |= dict.fromkeys(NOTES, Where.NOTE)
_WHERE |= dict.fromkeys(LIVE, Where.LIVE_TEXT)


class LineInput(OneLine):
    """A line that is edited key by key, in the order of the keys, with a cursor that does not blink.

    Textual's own Input receives a key some messages later. By then the keys after it, which arrive in the same packet
    on a slow line, have gone to the widget that had the focus before.
    """

    DEFAULT_CSS = "LineInput { display: none; }"

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette)
        self.kind: Kind = "/"
        self._before, self._after = "", ""
        self._placeholder = ""
        self._selected = False
        """Whether the text is a proposal of which nothing was touched yet: what is typed takes its place."""
        self._right = self._too_long = ""
        self._cells, self._hidden = range(0), 0
        """The cells that the text stands in, and those of the text that are left out at its start."""

    @property
    def where(self) -> Where:
        """The place of the keys, by the kind of text."""
        return _WHERE[self.kind]

    @property
    def _longest(self) -> int:
        if self.kind in (":", "find"):
            return LONGEST_PATTERN
        if self.kind in RUNNING:
            return LONGEST_TEXT
        return LONGEST_NOTE if self.kind in NOTES else LONGEST

    @property
    def text(self) -> str:
        """The text typed so far."""
        return self._before + self._after

    @property
    def caret(self) -> int:
        """The character that the cursor is on, counted from 0."""
        return len(self._before)

    def open(self, kind: Kind, text: str, *, selected: bool = False, placeholder: str = "") -> None:
        """Begin with `text`, the cursor at its end.

        Args:
            kind: what is typed.
            text: what it begins with.
            selected: whether the first character takes the place of all of it.
            placeholder: example that stands in the empty line; without one, that of the kind.
        """
        self._placeholder = placeholder or PLACEHOLDERS[kind]
        self.kind, self._before, self._after = kind, text, ""
        self._selected = selected and bool(text)
        self._too_long = ""
        self.display = True
        self._redraw()

    def replace(self, text: str, after: str = "") -> None:
        """Take another text, the cursor at its end, before `after`."""
        self._before, self._after = text, after
        self._selected = False
        self._redraw()

    def go_to(self, at: int) -> None:
        """Put the cursor on character `at`, counted from 0."""
        self._before, self._after = self.text[:at], self.text[at:]
        self._redraw()

    def cell_of(self, at: int) -> int | None:
        """Return the cell that a character stands in; None where it is out of sight."""
        cell = self._cells.start + width(printable(self.text[:at])) - self._hidden
        return cell if cell in self._cells else None

    def close(self) -> None:
        """Hide the line; its text can still be read."""
        self.display = False

    def tell(self, right: str) -> None:
        """Show a message at the end of the line, before the keys that end typing."""
        self._right = right
        self._redraw()

    def insert(self, text: str) -> Typed:
        """Insert text at the cursor: the first line of a paste, or all of it where several lines may be typed.

        A text that is too long is cut, and the end of the line says so.
        """
        if self.kind in RUNNING:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
            wanted = "".join(c for c in text if c.isprintable() or c in "\n\t")
        else:
            wanted = "".join(c for c in text.partition("\n")[0] if c.isprintable())
        if self._selected and wanted:
            self._before, self._selected = "", False
        room = max(0, self._longest - len(self.text))
        if self.kind in RUNNING and len(wanted) > room:
            self._too_long = f"{count(LONGEST_TEXT)} of {count(len(self.text) + len(wanted))} letters kept"
        wanted = wanted[:room]
        self._before += wanted
        return self._changed(bool(wanted))

    def feed(self, key: str, character: str | None) -> Typed:
        """Take one key.

        Args:
            key: as Textual names it.
            character: what it types, if it does.
        """
        if key in _ACTIONS:
            return _ACTIONS[key]
        before, after = self._before, self._after
        start = "" if self._selected else before[:-1]
        edited = {
            "backspace": (start, after),
            "delete": ("" if self._selected else before, after[1:]),
            "left": (before[:-1], before[-1:] + after),
            "right": (before + after[:1], after[1:]),
            "home": ("", before + after),
            "ctrl+a": ("", before + after),
            "end": (before + after, ""),
            "ctrl+e": (before + after, ""),
            "ctrl+u": ("", after),
            "ctrl+k": (before, ""),
            "ctrl+w": (before[: before.rstrip().rfind(" ") + 1], after),
        }.get(key)
        if edited is None:
            return self.insert(character) if character else Typed.NOTHING
        self._before, self._after = edited
        self._too_long, self._selected = "", False
        return self._changed(self.text != before + after)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the clicked character; hints are clicked as in the bottom line."""
        if event.x in self._cells:
            self._selected = False
            self.go_to(place_at(self.text, event.x - self._cells.start + self._hidden))

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._redraw()

    def _changed(self, changed: bool) -> Typed:
        self._redraw()
        return Typed.CHANGED if changed else Typed.NOTHING

    def _redraw(self) -> None:
        cells = self.size.width
        said = cut(self._too_long or self._right, max(1, cells - LEFT))
        right = hints(at(self.where), said, min(36, cells // 2))
        name = line(" ", Span(self.kind, Role.BOLD), " ")
        room = max(1, cells - width_of(right.spans) - width_of(name) - 2)
        role = Role.CURSOR if self._selected else Role.PLAIN
        typed, hidden = typed_text(self._before, self._after, room, role)
        if not self.text:
            example = Span(cut(self._placeholder, max(0, room - 1)), Role.DIM)
            typed = line(Span(" ", Role.CARET), example, " " * (room - 1 - width_of([example])))
        self._cells, self._hidden = range(width_of(name), width_of(name) + room), hidden
        self.show_spotted(right.after(line(*name, *typed, "  ")))
