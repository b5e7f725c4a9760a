"""The first screen: the feature list and the page of the feature under its cursor."""

from __future__ import annotations

from dataclasses import replace

from textual import events, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import Reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from monosem_tui.screens.clipboard import copy
from monosem_tui.screens.ordering import Catalogue, Ordering
from monosem_tui.screens.panes import Panes
from monosem_tui.text.card import FeatureCard, read_card
from monosem_tui.text.heat import default_rendering
from monosem_tui.text.numbers import count
from monosem_tui.text.opened import OpenRun, headline
from monosem_tui.text.page import as_text
from monosem_tui.text.palette import Palette
from monosem_tui.text.safe import printable
from monosem_tui.text.spans import Role, Span, line
from monosem_tui.watch import EVERY, Follower, Grown
from monosem_tui.widgets.actions import Action, Where, at, bindings
from monosem_tui.widgets.feature_list import FeatureList
from monosem_tui.widgets.feature_page import FeaturePage
from monosem_tui.widgets.filter_input import FilterInput, Kind, Typed
from monosem_tui.widgets.keys_panel import KeysPanel
from monosem_tui.widgets.line_view import OneLine, Trouble
from monosem_tui.widgets.status import hints
from store.errors import MonosemError

DEBOUNCE = 0.08
"""Seconds the cursor must rest before the page follows: a held key then costs two rows a step."""
ALWAYS = ("ctrl+z", "ctrl+l", "ctrl+q")
"""Suspend, draw anew and quit: what shells and pagers have taught everyone to expect, even while typing."""


class CardRead(Message):
    """A page has been read, or could not be."""

    def __init__(self, feature: int, card: FeatureCard | MonosemError) -> None:
        super().__init__()
        self.feature, self.card = feature, card


