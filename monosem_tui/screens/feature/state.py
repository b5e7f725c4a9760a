"""State shared by the parts of the feature pane: the run, the three widgets, and the feature of the page."""

from __future__ import annotations

from monosem_tui.draw.heat import default_rendering
from monosem_tui.model.example_choice import sound
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.trail import Trail
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.feature.layout import Panes
from monosem_tui.widgets.document_view import DocumentView
from monosem_tui.widgets.feature_list import FeatureList
from monosem_tui.widgets.feature_page import FeaturePage


class PaneState:
    """State without keys of its own: each part changes what it is named after."""

    def __init__(self, host: MonosemScreen, run: OpenRun, listing: FeatureList, wider: int) -> None:
        palette, kept = host.session.palette, host.session.memory.examples
        self.host, self.run, self.listing = host, run, listing
        self.page = FeaturePage(palette, default_rendering(palette.used))
        self.document = DocumentView(palette, self.page.rendering)
        self.document.display = False
        self.panes = Panes(wider=wider)
        self.usually_wider = wider
        """Cells that the list has beyond its usual width until somebody moves the wall."""
        self.in_document = False
        """Whether a document stands in place of the page."""
        self.choice = sound(kept.intervals, kept.by_value, kept.one_per_document, kept.extent)
        """Choice of the page's examples."""
        self.followed: Trail | None = None
        self.anchor: int | None = None
        """The feature that was listed when the last one was followed."""

    @property
    def listed(self) -> int | None:
        """The feature under the list's cursor."""
        return self.listing.feature

    @property
    def reading(self) -> bool:
        """Whether the page, or a document in its place, has the keys."""
        return self.panes.front == "page"

    @property
    def trail(self) -> Trail | None:
        """The features followed, unless the list has moved on since."""
        return self.followed if self.listed == self.anchor else None

    @property
    def feature(self) -> int | None:
        """The feature that was followed, or that under the list's cursor."""
        trail = self.trail
        return trail.feature if trail is not None and self.reading else self.listed
