"""The base of all screens: header, bottom line, help, keys sent to the part that owns their action, and a way back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from inspect import isawaitable
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

from textual import actions, events
from textual.app import ComposeResult
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from monosem_tui.draw.flags import with_flags
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.spans import Role, crop
from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.keys.table import within_reach
from monosem_tui.model.command_line import Command, ShowScreen
from monosem_tui.model.session_state import Memory
from monosem_tui.pages.header import header, hints, sentence
from monosem_tui.screens.key_dispatch import KeyDispatch, Question
from monosem_tui.screens.part import ScreenPart, Way, WorkDone
from monosem_tui.screens.pointed_token import PointedToken
from monosem_tui.screens.session import Session, ViewWanted
from monosem_tui.screens.typing_line import TypingLine
from monosem_tui.widgets.keys_panel import KeysPanel
from monosem_tui.widgets.line_input import LineInput
from monosem_tui.widgets.line_view import LineView, OneLine
from monosem_tui.widgets.lines_panel import LinesPanel, SentencePanel
from monosem_tui.widgets.lookup_panel import LookupPanel
from monosem_tui.widgets.sheet_view import SheetView
from store.files.errors import MonosemError

T = TypeVar("T")
HIGHEST = 5
"""A sentence may have this part of the screen's lines."""
BESIDE_KEYS = 3
"""Lines that the help panel leaves: header, bottom line, and one of what it is about."""


@runtime_checkable
class Painted(Protocol):
    """A widget that draws with a palette."""

    palette: Palette


