"""The filter that lights features up, typed or drawn as a box; and the way with it to Browse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monosem_tui.draw.numbers import count
from monosem_tui.keys.actions import Need
from monosem_tui.model.map_names import cluster_words
from monosem_tui.pages.map_page import Place
from monosem_tui.screens.map.crosshair import MapCrosshair
from monosem_tui.screens.map.picture import MapPicture
from monosem_tui.screens.map.state import MapState
from monosem_tui.screens.part import ScreenPart, Way
from monosem_tui.screens.session import FilterWanted
from monosem_tui.widgets.line_input import Typed
from store.files.errors import MonosemError
from store.query.filter_parser import parse_filter
from store.query.filters import FilterSource

if TYPE_CHECKING:
    from monosem_tui.pages.typing_hints import Guide


class MapFilter(ScreenPart):
    """Lights features up."""

    def __init__(self, state: MapState, picture: MapPicture, crosshair: MapCrosshair) -> None:
        self._state, self._host, self._picture, self._crosshair = state, state.host, picture, crosshair
        run = state.run
        self._source = FilterSource(run.store, run.notes, run.explanations)
        self.text = ""
        self._before = ""
        self._problem: MonosemError | None = None
        self.needs = {Need.LIT: lambda: state.lit_F is not None and len(state.features) > 0}

    def light(self, text: str) -> None:
        """Light up what passes a filter; one that cannot be read changes nothing, and is kept as the problem."""
        state, self._problem = self._state, None
        try:
            wanted = parse_filter(text)
            if wanted.filters:
                lit_F = np.zeros(state.run.store.d_sae, bool)
                lit_F[wanted.keep(self._source, np.arange(len(lit_F), dtype=np.int64))] = True
                state.lit_F = lit_F
            else:
                state.lit_F = None
        except MonosemError as error:
            self._problem = error
            return
        self.text = self._picture.filter_text = text
        self._picture.redraw()
        self._crosshair.settle()

    # Typing

    def action_filter(self) -> None:
        """Type a filter."""
        self._before, self._problem = self.text, None
        self._host.line.open("/", self.text, self._typed, self._finds, guide=self._guide())

    def _guide(self) -> Guide:
        """Return the hints of filters of this run."""
        from monosem_tui.pages.filter_hints import filter_hints
        from monosem_tui.pages.filter_words import filter_words
        from monosem_tui.pages.typing_hints import Guide

        words = filter_words(self._state.run, self._state.marks.nearest)
        return Guide(lambda text, at: filter_hints(text, at, words, self._problem))

    def _finds(self) -> str:
        return "" if self._problem else f"{count(len(self._state.features))} lit"

    def _typed(self, typed: Typed) -> None:
        if typed is Typed.CHANGED:
            self.light(self._host.input.text)
        elif typed is Typed.KEEP and self._problem:
            self._host.line.reject(self._problem)
        elif typed in (Typed.KEEP, Typed.LEAVE):
            text = self._host.line.close()
            self.light(text if typed is Typed.KEEP else self._before)
            self._host.tell()
            if typed is Typed.KEEP and self._state.lit_F is not None and not len(self._state.features):
                self._host.tell("nothing here passes the filter")

    # Boxes and clusters

    def action_box(self) -> None:
        """Begin a box at the crosshair, or leave it."""
        state = self._state
        corner = None if state.selecting else state.marks.cursor
        state.marks = replace(state.marks, corner=corner)
        self._picture.redraw_marks()
        self._host.tell()

    def action_keep_box(self) -> None:
        """Light up what is in the box."""
        corner = self._state.marks.corner
        if corner is not None:
            self.take_box(corner, self._state.marks.cursor)

    def drag(self, first: Place, last: Place) -> None:
        """Show the box that the mouse draws."""
        self._state.marks = replace(self._state.marks, corner=first, cursor=last)
        self._picture.redraw_marks()
        self._host.retell()

    def take_box(self, first: Place, last: Place) -> None:
        """Light up what is in a box, and of that only what was lit before."""
        state = self._state
        state.marks = replace(state.marks, corner=None)
        box = state.window.box_of(first, last)
        self._add(state.shown.filter_of(box), lambda: f"{count(len(state.features))} features in the box")

    def action_grow(self) -> None:
        """Light up the cluster of the crosshair's feature; again, the next coarser one."""
        state, found = self._state, self._state.shown.map
        feature = state.marks.nearest
        if found is None or feature is None:
            return
        at = int(np.searchsorted(found.feature_N, feature))
        levels = [f"in:{state.shown.name}#{level}.{found.cluster_LN[level, at]}" for level in range(found.levels)]
        now = self.text.split(" ")[-1]
        level = levels.index(now) - 1 if now in levels else found.levels - 1
        if level < 0:
            self._host.tell("this is the coarsest cluster")
            return
        kept = self.text.removesuffix(now).strip() if now in levels else self.text
        words = cluster_words(found, level, int(found.cluster_LN[level, at]))
        self.light(f"{kept} {levels[level]}".strip())
        self._host.tell(f"cluster {levels[level].partition('#')[2]}: {words} · a lists them")

    def _add(self, term: str, said: Callable[[], str]) -> None:
        self.light(f"{self.text} {term}".strip())
        if self._problem is not None:
            self._host.mention(self._problem)
        else:
            self._host.tell(f"{said()} · a lists them in Browse, esc lights all")

    # Away

    def action_all(self) -> None:
        """Show what is lit in Browse, by the same filter."""
        self._host.post_message(FilterWanted(self.text))

    def way_back(self) -> Way | None:
        """Leave the box, then the filter."""
        if self._state.selecting:
            return self.action_box
        return (lambda: self.light("")) if self.text else None
