"""The session that the screens share, and the messages in which they ask the app for something."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message

from monosem_tui.draw.palette import Palette
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.session_state import Memory
from monosem_tui.screens.catalogue import Selection

if TYPE_CHECKING:
    from monosem_tui.live.tray import Tray


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

    attach: Path | None = None
    """Socket of a model's process that outlives the terminal; None starts a process of our own."""

    tray: Tray | None = None
    """Clamps of the open run; None until they are first needed."""

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

    @property
    def folder(self) -> Path | None:
        """The open run's folder, or the features.h5 opened by itself; None where nothing is open."""
        return self.run.path if self.run else None


class ViewWanted(Message):
    """Another screen is to be shown."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class RunChosen(Message):
    """A run is to be opened."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path


class FeatureWanted(Message):
    """Browse is to show one feature's page."""

    def __init__(self, feature: int) -> None:
        super().__init__()
        self.feature = feature


class DocumentWanted(Message):
    """Live is to show the document that holds a place of the corpus through all features."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place


class FeaturesChosen(Message):
    """Browse is to show these features, the cursor on one of them, or its page; escape goes back from there."""

    def __init__(self, selection: Selection, feature: int | None = None, *, page: bool = False) -> None:
        super().__init__()
        self.selection, self.feature, self.page = selection, feature, page
