"""The bottom line: which keys do something here and where one is; in its place, while typing, a line to type into."""

from __future__ import annotations

from typing import Literal

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from monosem_tui.text.palette import Palette
from monosem_tui.text.spans import Line, Role, Span, line, width_of
from monosem_tui.widgets.actions import Action, Where, at, bindings
from monosem_tui.widgets.line_view import OneLine

Kind = Literal["/", ":"]


def hints(actions: list[Action], right: str, cells: int) -> Line:
    """The footer of some actions, as many as fit, with `right` at its end.

    The last three actions stay longest: the way back, help, and the way out.
    """
    texts = [action.hint for action in actions if action.hint]
    end = line(Span(right, Role.DIM), " ")
    for n in range(len(texts), 0, -1):
        chosen = texts[: n - 3] + texts[-3:] if n > 3 else texts[-n:]
        parts: list[Span] = []
        for text in chosen:
            key, _, word = text.partition(" ")
            parts += [Span("  " if parts else " "), Span(key, Role.BOLD), Span(f" {word}", Role.DIM)]
        gap = cells - width_of(parts) - width_of(end)
        if gap >= 2:
            return line(*parts, " " * gap, *end)
    return end


class FilterInput(Horizontal):
    """One line to type a filter or a number into. No letter is a command here."""

    BINDINGS = bindings(Where.INPUT)
    DEFAULT_CSS = """
    FilterInput { height: 1; display: none; }
    FilterInput > #prompt { width: 3; }
    FilterInput > #reply { width: 34; }
    FilterInput > Input { width: 1fr; }
    """

    class Changed(Message):
        """The text is another."""

        def __init__(self, kind: Kind, text: str) -> None:
            super().__init__()
            self.kind, self.text = kind, text

    class Kept(Changed):
        """Enter was pressed."""

    class Left(Changed):
        """Escape was pressed."""

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.prompt = OneLine(palette, id="prompt")
        self.reply = OneLine(palette, id="reply")
        self.input = Input(compact=True, select_on_focus=False)
        self.input.cursor_blink = False
        self.kind: Kind = "/"

    def compose(self) -> ComposeResult:
        """Prompt, text, reply."""
        yield self.prompt
        yield self.input
        yield self.reply

    def open(self, kind: Kind, text: str) -> None:
        """Begin typing."""
        self.kind = kind
        self.prompt.show(line(" ", Span(kind, Role.BOLD)))
        self.input.restrict = r"[0-9]*" if kind == ":" else None
        with self.input.prevent(Input.Changed):
            self.input.value = text
        self.input.cursor_position = len(text)
        self.display = True
        self.input.focus()

    def close(self) -> None:
        """Stop typing."""
        self.display = False

    def tell(self, right: str) -> None:
        """Say what the text finds, beside the keys that end typing."""
        self.reply.show(hints(at(Where.INPUT), right, self.reply.size.width or 34))

    def on_resize(self, event: events.Resize) -> None:
        """Keep room for the text."""
        self.reply.styles.width = min(34, event.size.width // 2)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Pass the text on."""
        event.stop()
        self.post_message(self.Changed(self.kind, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter inside the text."""
        event.stop()
        self.action_keep()

    def action_keep(self) -> None:
        """Done."""
        self.post_message(self.Kept(self.kind, self.input.value))

    def action_leave(self) -> None:
        """Never mind."""
        self.post_message(self.Left(self.kind, self.input.value))