class MonosemScreen(Screen[None]):
    """One screen of the app. A subclass names its widgets in `body` and its parts in `parts`.

    Example:
        >>> class Notes(MonosemScreen):
        ...     VIEW, PLACE = "notes", Where.NOTES
        ...     def body(self) -> Iterable[Widget]:
        ...         yield self.notes
    """

    VIEW: ClassVar[str]
    """Its name in `VIEWS`."""
    PLACE: ClassVar[Where]
    """The place at which its actions are within reach."""
    AUTO_FOCUS = ""
    DEFAULT_CSS = "MonosemScreen { overflow: hidden; layers: default over; }"

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As in any screen, but a change of it does not repaint the whole."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        palette = session.palette
        self.header = OneLine(palette)
        self.keys = KeysPanel(palette)
        self.panel = LookupPanel(palette)
        self.sentence = SentencePanel(palette)
        self.footer = OneLine(palette)
        self.input = LineInput(palette)
        self.guidance = LinesPanel(palette)
        self.line = TypingLine(self.input, self.footer, self.guidance, self)
        self.parts: tuple[ScreenPart, ...] = ()
        """The parts of the screen, in the order in which escape closes them."""
        self._painted, self._said_in = palette, Role.BOLD
        self.said = ""
        """The sentence in the bottom line; empty where the keys stand there."""
        self.dispatch = KeyDispatch(self, session.tuning.pause)
        self.pointed = PointedToken(self, self.retell)
        self.needs: dict[Need, Callable[[], bool]] = {
            Need.RUN: lambda: self.session.run is not None,
            Need.BACK: lambda: self.way_back() is not None,
        }

    # For subclasses

    def body(self) -> Iterable[Widget]:
        """The widgets between header and bottom line."""
        raise NotImplementedError

    def obey(self, command: Command) -> None:
        """Do what was typed after `:`, here or on the screen that was shown before.

        Raises:
            MonosemError: it cannot be done.
        """
        if not isinstance(command, ShowScreen):
            raise ValueError(f"{self.VIEW} cannot do {command}")

    def remembered(self, memory: Memory) -> Memory:
        """Return `memory` with what this screen wants to find again in the next session."""
        for part in self.parts:
            memory = part.remembered(memory)
        return memory

    # Contents of the screen

    def compose(self) -> ComposeResult:
        """Header, body, keys, commands, bottom line."""
        yield self.header
        yield from self.body()
        yield self.keys
        yield self.panel
        yield self.guidance
        yield self.sentence
        yield self.footer
        yield self.input

    def on_mount(self) -> None:
        """Start the parts."""
        for part in self.parts:
            part.started()

    def on_resize(self, event: events.Resize) -> None:
        """Draw everything for the width there is."""
        for part in self.parts:
            part.resized(event.size.width)
        self.draw_header(event.size.width)
        self.retell()

    def on_screen_resume(self) -> None:
        """Draw what has changed while another screen was shown: notes, tray, theme."""
        for part in self.parts:
            part.resumed()
        self.repaint(self.session.palette)
        self.draw_header(self.size.width)

    def on_screen_suspend(self) -> None:
        """Stop what is of use only while the screen is shown, and drop the sentence about what was done there."""
        self.dispatch.begun.clear()
        for part in self.parts:
            part.suspended()
        if self.said:
            self.tell()

    def on_unmount(self) -> None:
        """End what the parts have begun."""
        for part in self.parts:
            part.ended()

    def draw_header(self, cells: int) -> None:
        """Show the open run in the first line."""
        self.header.show_spotted(header(self.session.run, self.VIEW, cells))

    def repaint(self, palette: Palette) -> None:
        """Draw everything with another palette."""
        if palette == self._painted:
            return
        self._painted = palette
        for widget in self.walk_children(Widget):
            if isinstance(widget, Painted):
                widget.palette = palette
                widget.refresh()

    @property
    def here(self) -> Where:
        """The place with the keys."""
        return next(filter(None, (part.here for part in self.parts)), self.PLACE)

    @property
    def reach(self) -> list[Action]:
        """The actions that keys run now."""
        places = (self.focus_place,) if self.line.typing or self.dispatch.question else (self.here, self.PLACE)
        return within_reach(*places)

    @property
    def focus_place(self) -> Where:
        """The place that the next key goes to."""
        if self.dispatch.question:
            return self.dispatch.question.where
        return self.input.where if self.line.typing else self.here

    def why_not(self, action: Action) -> str:
        """Return why an action does nothing now; empty where it does something."""
        return next((need.value for need in action.needs if not self._met(need)), "")

    def _met(self, need: Need) -> bool:
        tables = (self.needs, *(part.needs for part in self.parts))
        return all(table[need]() for table in tables if need in table)

    def tell(self, said: str = "", role: Role = Role.BOLD) -> None:
        """Draw the bottom line and the help panel: a sentence, which stays until the next key, or else the keys.

        A sentence that is longer than the line, or that is about a text being typed there, stands above it.
        """
        self.said, self._said_in = with_flags(said), role
        self.pointed.forget()
        self._draw_bottom()

    def retell(self) -> None:
        """Draw the bottom line again, with the sentence that stands in it; a token under the mouse takes its place."""
        self.pointed.renew()
        if self.pointed.words and self._said_in is not Role.ERROR:
            self.said = ""
        self._draw_bottom()

    def _draw_bottom(self) -> None:
        said, cells = self.said, self.size.width
        lines = sentence(said, cells, self.size.height // HIGHEST, self._said_in) if said else []
        self.sentence.stand(lines if self.line.typing else lines[:-1])
        listed = [(action, not self.why_not(action)) for action in self.reach]
        if self.line.typing:
            self.line.redraw()
        elif said:
            self.footer.show(lines[-1])
        elif self.pointed.words and not self.dispatch.question:
            self.footer.show(crop(self.pointed.words, cells))
        else:
            hinted = [one for one, does in listed if does and all(part.worth_a_hint(one) for part in self.parts)]
            asked, begun = self.dispatch.question, self.dispatch.begun.typed
            right = asked.what if asked else f"{begun}…" if begun else self.position()
            self.footer.show_spotted(hints(hinted, right, cells))
        if self.keys.display and self.keys.explaining:
            self._explain()
        elif self.keys.display:
            self.keys.show_keys(f"keys {self.focus_place.value}", listed, cells, self.size.height - BESIDE_KEYS)

    def _explain(self) -> None:
        """Explain in the help panel what the cursor is on, and name what else is there."""
        from monosem_tui.pages.explanation_page import explanation_lines, panel_rows
        from monosem_tui.pages.place_terms import Explained, place_terms

        found = self.focused.explained() if isinstance(self.focused, LineView) else Explained()
        others = (*found.others, *place_terms(self.here, *({self.PLACE} - {self.here})))
        hint = "n/N each · " if isinstance(self.focused, SheetView) else ""
        rows = panel_rows(self.size.height)
        self.keys.stand(explanation_lines(found.term, others, self.size.width, rows, hint))

    def complain(self, error: MonosemError) -> None:
        """Show an error, and what to do about it, in the bottom line."""
        self.tell(" · ".join(filter(None, (error.what, error.hint))), Role.ERROR)

    def mention(self, error: MonosemError) -> None:
        """Show an error in the bottom line, without advice."""
        self.tell(error.what, Role.ERROR)

    @contextmanager
    def mentioning(self) -> Iterator[None]:
        """Show an error that is raised inside in the bottom line."""
        try:
            yield
        except MonosemError as error:
            self.mention(error)

    def position(self) -> str:
        """Return where one is, for the end of the bottom line."""
        return next(filter(None, (part.position() for part in self.parts)), "")

    # Keys

    async def take_key(self, event: events.Key) -> bool:
        """Take a key, and return whether it means something here."""
        if self.pointed.words:
            self.tell()
        return await self.dispatch.take(event)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Show the token under the mouse."""
        if not (self.line.typing or self.dispatch.question):
            self.pointed.move(event.widget, event.x, event.y)

    async def on_one_line_clicked(self, message: OneLine.Clicked) -> None:
        """Do what the key of the clicked hint does."""
        await self.dispatch.click(message.action)

    def on_lookup_panel_picked(self) -> None:
        """Take what was clicked."""
        self.line.keep()

    async def run_owned(self, action: Action) -> None:
        """Run an action of its owner: the widget with the focus, a part, the screen or the app."""
        _, name, arguments = actions.parse(action.name)
        method = next(filter(None, (getattr(one, f"action_{name}", None) for one in self.owners)), None)
        if method is not None and isawaitable(found := method(*arguments)):
            await found

    @property
    def owners(self) -> tuple[object, ...]:
        """All that may own an action; the focused widget first, as panes share the names of what moves them."""
        return (self.focused, *self.parts, self, self.app)

    def offer(self, where: Where, what: str, answer: Callable[[Action], object]) -> None:
        """Let the next key choose one of the actions of `where`, which `answer` is given; show `what` it is about."""
        self.dispatch.ask(Question(where, what, answer))

    # Work away from the keys

    def away(
        self,
        work: Callable[[], T],
        take: Callable[[T], object],
        group: str = "",
        fail: Callable[[MonosemError], object] | None = None,
    ) -> None:
        """Run `work` in a thread, and give its result to `take` here.

        Args:
            work: what takes long.
            take: shows the result.
            group: name of work of which the last that was asked for is enough.
            fail: shows the error that the work raises; else the bottom line does.
        """

        def run() -> None:
            try:
                done = partial(take, work())
            except MonosemError as error:
                done = partial(fail or self.mention, error)
            self.post_message(WorkDone(done))

        self.run_worker(run, thread=True, exclusive=bool(group), group=group, exit_on_error=False)

    def on_work_done(self, message: WorkDone) -> None:
        """Show what a thread has found."""
        message.take()

    # Everywhere

    def way_back(self) -> Way | None:
        """Return what escape does: close the help, else what was opened last, else show Browse; None does nothing."""
        if self.keys.display:
            return self._close_help
        for part in self.parts:
            if (way := part.way_back()) is not None:
                return way
        at_home = self.session.run is None or self.VIEW == "browse"
        return None if at_home else lambda: self.post_message(ViewWanted("browse"))

    def action_back(self) -> None:
        """Undo the last thing that was opened."""
        if (way := self.way_back()) is not None:
            way()

    def action_close(self) -> None:
        """Close what stands over something else; quit where nothing does."""
        help_panel = self._close_help if self.keys.display else None
        self.dispatch.close([help_panel, *(part.cover() for part in self.parts)])

    def action_interrupt(self) -> None:
        """Stop what runs; where nothing does, quit at the second time."""
        self.dispatch.interrupt()

    def action_help(self) -> None:
        """Explain what the cursor is on; where that is done, list the keys; where they are, close."""
        self.keys.turn()
        self._tell_panes()

    def _close_help(self) -> None:
        self.keys.display = self.keys.explaining = False
        self._tell_panes()

    def _tell_panes(self) -> None:
        """Let the cursors of panes go to whatever can be explained, or only to what leads somewhere."""
        for pane in self.query(LineView):
            pane.explaining = self.keys.display and self.keys.explaining
        self.tell()

    def action_redraw(self) -> None:
        """Draw the whole screen, as after another program has written on it."""
        self.refresh()
