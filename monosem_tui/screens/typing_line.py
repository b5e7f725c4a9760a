"""The line of text in place of the bottom line: whoever opens it is given every key until it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from monosem_tui.widgets.line_input import Kind, LineInput, Typed
from monosem_tui.widgets.line_view import OneLine
from store.files.errors import MonosemError


class BottomLine(Protocol):
    """The bottom line as the screen draws it."""

    def tell(self, said: str = "") -> None:
        """Show a sentence; without one, the keys."""

    def complain(self, error: MonosemError) -> None:
        """Show an error."""


class TypingLine:
    """Lets `input` take the place of `footer`."""

    def __init__(self, line_input: LineInput, footer: OneLine, bottom: BottomLine) -> None:
        self.input, self._footer, self._bottom = line_input, footer, bottom
        self._take: Callable[[Typed], object] = bool
        self._finds: Callable[[], str] = str

    @property
    def typing(self) -> bool:
        """Whether a text is being typed."""
        return bool(self.input.display)

    def open(
        self,
        kind: Kind,
        text: str,
        take: Callable[[Typed], object],
        finds: Callable[[], str] = str,
        *,
        selected: bool = False,
    ) -> None:
        """Begin a text.

        Args:
            kind: what is typed.
            text: what it begins with.
            take: called after each key with what the key did.
            finds: what the text finds, for the end of the line.
            selected: whether the text is a proposal, whose place is taken by what is typed.
        """
        self._take, self._finds = take, finds
        self._footer.display = False
        self.input.open(kind, text, selected=selected)
        self._bottom.tell()

    def ask(
        self,
        kind: Kind,
        text: str,
        take: Callable[[str], object],
        finds: Callable[[], str] = str,
        *,
        selected: bool = False,
    ) -> None:
        """Have a text typed; what enter keeps is given to `take`. One for which it raises an error can be mended."""

        def end(typed: Typed) -> None:
            if typed not in (Typed.KEEP, Typed.LEAVE):
                return
            said = self.close()
            self._bottom.tell()
            if typed is Typed.KEEP:
                try:
                    take(said)
                except MonosemError as error:
                    self.open(kind, said, end, finds)
                    self.reject(error)

        self.open(kind, text, end, finds, selected=selected)

    def reject(self, error: MonosemError) -> None:
        """Show why the text cannot be taken; it stays, the cursor on the character at fault."""
        if error.at is not None:
            self.input.go_to(error.at)
        self._bottom.complain(error)

    def close(self) -> str:
        """Show the bottom line again; return what was typed."""
        self.input.close()
        self._footer.display = True
        return self.input.text

    def feed(self, key: str, character: str | None) -> None:
        """Take a key."""
        self._take(self.input.feed(key, character))

    def keep(self) -> None:
        """Take the text as it is, as enter does."""
        self._take(Typed.KEEP)

    def paste(self, text: str) -> None:
        """Take pasted text as typed text."""
        if self.typing:
            self._take(self.input.insert(text))

    def redraw(self) -> None:
        """Show what the text finds now."""
        self.input.tell(self._finds())