class BrowseScreen(Screen[None]):
    """List left and page right; below 110 cells one of them at a time."""

    AUTO_FOCUS = ""
    BINDINGS = bindings(Where.SCREEN)
    CSS = "BrowseScreen { overflow: hidden; } #panes { height: 1fr; }"

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """As in any screen, but a change of it does not repaint the whole."""

    def __init__(self, run: OpenRun, palette: Palette) -> None:
        super().__init__()
        self.run = run
        self.catalogue = Catalogue(run)
        self.panes = Panes()
        self.header = OneLine(palette)
        self.features = FeatureList(run, palette)
        self.page = FeaturePage(palette, default_rendering(palette.colors))
        self.keys = KeysPanel(palette)
        self.footer = OneLine(palette)
        self.input = FilterInput(palette)
        self._timer: Timer | None = None
        self._reading: int | None = None
        self._said = ""

    def compose(self) -> ComposeResult:
        """Header, panes, keys, bottom line."""
        yield self.header
        with Horizontal(id="panes"):
            yield self.features
            yield self.page
        yield self.keys
        yield self.footer
        yield self.input

    def on_mount(self) -> None:
        """Fill the list, and see whether the index grows."""
        self._show_list(None)
        self._follower = Follower(self.run)
        if not self._follower.over:
            self._looks = self.set_interval(EVERY, self._look)

    def on_resize(self, event: events.Resize) -> None:
        """Choose between one and two panes. A page that comes into sight is read once the list is on the screen."""
        self.header.show(headline(self.run, event.size.width))
        self._show_panes(replace(self.panes, width=event.size.width))
        self.call_after_refresh(self._read_page)

    @property
    def typing(self) -> bool:
        """Whether a filter or a number is being typed."""
        return bool(self.input.display)

    def recolor(self, palette: Palette) -> None:
        """Draw everything with another palette."""
        for part in (self.header, self.features, self.page, self.keys, self.footer, self.input):
            part.palette = palette
            part.refresh()

    # What is on the screen

    def _show_panes(self, panes: Panes) -> None:
        self.panes = panes
        self.features.display, self.page.display = panes.shows("list"), panes.shows("page")
        self.features.styles.width = panes.list_width if panes.split else "1fr"
        self.page.beside = panes.split
        self.features.active, self.page.active = panes.front == "list", panes.front == "page"
        self.set_focus(self.features if panes.front == "list" else self.page)
        self._tell()

    def _show_list(self, feature: int | None) -> None:
        """Show what the catalogue holds, the cursor on `feature` if it is there."""
        catalogue = self.catalogue
        self.features.rearrange(
            catalogue.ids,
            title=catalogue.title(),
            empty=catalogue.nothing(),
            sort=catalogue.ordering.sort,
            descending=catalogue.ordering.descending,
            feature=feature,
        )
        self._tell()

    def _tell(self, said: str = "") -> None:
        """Renew the bottom line: what just happened, or else the keys; and the help panel with it."""
        self._said = said
        here = self.input.where if self.typing else Where.LIST if self.panes.front == "list" else Where.PAGE
        places = (here,) if self.typing else (here, Where.SCREEN)
        actions = [(action, self._does(action)) for action in at(*places)]
        if self.typing:
            found = "unfinished" if self.catalogue.problem else f"{count(len(self.features.order))} found"
            self.input.tell(found if self.input.kind == "/" else "")
        elif said:
            self.footer.show(line(" ", Span(printable(said), Role.BOLD)))
        else:
            hinted = [action for action, does in actions if does and self._worth_a_hint(action)]
            self.footer.show(hints(hinted, self._position(), self.panes.width))
        if self.keys.display:
            self.keys.show(f"keys {here.value}", actions, self.panes.width)

    def _position(self) -> str:
        if self.panes.front == "page":
            last = min(self.page.rows, self.page.first + self.page.room)
            return f"lines {self.page.first + 1}–{last} of {self.page.rows}"
        n = len(self.features.order)
        return f"{count(self.features.cursor + 1)} of {count(n)}" if n else "0 of 0"

    def _does(self, action: Action) -> bool:
        """Whether an action would do something now."""
        if action.where is Where.LIST:
            return len(self.features.order) > 0
        name = action.name.partition("(")[0]
        return "." in name or action.where is not Where.SCREEN or bool(self.check_action(name, ()))

    def _worth_a_hint(self, action: Action) -> bool:
        """Whether its key does what one would look for here."""
        if action.name in ("heat", "log"):
            return self.panes.shows("page")
        if action.name == "step(1)":
            return self.panes.front == "page"
        if action.name in ("sort", "dead", "filter", "goto"):
            return self.panes.front == "list"
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """What a key does now; None leaves it visible but without effect."""
        if action == "zoom":
            return True if self.panes.wide else None
        if action == "back":
            return True if self.keys.display or self.panes.can_go_back or self.catalogue.ordering.text else None
        if action in ("copy", "step", "open"):
            return True if len(self.features.order) else None
        return True

    # The list

    def _order(self, ordering: Ordering, feature: int | None) -> None:
        try:
            self.catalogue.order(ordering)
        except MonosemError as error:
            self.page.complain(error)
            self._tell(error.what)
        else:
            self._show_list(feature)

    def _filter(self, text: str) -> None:
        self._order(replace(self.catalogue.ordering, text=text), self.features.feature)

    def action_sort(self) -> None:
        """By the next column; the cursor stays with its feature."""
        self._order(self.catalogue.ordering.next_sort(), self.features.feature)

    def action_reverse(self) -> None:
        """The other way round."""
        ordering = self.catalogue.ordering
        self._order(replace(ordering, descending=not ordering.descending), self.features.feature)

    def action_dead(self) -> None:
        """Show or hide dead features."""
        ordering = self.catalogue.ordering
        self._order(replace(ordering, dead=not ordering.dead), self.features.feature)
        self._tell(f"{count(self.catalogue.n_dead)} dead features {'hidden' if ordering.dead else 'shown'}")

    def action_step(self, rows: int) -> None:
        """Another feature, from anywhere."""
        self.features.go(self.features.cursor + rows)

    # An index that grows

    @work(thread=True, group="watch", exit_on_error=False)
    def _look(self) -> None:
        if found := self._follower.look():
            self.post_message(found)

    def on_grown(self, message: Grown) -> None:
        """Show the new numbers; order, filter and what the cursor is on stay."""
        if isinstance(message.run, MonosemError) or self._follower.over:
            self._looks.stop()
        if isinstance(message.run, MonosemError):
            self._tell(message.run.what)
            return
        feature, row, first = self.features.feature, self.features.cursor, self.features.first
        ordering, self.run = self.catalogue.ordering, message.run
        self.catalogue = Catalogue(self.run)
        self.features.renew(self.run)
        self.header.show(headline(self.run, self.size.width))
        self._order(ordering, feature)
        if self.features.feature != feature:
            self.features.go(row)
        self.features.jump(self.features.cursor - (row - first))
        if self.page.display and self.page.card is not None and self.page.card.feature == feature:
            self._reading = feature
            self._read(self.page.card.feature)

    # Typing

    def action_filter(self) -> None:
        """Type a filter."""
        self._type("/", self.catalogue.ordering.text)

    def action_goto(self) -> None:
        """Type a number."""
        self._type(":", "")

    def _type(self, kind: Kind, text: str) -> None:
        self._show_panes(replace(self.panes, front="list"))
        self.footer.display = False
        self.input.open(kind, text)
        self._tell()

    def take_key(self, event: events.Key) -> bool:
        """While typing every key goes to the text, none to a command but those of the terminal itself."""
        if self.typing and event.key not in ALWAYS:
            self._typed(self.input.feed(event.key, event.character))
            return True
        if self._said:
            self._tell()
        return False

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text is typed text."""
        if self.typing:
            self._typed(self.input.insert(event.text))

    def _typed(self, what: Typed) -> None:
        kind, text = self.input.kind, self.input.text
        if what is Typed.CHANGED and kind == "/":
            self._filter(text)
        elif what in (Typed.NEXT, Typed.PREVIOUS):
            self.action_step(1 if what is Typed.NEXT else -1)
        elif what in (Typed.KEEP, Typed.LEAVE):
            self.input.close()
            self.footer.display = True
            if kind == "/":
                self._filter(text if what is Typed.KEEP else "")
                if self.catalogue.problem:
                    self._tell(self.catalogue.problem.what)
            elif text and what is Typed.KEEP:
                self._go_to(int(text))
            else:
                self._tell()

    def _go_to(self, feature: int) -> None:
        """Put the cursor on a feature, showing what was filtered away if it must."""
        if feature >= self.run.store.d_sae:
            self._tell(f"there is no feature {feature}: they are 0 to {self.run.store.d_sae - 1}")
            return
        opened = []
        if self.catalogue.ordering.text and feature not in self.catalogue.ids:
            self._filter("")
            opened.append("filter cleared")
        if feature not in self.catalogue.ids:
            self._order(replace(self.catalogue.ordering, dead=True), None)
            opened.append("dead features shown")
        self._show_list(feature)
        self._tell(", ".join(opened))

    # The page

    def on_feature_list_highlighted(self) -> None:
        """The page follows once the cursor rests."""
        self._tell(self._said)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE, self._read_page)

    def on_feature_list_opened(self) -> None:
        """A row was clicked twice."""
        self.action_open()

    def action_open(self) -> None:
        """Go to the page."""
        if self.page.card is None or self.page.card.feature != self.features.feature:
            self.page.say()
        self._show_panes(replace(self.panes, front="page"))
        self._read_page()

    def _read_page(self) -> None:
        """Read the page of the feature under the cursor, if it can be seen."""
        feature = self.features.feature
        if feature is None:
            self.page.say("No feature to show.")
        elif self.page.display and feature not in (self._reading, self.page.card and self.page.card.feature):
            self._reading = feature
            self._read(feature)

    @work(thread=True, exclusive=True, group="page", exit_on_error=False)
    def _read(self, feature: int) -> None:
        try:
            found: FeatureCard | MonosemError = read_card(self.run.store, self.run.notes, feature)
        except MonosemError as error:
            found = error
        self.post_message(CardRead(feature, found))

    def on_card_read(self, message: CardRead) -> None:
        """Show it, unless the cursor has moved on."""
        if message.feature == self._reading:
            self._reading = None
        if message.feature != self.features.feature:
            return
        if isinstance(message.card, MonosemError):
            self.page.complain(message.card)
        else:
            self.page.show(message.card)
        self._tell(self._said)

    def on_feature_page_moved(self) -> None:
        """The bottom line says which lines are on the screen."""
        if self.panes.front == "page":
            self._tell(self._said)

    def on_trouble(self, message: Trouble) -> None:
        """The list could not be read while it was drawn."""
        self.page.complain(message.error)
        self._tell(message.error.what)

    def action_heat(self) -> None:
        """The next way to draw activations."""
        self.page.rendering = self.page.rendering.following()
        self._tell(f"activations as {self.page.rendering.value}")

    def action_log(self) -> None:
        """Linear or logarithmic histogram."""
        self.page.log_counts = not self.page.log_counts
        self._tell(f"histogram of {'log ' if self.page.log_counts else ''}counts")

    def action_copy(self) -> None:
        """Copy the page as text."""
        feature = self.features.feature
        if feature is None:
            return
        try:
            card = read_card(self.run.store, self.run.notes, feature)
            self._tell(copy(as_text(card), self.app.copy_to_clipboard))
        except MonosemError as error:
            self._tell(error.what)

    # Panes

    def action_switch(self) -> None:
        """To the other pane."""
        if self.panes.front == "page":
            self._show_panes(replace(self.panes, front="list"))
        else:
            self.action_open()

    def action_zoom(self) -> None:
        """One pane alone, or both again."""
        self._show_panes(self.panes.zoom())
        self._read_page()

    def action_back(self) -> None:
        """Undo the last thing that was opened: help, a page, a zoom, a filter."""
        if self.keys.display:
            self.action_help()
        elif self.panes.can_go_back:
            self._show_panes(self.panes.back())
            self._read_page()
        elif self.catalogue.ordering.text:
            self._filter("")

    def action_help(self) -> None:
        """Show or hide the keys."""
        self.keys.display = not self.keys.display
        self._tell()

    def action_redraw(self) -> None:
        """Draw the whole screen, as after another program has written on it."""
        self.refresh()

    def action_theme(self) -> None:
        """For a dark or a light terminal."""
        palette = self.features.palette
        self.recolor(replace(palette, dark=not palette.dark))
        self._tell(f"colours for a {'light' if palette.dark else 'dark'} terminal")
