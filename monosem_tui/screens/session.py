"""The session that the screens share, and the messages in which they ask the app for something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from textual.message import Message

from monosem_tui.draw.numbers import activation
from monosem_tui.draw.palette import Palette
from monosem_tui.model.example_choice import CUTS, Cuts
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.session_state import Memory
from monosem_tui.screens.catalogue import Selection

if TYPE_CHECKING:
    from monosem_tui.live.tray import Tray
    from monosem_tui.model.lookup_sources import LookupCatalogue


@dataclass(frozen=True)
class Tuning:
    """Seconds and amounts that suit a person at a terminal."""

    rest: float = 0.08
    """Time the cursor must rest before the page follows: a held key then costs two rows a step."""
    pause: float = 0.35
    """Time that a key such as a digit is held back, as another may make it longer; 0 runs it at once."""
    keep: float = 2.0
    """Time without a key after which the session state is written."""
    notes: float = 2.0
    """Time between two looks at whether notes.jsonl has grown: each is one `stat`."""
    index: float = 2.0
    """Time between two looks at an index that grows: a segment takes longer, and a look costs two calls of `stat`."""
    training: float = 1.0
    """Time between two looks at all runs while one is in training."""
    no_training: float = 3.0
    """The same while none is."""
    comparisons: float = 3.0
    """Time between two looks at comparisons with the open run: each lists the folders of the runs."""
    health: float = 2.0
    """Time between two looks at the one run that is open, while it is in training."""
    seconds: float = 1.0
    """Time between two looks at how long one has waited for work that takes a while."""
    answers: int = 8
    """Answers to patterns that are kept in memory."""
    patterns: int = 100
    """Patterns that are kept for the next time."""
    cuts: Cuts = CUTS


@dataclass(frozen=True)
class SearchScores:
    """How well features did in the last search of Find."""

    pattern: str
    """The pattern that was searched for; printable."""
    f1: Mapping[int, float]
    """F1 by feature, of those that were ranked."""

    def f1_of(self, d_sae: int) -> NDArray[np.float64]:
        """Return F1 by feature [d_sae]; NaN for those that were not ranked."""
        found_F = np.full(d_sae, np.nan)
        for feature, f1 in self.f1.items():
            found_F[feature] = f1
        return found_F


@dataclass
class Session:
    """One session at the terminal. A screen reads it whenever it draws."""

    run: OpenRun | None
    """The open run; None while only the list of runs is shown."""
    root: Path
    """The folder of the runs."""
    palette: Palette
    memory: Memory = field(default_factory=Memory)
    """The session state kept of the open run's store."""
    theme_said: bool = False
    """Whether the command line or the environment named the theme, so that the kept one is passed over."""

    followed: Path | None = None
    """Folder of a run at work that has no index yet: its training is shown first."""

    attach: Path | None = None
    """Socket of a model's process that outlives the terminal; None starts a process of our own."""

    found: SearchScores | None = None
    """The answer of Find's last search in this run; None before the first."""

    tray: Tray | None = None
    """Clamps of the open run; None until they are first needed."""

    lookup: LookupCatalogue | None = None
    """The things to look up by their words; None until that is first done."""

    tuning: Tuning = Tuning()

    @property
    def opened(self) -> OpenRun:
        """The open run, for screens that cannot be without one."""
        if self.run is None:
            raise ValueError("no run is open")
        return self.run

    @property
    def clamps(self) -> Tray:
        """The tray of clamps; when first needed, as the last session left it."""
        if self.tray is None:
            from monosem_tui.live.tray import Tray

            self.tray = Tray.read(self.memory.live.clamps)
        return self.tray

    def maximum(self, feature: int) -> float | None:
        """Return a feature's maximum over the index; None where there is no such feature."""
        run = self.run
        return float(run.store.columns.max_F[feature]) if run and 0 <= feature < run.store.d_sae else None

    def offer(self, feature: int) -> str:
        """Put a feature into the tray, unless it is there; return a sentence about it.

        Raises:
            MonosemError: its maximum cannot be read.
        """
        clamp, fresh = self.clamps.offer(feature, self.maximum)
        most = self.maximum(feature)
        known = f"; its maximum is {activation(most)}" if clamp.mode == "max" and most else ""
        return f"{feature} {'into' if fresh else 'is in'} the tray: {clamp.in_words()}{known}"

    @property
    def folder(self) -> Path | None:
        """The open run's folder, or the features.h5 opened by itself; None where nothing is open."""
        return self.run.path if self.run else None


@dataclass
class ViewWanted(Message):
    """Another screen is to be shown."""

    name: str


@dataclass
class RunChosen(Message):
    """A run is to be opened."""

    path: Path


@dataclass
class FeatureWanted(Message):
    """Browse is to show one feature's page."""

    feature: int


@dataclass
class FilterWanted(Message):
    """Browse is to list the features that pass a filter."""

    text: str


@dataclass
class DocumentWanted(Message):
    """Live is to show the document that holds a place of the corpus through all features, the cursor on one of them."""

    place: int
    feature: int


@dataclass
class TextWanted(Message):
    """Live is to show a text through all features, painted by one of them."""

    text: str
    feature: int


@dataclass
class PlaceWanted(Message):
    """Browse is to show the document that holds a place of the corpus, coloured by the feature under its cursor."""

    place: int


@dataclass
class RecipeWanted(Message):
    """Live is to show the kept recipes, the cursor on one of them."""

    name: str


@dataclass
class PartnersWanted(Message):
    """Compare is to show the partners of one feature in other runs; escape goes back from there."""

    feature: int
    origin: str
    """The screen that asks."""


@dataclass
class FeaturesChosen(Message):
    """Browse is to show these features, the cursor on one of them, or its page; escape goes back from there."""

    selection: Selection
    feature: int | None = None
    page: bool = False
