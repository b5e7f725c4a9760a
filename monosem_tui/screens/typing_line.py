"""The line of text in place of the bottom line: whoever opens it is given every key until it is closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from textual.geometry import Size

from monosem_tui.widgets.line_input import Kind, LineInput, Typed
from monosem_tui.widgets.line_view import OneLine
from monosem_tui.widgets.lines_panel import LinesPanel
from store.files.errors import MonosemError

if TYPE_CHECKING:
    from monosem_tui.pages.typing_hints import Guide, TypingHints


class BottomLine(Protocol):
    """The bottom line as the screen draws it."""

    @property
    def size(self) -> Size:
        """Cells and lines of the screen."""

    def tell(self, said: str = "") -> None:
        """Show a sentence; without one, the keys."""

    def complain(self, error: MonosemError) -> None:
        """Show an error."""


class Menu(NamedTuple):
    """Completions of which one stands in the text."""

    hints: TypingHints
    """The hints of the text as it was typed."""
    before: str
    """The text before the word that is completed."""
    chosen: int


class TypingLine:
    """Lets `input` take the place of `footer`, with hints in `panel` above it."""

    def __init__(self, line_input: LineInput, footer: OneLine, panel: LinesPanel, bottom: BottomLine) -> None:
        self.input, self._footer, self._panel, self._bottom = line_input, footer, panel, bottom
        self._take: Callable[[Typed], object] = bool
        self._finds: Callable[[], str] = str
        self._guide: Guide | None = None
        self._menu: Menu | None = None
        self._refused = False
        """Whether enter was pressed on the text as it is, and it cannot be taken."""

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
        guide: Guide | None = None,
    ) -> None:
        """Begin a text.

        Args:
            kind: what is typed.
            text: what it begins with.
            take: called after each key with what the key did.
            finds: what the text finds, for the end of the line.
            selected: whether the text is a proposal, whose place is taken by what is typed.
            guide: how it is to be typed.
        """
        self._take, self._finds, self._guide = take, finds, guide
        self._menu, self._refused = None, False
        self._footer.display = False
        self._panel.display = guide is not None
        self.input.open(kind, text, selected=selected, placeholder=guide.placeholder if guide else "")
        self._bottom.tell()

    def ask(
        self,
        kind: Kind,
        text: str,
        take: Callable[[str], object],
        finds: Callable[[], str] = str,
        *,
        selected: bool = False,
        guide: Guide | None = None,
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
                    self.open(kind, said, end, finds, guide=guide)
                    self.reject(error)

        self.open(kind, text, end, finds, selected=selected, guide=guide)

    def reject(self, error: MonosemError) -> None:
        """Show why the text cannot be taken; it stays, the cursor on the character at fault."""
        if error.at is not None:
            self.input.go_to(error.at)
        self._refused = True
        if self._guide is not None and self._guide.hints(self.input.text, self.input.caret).fault is not None:
            self.redraw()  # it stands in the panel
        else:
            self._bottom.complain(error)

    def close(self) -> str:
        """Show the bottom line again; return what was typed."""
        self.input.close()
        self._footer.display = True
        self._panel.display = False
        return self.input.text

    def feed(self, key: str, character: str | None) -> None:
        """Take a key."""
        typed = self.input.feed(key, character)
        if typed in (Typed.COMPLETE, Typed.COMPLETE_BACK) and self._guide is not None:
            self._complete(1 if typed is Typed.COMPLETE else -1)
            return
        if typed is not Typed.KEEP:
            self._menu, self._refused = None, False
        self._take(typed)
        if self.typing:
            self._draw_hints()

    def _complete(self, step: int) -> None:
        """Put the first completion into the text, or the next one in place of the last; the only one is final."""
        assert self._guide is not None
        typed, menu = self.input, self._menu
        if menu is None:
            hints, before = self._guide.hints(typed.text, typed.caret), typed.text[: typed.caret]
            menu = Menu(hints, before[: hints.start], -1 if step > 0 else 0)
        found = menu.hints.completions
        if not found:
            return
        menu = menu._replace(chosen=(menu.chosen + step) % len(found))
        typed.replace(menu.before + found[menu.chosen].text, typed.text[typed.caret :])
        self._menu, self._refused = menu if len(found) > 1 else None, False
        self._take(Typed.CHANGED)
        self._draw_hints()

    def _draw_hints(self) -> None:
        """Show the hints of the text in the panel."""
        if self._guide is None:
            return
        from monosem_tui.pages.typing_hints import hint_lines, hint_rows

        hints, menu = self._guide.hints(self.input.text, self.input.caret), self._menu
        if menu is not None:
            hints = hints._replace(completions=menu.hints.completions)
        at = hints.fault.at if hints.fault else None
        pointed = None if at is None else self.input.cell_of(at)
        cells, rows = self._bottom.size.width, hint_rows(self._bottom.size.height)
        chosen = menu.chosen if menu else None
        self._panel.stand(hint_lines(hints, chosen, cells, rows, pointed, refused=self._refused))

    def keep(self) -> None:
        """Take the text as it is, as enter does."""
        self._take(Typed.KEEP)

    def paste(self, text: str) -> None:
        """Take pasted text as typed text."""
        if self.typing:
            self._menu, self._refused = None, False
            self._take(self.input.insert(text))

    def redraw(self) -> None:
        """Show what the text finds now, and its hints."""
        self.input.tell(self._finds())
        self._draw_hints()
