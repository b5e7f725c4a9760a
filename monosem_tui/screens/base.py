"""What every screen has: a header, a bottom line that tells the truth, help, commands, and a way back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Protocol, cast, runtime_checkable

from textual import events
from textual.app import ComposeResult
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import printable
from monosem_tui.draw.spans import Role, Span, line
from monosem_tui.export.page_files import file_name
from monosem_tui.keys.actions import Action, Need, Where, shown_key
from monosem_tui.keys.table import within_reach
from monosem_tui.model.command_line import Command, Quit, ShowScreen, Themed, completed, read_command, suggestion
from monosem_tui.model.command_search import Offer
from monosem_tui.model.session_state import Memory
from monosem_tui.pages.header import header
from monosem_tui.screens.output_files import write
from monosem_tui.screens.picture import picture
from monosem_tui.screens.session import Session, ViewWanted
from monosem_tui.widgets.command_panel import CommandPanel
from monosem_tui.widgets.filter_input import FilterInput, Kind, Typed
from monosem_tui.widgets.keys import bindings, pressed
from monosem_tui.widgets.keys_panel import KeysPanel
from monosem_tui.widgets.line_view import OneLine
from monosem_tui.widgets.status import hints
from store.files.errors import MonosemError

ALWAYS = ("ctrl+z", "ctrl+l", "ctrl+q")
"""Suspend, draw anew and quit: what shells and pagers have taught everyone to expect, even while typing."""

BESIDE_KEYS = 3
"""Lines that the help panel leaves: header, bottom line, and one of what it is about."""


@runtime_checkable
class Painted(Protocol):
    """A widget that draws with a palette."""

    palette: Palette


class MonosemScreen(Screen[None]):
    """One screen of the app. A subclass says what is in its middle, what has the focus and what is missing.

    Example:
        >>> class Notes(MonosemScreen):
        ...     VIEW, PLACE = "notes", Where.NOTES
        ...     BINDINGS = bindings(Where.NOTES)
        ...     def body(self) -> Iterable[Widget]:
        ...         yield self.notes
    """

    VIEW: ClassVar[str]
    """Its name in `VIEWS`."""
    PLACE: ClassVar[Where]
    """Where its actions are within reach."""
    AUTO_FOCUS = ""
    BINDINGS = bindings(Where.EVERYWHERE)
    DEFAULT_CSS = "MonosemScreen { overflow: hidden; }"

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As in any screen, but a change of it does not repaint the whole."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        palette = session.palette
        self.header = OneLine(palette)
        self.keys = KeysPanel(palette)
        self.panel = CommandPanel(palette)
        self.footer = OneLine(palette)
        self.input = FilterInput(palette)
        self._painted, self._said = palette, ""
        self._asked: tuple[Where, str] | None = None

    # What a subclass says

    def body(self) -> Iterable[Widget]:
        """The widgets between header and bottom line."""
        raise NotImplementedError

    @property
    def here(self) -> Where:
        """What has the focus; the screen itself where it has but one part."""
        return self.PLACE

    def lacks(self, need: Need) -> bool:
        """Whether something that actions need is missing now."""
        if need is Need.RUN:
            return self.session.run is None
        if need is Need.COLOURS:
            return not self.session.palette.colors
        if need is Need.BACK:
            return not (self.keys.display or self.can_go_back)
        return False

    @property
    def can_go_back(self) -> bool:
        """Whether `go_back` would do something."""
        return self.session.run is not None

    def go_back(self) -> None:
        """Undo what was opened last; from the first of all states, to Browse."""
        self.post_message(ViewWanted("browse"))

    def position(self) -> str:
        """Where one is, for the end of the bottom line."""
        return ""

    def worth_a_hint(self, action: Action) -> bool:  # noqa: ARG002
        """Whether its key does what one would look for here."""
        return True

    def typed(self, what: Typed) -> None:
        """A key was typed into the line of a kind that the subclass has opened."""

    def obey(self, command: Command) -> None:
        """Do what was typed behind `:`, here or on the screen that was shown before."""
        if isinstance(command, Themed):
            if not self.session.palette.colors:
                self.tell(Need.COLOURS.value)
            else:
                palette = self.session.palette
                self._take_palette(palette.themed(command.name) if command.name else palette.following())
        elif isinstance(command, Quit):
            self.app.exit()
        elif not isinstance(command, ShowScreen):
            raise ValueError(f"{self.VIEW} cannot do {command}")

    def answer(self, action: Action) -> None:
        """A key has answered what the subclass has asked."""

    def remembered(self, memory: Memory) -> Memory:
        """`memory` with what this screen wants to find again the next time."""
        return memory

    # What is on the screen

    def compose(self) -> ComposeResult:
        """Header, body, keys, commands, bottom line."""
        yield self.header
        yield from self.body()
        yield self.keys
        yield self.panel
        yield self.footer
        yield self.input

    def on_resize(self, event: events.Resize) -> None:
        """Draw header and bottom line for the width there is."""
        self.draw_header(event.size.width)
        self.tell(self._said)

    def on_screen_resume(self) -> None:
        """The theme may have changed while another screen was shown."""
        self.repaint_for(self.session.palette)
        self.draw_header(self.size.width)

    def draw_header(self, cells: int) -> None:
        """Say what is open."""
        self.header.show(header(self.session.run, self.VIEW, cells))

    def repaint_for(self, palette: Palette) -> None:
        """Draw everything with another palette."""
        if palette == self._painted:
            return
        self._painted = palette
        for part in self.walk_children(Widget):
            if isinstance(part, Painted):
                part.palette = palette
                part.refresh()

    @property
    def typing(self) -> bool:
        """Whether a filter, a number or a command is being typed."""
        return bool(self.input.display)

    @property
    def reach(self) -> list[Action]:
        """The actions that keys run now."""
        if self.typing or self._asked:
            return within_reach(self.focus_place)
        return within_reach(self.here, self.PLACE)

    @property
    def focus_place(self) -> Where:
        """Where the next key goes."""
        if self._asked:
            return self._asked[0]
        return self.input.where if self.typing else self.here

    def why_not(self, action: Action) -> str:
        """Why an action does nothing now; empty where it does something."""
        return next((need.value for need in action.needs if self.lacks(need)), "")

    def tell(self, said: str = "", right: str = "") -> None:
        """Renew the bottom line: what just happened, or else the keys; and the help panel with it.

        Args:
            said: a sentence; it stays until the next key.
            right: while typing, what the text finds.
        """
        self._said = said
        cells = self.size.width
        actions = [(action, not self.why_not(action)) for action in self.reach]
        if self.typing:
            self.input.tell(suggestion(self.input.text) if self.input.kind == ":" else right)
        elif said:
            self.footer.show(line(" ", Span(printable(said), Role.BOLD)))
        else:
            hinted = [action for action, does in actions if does and self.worth_a_hint(action)]
            self.footer.show(hints(hinted, self._asked[1] if self._asked else self.position(), cells))
        if self.keys.display:
            self.keys.show(f"keys {self.focus_place.value}", actions, cells, self.size.height - BESIDE_KEYS)

    def retell(self) -> None:
        """Renew the bottom line, keeping what it says."""
        self.tell(self._said)

    # Keys

    def take_key(self, event: events.Key) -> bool:
        """While typing every key goes to the text; a key that does nothing now says why; False leaves it to Textual."""
        if self.typing and event.key not in ALWAYS:
            self._take_typed(self.input.feed(event.key, event.character))
            return True
        if self._asked and event.key not in ALWAYS:
            self._take_answer(event.key)
            return True
        if self._said:
            self.tell()
        action = pressed(event.key, self.reach)
        why = self.why_not(action) if action is not None else ""
        if action is not None and why:
            self.tell(f"{event.character if event.is_printable else shown_key(event.key)}: {why}")
        return bool(why)

    def offer(self, where: Where, what: str) -> None:
        """Let the next key choose one of the actions of `where`; `what` it is about stands in the bottom line."""
        self._asked = where, what
        self.tell()

    def _take_answer(self, key: str) -> None:
        action = pressed(key, self.reach)
        self._asked = None
        self.tell()
        if action is not None:
            self.answer(action)

    def take_paste(self, text: str) -> None:
        """Pasted text is typed text."""
        if self.typing:
            self._take_typed(self.input.insert(text))

    def type_into(self, kind: Kind, text: str = "") -> None:
        """Open the line of text in place of the bottom line."""
        self.footer.display = False
        self.input.open(kind, text)
        self.tell()

    def stop_typing(self) -> None:
        """Show the bottom line again."""
        self.input.close()
        self.footer.display = True

    def _take_typed(self, what: Typed) -> None:
        if self.input.kind == ">":
            self._command_typed(what)
        elif self.input.kind == ":":
            self._colon_typed(what)
        else:
            self.typed(what)

    # Commands

    def action_commands(self) -> None:
        """Type a part of a command's name."""
        # What moves the cursor of a pane is known by then: it comes behind what the screen does.
        reach = sorted(self.reach, key=lambda action: action.where not in (self.PLACE, Where.EVERYWHERE))
        offers = [Offer(action, self.why_not(action)) for action in reach if action.id != "commands"]
        self.type_into(">")
        self.panel.open(offers, self.size)

    def _command_typed(self, what: Typed) -> None:
        if what is Typed.CHANGED:
            self.panel.find(self.input.text)
        elif what in (Typed.NEXT, Typed.PREVIOUS):
            self.panel.step(1 if what is Typed.NEXT else -1)
        elif what in (Typed.KEEP, Typed.LEAVE):
            chosen = self.panel.chosen if what is Typed.KEEP else None
            self.panel.close()
            self.stop_typing()
            self.tell(f"{chosen.action.title}: {chosen.why_not}" if chosen and chosen.why_not else "")
            if chosen is not None and not chosen.why_not:
                self.call_next(self.app.run_action, chosen.action.name, self._actor(chosen.action))

    def _actor(self, action: Action) -> Widget:
        """Who runs an action whose name does not say so: what has the focus, else the screen."""
        method = f"action_{action.name.partition('(')[0]}"
        return self.focused if self.focused is not None and hasattr(self.focused, method) else self

    def action_goto(self) -> None:
        """Type a number, or a command and what it is told."""
        self.type_into(":")

    def _colon_typed(self, what: Typed) -> None:
        text = self.input.text
        if what is Typed.COMPLETE:
            self.input.replace(completed(text))
        if what in (Typed.COMPLETE, Typed.CHANGED):
            self.tell()
        elif what in (Typed.KEEP, Typed.LEAVE):
            self.stop_typing()
            self.tell()
            if what is Typed.KEEP and text.strip():
                self._run_command(text)

    def _run_command(self, text: str) -> None:
        try:
            command, view = read_command(text)
        except MonosemError as error:
            self.tell(error.what)
            return
        if view in ("", self.VIEW):
            self.obey(command)
        elif self.session.run is None and view != "runs":
            self.tell(Need.RUN.value)
        else:
            # The app runs both before it takes the next key, so keys of one packet find the screen.
            self.app.call_next(self.app.run_action, f"view('{view}')")
            self.app.call_next(lambda: cast(MonosemScreen, self.app.screen).obey(command))

    # Everywhere

    def action_back(self) -> None:
        """Close the help, else undo the last thing that was opened."""
        if self.keys.display:
            self.action_help()
        else:
            self.go_back()

    def action_help(self) -> None:
        """Show or hide the keys."""
        self.keys.display = not self.keys.display
        self.tell()

    def action_redraw(self) -> None:
        """Draw the whole screen, as after another program has written on it."""
        self.refresh()

    def action_picture(self) -> None:
        """Write the screen to a file as a picture."""
        run, palette = self.session.run, self.session.palette
        name = run.name if run else "runs"
        self.tell(write(file_name(name, self.VIEW, "picture"), lambda: picture(self, name, light=not palette.dark)))

    def action_theme(self) -> None:
        """Dark, light, or without colours."""
        self._take_palette(self.session.palette.following())

    def _take_palette(self, palette: Palette) -> None:
        self.session.palette = palette
        self.session.memory = replace(self.session.memory, theme=palette.name)
        self.repaint_for(palette)
        self.tell("no colours but the terminal's own" if palette.plain else f"colours for a {palette.name} terminal")
