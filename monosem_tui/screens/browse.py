"""The first screen: the feature list and the page of the feature under its cursor."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Literal

from textual import work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.reactive import Reactive
from textual.screen import Screen
from textual.timer import Timer
from textual.widget import Widget

from monosem_tui.screens import clipboard
from monosem_tui.screens.ordering import Ordering, filtered, nothing, sorted_ids, title
from monosem_tui.text.card import FeatureCard, read_card
from monosem_tui.text.heat import default_rendering
from monosem_tui.text.numbers import count
from monosem_tui.text.opened import OpenRun, headline
from monosem_tui.text.page import as_text
from monosem_tui.text.palette import Palette
from monosem_tui.text.safe import printable
from monosem_tui.text.spans import Role, Span, line
from monosem_tui.widgets.actions import Action, Where, at, bindings
from monosem_tui.widgets.feature_list import FeatureList
from monosem_tui.widgets.feature_page import FeaturePage
from monosem_tui.widgets.keys_panel import KeysPanel
from monosem_tui.widgets.line_view import OneLine, Trouble
from monosem_tui.widgets.status import FilterInput, hints
from store.errors import MonosemError
from store.query import Ids

WIDE = 110
"""Cells from which list and page stand side by side."""
DEBOUNCE = 0.08
"""Seconds the cursor must rest before the page follows: a held key then costs two rows a step."""

Pane = Literal["list", "page"]


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
        self.header = OneLine(palette)
        self.features = FeatureList(run, palette)
        self.page = FeaturePage(palette, default_rendering(palette.colors))
        self.keys = KeysPanel(palette)
        self.footer = OneLine(palette)
        self.input = FilterInput(palette)
        self.ordering = Ordering()
        self.front: Pane = "list"
        self.zoomed: Pane | None = None
        """The pane that was given the whole width; the other may be opened over it."""
        self._ids = sorted_ids(run, self.ordering)
        self._matches: tuple[str, Ids] = ("", self._ids)
        self._timer: Timer | None = None

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
        """Show the list; its first page is read once the list is on the screen."""
        self._arrange(None)
        self._show_panes()
        self.call_after_refresh(self._read_page)

    def on_resize(self) -> None:
        """Choose between one and two panes."""
        self.header.show(headline(self.run, self.size.width))
        self._show_panes()

    @property
    def split(self) -> bool:
        """Whether both panes are on the screen."""
        return self.size.width >= WIDE and self.zoomed is None

    @property
    def typing(self) -> bool:
        """Whether a filter or a number is being typed."""
        return bool(self.input.display)

    def recolor(self, palette: Palette) -> None:
        """Draw everything with another palette."""
        parts = (self.header, self.features, self.page, self.keys, self.footer, self.input.prompt, self.input.reply)
        for part in parts:
            part.palette = palette
            part.refresh()

    # What is shown

    def _show_panes(self) -> None:
        split = self.split
        self.features.display = split or self.front == "list"
        self.page.display = split or self.front == "page"
        self.features.styles.width = min(72, self.size.width * 2 // 5) if split else "1fr"
        self.page.beside = split
        self.features.active = self.front == "list"
        self.page.active = self.front == "page"
        if not self.typing:
            self.set_focus(self.features if self.front == "list" else self.page)
        self._tell()

    def _tell(self, said: str = "") -> None:
        """Renew the bottom line: what just happened, or else the keys; and the help panel with it."""
        here = Where.INPUT if self.typing else Where.LIST if self.front == "list" else Where.PAGE
        actions = [(action, self._does(action)) for action in at(*{here, *([] if self.typing else [Where.SCREEN])})]
        if self.typing:
            found = f"{count(len(self.features.order))} found" if self.input.kind == "/" else ""
            self.input.tell(said or found)
        elif said:
            self.footer.show(line(" ", Span(printable(said), Role.BOLD)))
        else:
            hinted = [action for action, does in actions if does and self._worth_a_hint(action)]
            self.footer.show(hints(hinted, self._position(), self.size.width))
        if self.keys.display:
            self.keys.show(f"keys {here.value}", actions, self.size.width)

    def _position(self) -> str:
        if self.front == "page":
            last = min(self.page.rows, self.page.first + self.page.room)
            return f"lines {self.page.first + 1}–{last} of {self.page.rows}"
        n = len(self.features.order)
        return f"{count(self.features.cursor + 1)} of {count(n)}" if n else "0 of 0"

    def _does(self, action: Action) -> bool:
        name = action.name.partition("(")[0]
        return "." in name or action.where is not Where.SCREEN or bool(self.check_action(name, ()))

    def _worth_a_hint(self, action: Action) -> bool:
        """Whether its key does what one would look for here."""
        if action.name in ("heat", "log"):
            return bool(self.page.display)
        if action.name == "step(1)":
            return self.front == "page"
        if action.name in ("sort", "dead", "filter", "goto"):
            return self.front == "list"
        return True

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """What a key does now; None leaves it visible but without effect."""
        if self.typing and action in {a.name.partition("(")[0] for a in at(Where.SCREEN)} - {"step"}:
            return False
        if action == "zoom":
            return True if self.size.width >= WIDE else None
        if action == "back":
            return True if self._can_go_back() else None
        if action in ("copy", "step"):
            return True if len(self.features.order) else None
        return True

    def _can_go_back(self) -> bool:
        return bool(self.keys.display or self.zoomed or self.front == "page" or self.ordering.text)

    # The list

    def _arrange(self, feature: int | None) -> None:
        """Show what the ordering asks for, the cursor on `feature` if it is there."""
        text = self.ordering.text
        known, ids = self._matches
        try:
            # What matches a longer text is among what matches its beginning.
            found = filtered(self.run, ids if text.startswith(known) else self._ids, text)
        except MonosemError as error:
            self.page.complain(error)
            found = self._ids
        self._matches = (text, found)
        self.features.rearrange(
            found,
            title=title(self.run, self.ordering, len(found)),
            empty=nothing(self.run, self.ordering),
            sort=self.ordering.sort,
            descending=self.ordering.descending,
            feature=feature,
        )
        self._tell()

    def _reorder(self, ordering: Ordering, feature: int | None) -> None:
        self.ordering = ordering
        self._ids = sorted_ids(self.run, ordering)
        self._matches = ("", self._ids)
        self._arrange(feature)

    def _filter(self, text: str) -> None:
        self.ordering = replace(self.ordering, text=text)
        self._arrange(self.features.feature)

    def action_sort(self) -> None:
        """By the next column; the cursor stays with its feature."""
        self._reorder(self.ordering.next_sort(), self.features.feature)

    def action_reverse(self) -> None:
        """The other way round."""
        self._reorder(replace(self.ordering, descending=not self.ordering.descending), self.features.feature)

    def action_dead(self) -> None:
        """Show or hide dead features."""
        self._reorder(replace(self.ordering, dead=not self.ordering.dead), self.features.feature)
        dead = int((self.run.store.columns.count_F == 0).sum())
        self._tell(f"{count(dead)} dead features {'shown' if self.ordering.dead else 'hidden'}")

    def action_step(self, rows: int) -> None:
        """Another feature, from anywhere."""
        self.features.go(self.features.cursor + rows)

    # Typing

    def action_filter(self) -> None:
        """Type a filter."""
        self._type("/", self.ordering.text)

    def action_goto(self) -> None:
        """Type a number."""
        self._type(":", "")

    def _type(self, kind: Literal["/", ":"], text: str) -> None:
        self._open_list()
        self.footer.display = False
        self.input.open(kind, text)
        self._tell()

    def _stop_typing(self) -> None:
        self.input.close()
        self.footer.display = True
        self._show_panes()

    def on_filter_input_changed(self, message: FilterInput.Changed) -> None:
        """Each letter narrows the list."""
        if message.kind == "/" and self.typing:
            self._filter(message.text)

    def on_filter_input_kept(self, message: FilterInput.Kept) -> None:
        """Enter keeps the filter, or goes to the number."""
        self._stop_typing()
        if message.kind == "/":
            self._filter(message.text)
        elif message.text:
            self._go_to(int(message.text))

    def on_filter_input_left(self, message: FilterInput.Left) -> None:
        """Escape clears the filter."""
        self._stop_typing()
        if message.kind == "/":
            self._filter("")

    def _go_to(self, feature: int) -> None:
        """Put the cursor on a feature, showing what was filtered away if it must."""
        if feature >= self.run.store.d_sae:
            self._tell(f"there is no feature {feature}: they are 0 to {self.run.store.d_sae - 1}")
            return
        opened = []
        if self.ordering.text and feature not in self.features.order:
            self._filter("")
            opened.append("filter cleared")
        if feature not in self.features.order:
            self._reorder(replace(self.ordering, dead=True), None)
            opened.append("dead features shown")
        self._arrange(feature)
        self._tell(", ".join(opened))

    # The page

    def on_feature_list_highlighted(self) -> None:
        """The page follows once the cursor rests."""
        self._tell()
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(DEBOUNCE, self._read_page)

    def on_feature_list_opened(self) -> None:
        """Go to the page."""
        self.front = "page"
        if self.page.card is None or self.page.card.feature != self.features.feature:
            self.page.say()
        self._show_panes()
        self._read_page()

    def _read_page(self) -> None:
        """Read the page of the feature under the cursor, if it can be seen."""
        feature = self.features.feature
        if feature is None:
            self.page.say("No feature to show.")
        elif self.page.display and (self.page.card is None or self.page.card.feature != feature):
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
        if message.feature != self.features.feature:
            return
        if isinstance(message.card, MonosemError):
            self.page.complain(message.card)
        else:
            self.page.show(message.card)
        self._tell()

    def on_feature_page_moved(self) -> None:
        """The bottom line says which lines are on the screen."""
        if self.front == "page":
            self._tell()

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
        """Copy the page: to the terminal's clipboard, and to a file in any case."""
        feature = self.features.feature
        if feature is None:
            return
        try:
            text = as_text(read_card(self.run.store, self.run.notes, feature))
            path = clipboard.home_relative(clipboard.keep(text))
        except MonosemError as error:
            self._tell(error.what)
            return
        if not clipboard.fits_terminal(text):
            self._tell(f"too large for a terminal's clipboard; it is in {path}")
            return
        self.app.copy_to_clipboard(text)
        tmux = " (tmux needs: set -g set-clipboard on)" if os.environ.get("TMUX") else ""
        self._tell(f"feature {feature} copied to the clipboard and {path}{tmux}")

    # Panes

    def _open_list(self) -> None:
        self.front = "list"
        self._show_panes()

    def action_switch(self) -> None:
        """To the other pane."""
        if self.front == "page":
            self._open_list()
        else:
            self.features.action_open()

    def action_zoom(self) -> None:
        """One pane alone, or both again."""
        self.zoomed = None if self.zoomed else self.front
        self._show_panes()
        self._read_page()

    def action_back(self) -> None:
        """Undo the last thing that was opened: help, a page, a zoom, a filter."""
        if self.keys.display:
            self.action_help()
        elif self.zoomed and self.front == self.zoomed:
            self.action_zoom()
        elif self.front == "page":
            self._open_list()
        elif self.zoomed:
            self.action_zoom()
        elif self.ordering.text:
            self._filter("")

    def action_help(self) -> None:
        """Show or hide the keys."""
        self.keys.display = not self.keys.display
        self._tell()

    def action_theme(self) -> None:
        """For a dark or a light terminal."""
        palette = self.features.palette
        self.recolor(replace(palette, dark=not palette.dark))
        self._tell(f"colours for a {'light' if palette.dark else 'dark'} terminal")
