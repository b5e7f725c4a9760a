"""A document with a feature's activations on it; more of it is requested as one comes near an end."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from textual.message import Message

from monosem_tui.draw.heat import Rendering
from monosem_tui.draw.numbers import activation, count
from monosem_tui.draw.palette import Palette
from monosem_tui.draw.safe_text import cut
from monosem_tui.draw.spans import Line, Role, Span, line, rule_span, ruled, text_of, width_of
from monosem_tui.pages.passage import Running
from monosem_tui.widgets.scroll_view import FORK, LEAST, ScrolledView

if TYPE_CHECKING:
    from monosem_tui.model.document import Stretch, Whole

LEAST_TITLE = 16
"""Cells that a feature's name keeps."""
NEAR = 2
"""Screens from an end at which more is requested."""


class LaidStretch(NamedTuple):
    """A stretch in lines."""

    running: Running
    lines: list[Line]
    places: list[int]
    """For each line the place that its row begins with."""


class DocumentView(ScrolledView):
    """The stretches read so far, laid out for the width there is."""

    @dataclass
    class MoreWanted(Message):
        """Text before the first or after the last line is needed."""

        place: int
        before: bool

    @dataclass
    class PlaceWanted(Message):
        """Text around a place far from what has been read is needed."""

        place: int

    @dataclass
    class Ended(Message):
        """No token fires further on."""

        said: str

    def __init__(self, palette: Palette, rendering: Rendering) -> None:
        super().__init__(palette)
        self.rendering = rendering
        self.whole: Whole | None = None
        """The document that is shown."""
        self.place = 0
        """Corpus place of the firing token that was chosen last, at first the one that the document was opened at."""
        self._fires_N: NDArray[np.int64] = np.empty(0, np.int64)
        self._title = ""
        self._stretches: list[Stretch] = []
        self._lines: list[Line] = []
        self._places: list[int] = []
        self._laid: dict[int, LaidStretch] = {}
        self._laid_for: tuple[Whole, int, Rendering] | None = None
        self._centred = False
        self._asked: set[tuple[int, bool]] = set()

    @property
    def places(self) -> tuple[int, int]:
        """Half-open range of the document's places on the screen, counted from 0."""
        if self.whole is None or not self._lines:
            return 0, 0
        end = self.first + self.room
        last = self._places[end] if end < len(self._places) else self._stretches[-1].stop
        return self._places[min(self.first, len(self._places) - 1)] - self.whole.start, last - self.whole.start

    def show(self, whole: Whole, title: str, stretch: Stretch, fires_N: NDArray[np.int64]) -> None:
        """Show a document at its peak.

        Args:
            whole: the document.
            title: names the feature.
            stretch: the text around the peak.
            fires_N: corpus places at which the feature fires, ascending.
        """
        self.whole, self.place, self._title, self._fires_N = whole, whole.place, title, fires_N
        self._laid_for = None
        self.show_around(whole, stretch)

    def show_around(self, whole: Whole, stretch: Stretch) -> None:
        """Show another part of the document, with the chosen token."""
        if whole is self.whole and stretch.holds(self.place):
            self._stretches = [stretch]
            self._asked.clear()
            self._places, self._centred = [], False
            self.lay_out()

    def position(self) -> str:
        """Return which firing token was chosen, and which tokens are on the screen."""
        whole, (first, last) = self.whole, self.places
        if whole is None:
            return ""
        seen = f"{whole.noun.many} {count(first + 1)}–{count(last)}"
        if self._sees_chosen and self._fires:
            return f"firing {count(self._number + 1)} of {count(len(self._fires_N))} · {seen}"
        return f"{seen} of {count(whole.stop - whole.start)}"

    def as_text(self) -> str:
        """Return what has been read of it, as plain text below its title."""
        return "".join(text_of(spans).rstrip() + "\n" for spans in [line(self._title), (), *self._lines])

    def add(self, whole: Whole, stretch: Stretch) -> None:
        """Add more of the document; the text on the screen stays where it is."""
        if whole is not self.whole:
            return
        if stretch.stop == self._stretches[0].start:
            self._stretches.insert(0, stretch)
        elif stretch.start == self._stretches[-1].stop:
            self._stretches.append(stretch)
        self.lay_out()

    def lay_out(self) -> None:
        """Lay out again, with the same text at the top of the screen."""
        whole = self.whole
        if whole is None or not self.display:
            return
        top = self._places[min(self.first, len(self._places) - 1)] if self._places else whole.start
        cells = max(LEAST, self.size.width - width_of(self.blank()) - 1)
        if self._laid_for != (whole, cells, self.rendering):
            self._laid, self._laid_for = {}, (whole, cells, self.rendering)
        self._lines, self._places = [], []
        for stretch in self._stretches:
            if stretch.start not in self._laid:
                self._laid[stretch.start] = self._laid_out(whole, stretch, cells)
            laid = self._laid[stretch.start]
            self._lines += laid.lines
            self._places += laid.places
        self.rows = len(self._lines)
        if self._centred:
            self.jump(self._row_of(top))
        elif self.size.height:  # it has none before it is first on the screen
            self._centred = True
            self.jump(self._row_of(self.place) - self.room * 2 // 5)
        self.refresh()
        self._ask()
        self.post_message(self.Moved())

    def _laid_out(self, whole: Whole, stretch: Stretch, cells: int) -> LaidStretch:
        """Return a stretch's lines."""
        running = Running(stretch.example(self.place), whole.top, self.rendering, cells, newlines=True)
        lines: list[Line] = []
        places: list[int] = []
        for number, token in enumerate(running.tokens):
            drawn = running.lines(number)
            lines += drawn
            places += [stretch.start + token] * len(drawn)
        return LaidStretch(running, lines, places)

    # The firing token that is chosen

    @property
    def _number(self) -> int:
        """The number of the chosen token among those that fire, counted from 0."""
        return int(np.searchsorted(self._fires_N, self.place))

    @property
    def _fires(self) -> bool:
        """Whether the feature fires on the chosen token: a document may be opened at another one."""
        number = self._number
        return number < len(self._fires_N) and int(self._fires_N[number]) == self.place

    @property
    def _sees_chosen(self) -> bool:
        first, last = self.places
        return self.whole is not None and first <= self.place - self.whole.start < last

    @property
    def _has_chosen(self) -> bool:
        """Whether the text around the chosen token has been read."""
        return any(stretch.holds(self.place) for stretch in self._stretches)

    def action_choose(self, step: int) -> None:
        """Go to the next token that fires, or the one before; from the top of the screen where none is in sight."""
        whole, n = self.whole, len(self._fires_N)
        if whole is None or not n:
            return
        if self._sees_chosen or not self._has_chosen:
            number = self._number - (step > 0 and not self._fires)
        else:
            number = int(np.searchsorted(self._fires_N, self.places[0] + whole.start)) - (step > 0)
        wanted = max(0, min(number + step, n - 1))
        if wanted != number + step:
            said = f"the {'last' if step > 0 else 'first'} of {count(n)} firing {whole.noun.many} in {whole.name}"
            self.post_message(self.Ended(said))
        self._go_to(int(self._fires_N[wanted]))

    def _go_to(self, place: int) -> None:
        """Choose a place, and scroll there if it is not in sight."""
        changed = {self.place, place}
        self.place = place
        for stretch in self._stretches:
            if any(map(stretch.holds, changed)):
                self._laid.pop(stretch.start, None)
        if not self._has_chosen:
            self.post_message(self.PlaceWanted(place))
            return
        self.lay_out()
        if not self._sees_chosen:
            self.jump(self._row_of(place) - self.room * 2 // 5)

    def _row_of(self, place: int) -> int:
        """Return the first line of the row that a place stands on."""
        row = max(0, bisect_right(self._places, place) - 1)
        return bisect_left(self._places, self._places[row])

    def action_entry(self, number: int) -> None:
        """Go to a token by its number in the document, counted from 1, as far as the text has been read."""
        if self.whole is not None and self._places:
            self.jump(self._row_of(self.whole.start + number - 1))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Request more text if an end is near."""
        super().watch_scroll_y(old_value, new_value)
        self._ask()

    def resized(self) -> None:
        """Lay out for the new width."""
        self.lay_out()

    def _ask(self) -> None:
        whole = self.whole
        if whole is None or not self._stretches:
            return
        start, stop = self._stretches[0].start, self._stretches[-1].stop
        if start > whole.start and self.first < NEAR * self.room:
            self._want(start, before=True)
        if stop < whole.stop and self.first + (NEAR + 1) * self.room > self.rows:
            self._want(stop, before=False)

    def _want(self, place: int, *, before: bool) -> None:
        if (place, before) not in self._asked:
            self._asked.add((place, before))
            self.post_message(self.MoreWanted(place, before=before))

    def token_words(self, x: int, y: int) -> Line:
        """Return the token at a cell, with its number in the document and the feature's activation there."""
        from monosem_tui.pages.token_words import FiringOnToken, token_line  # the first screen is there sooner

        whole, row = self.whole, y - self.HEAD + self.first
        if whole is None or y < self.HEAD:
            return ()
        for stretch in self._stretches:
            laid = self._laid.get(stretch.start)
            if laid is None:
                return ()
            if row < len(laid.lines):
                token = laid.running.token_at(row // laid.running.height, x - width_of(self.blank()))
                if token is None:
                    return ()
                fires = FiringOnToken(whole.feature, float(stretch.act_T[token]), whole.top)
                number = stretch.start + token - whole.start
                return token_line(stretch.tokens[token], [fires], number=number, noun=whole.noun.one)
            row -= len(laid.lines)
        return ()

    def head(self, _y: int) -> Line:
        """Return the rule with feature, document and maximum."""
        cells, start = self.size.width, FORK if self.beside else ""
        if self.whole is None:
            return ruled(line(Span(start, Role.DIM)), cells, focused=self.active)
        whole = self.whole
        said = f" · {whole.name} · {count(whole.stop - whole.start)} {whole.noun.many} · max {activation(whole.top)} "
        name = cut(self._title, max(LEAST_TITLE, cells - len(start) - 2 - len(said)))
        title = Span(name, Role.ACCENT if self.active else Role.PLAIN)
        left = line(Span(start, Role.DIM), rule_span(1, focused=self.active), " ", title, said)
        return ruled(left, cells, focused=self.active)

    def row(self, number: int) -> Line:
        """Return one line."""
        return line(*self.blank(), *self._lines[number])
