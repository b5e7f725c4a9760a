"""State shared by the parts of Compare: the open run, its comparisons, the other runs, the widgets."""

from __future__ import annotations

from monosem_tui.draw.heat import default_rendering
from monosem_tui.draw.safe_text import printable
from monosem_tui.model.comparisons import ComparedRuns, FoundComparisons, HeldComparison
from monosem_tui.model.feature_card import ShownExample, top_token
from monosem_tui.model.feature_explanations import suggestion
from monosem_tui.model.open_run import OpenRun
from monosem_tui.model.pair_catalogue import PairCatalogue
from monosem_tui.pages.pair_rows import PairFeature
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.widgets.pair_list import PairList
from monosem_tui.widgets.pair_page import PairPage
from store.comparison.figures import NO_PARTNER

Spot = tuple[HeldComparison | None, int]
"""A feature: of the open run with None, else of the other run of a comparison."""


class CompareState:
    """State without keys of its own: each part changes what it is named after."""

    def __init__(self, host: MonosemScreen, run: OpenRun) -> None:
        session = host.session
        self.host, self.run = host, run
        self.roots = (session.root, run.path.parent)
        self.others = ComparedRuns(run, self.roots)
        self.found = FoundComparisons()
        self.catalogue = PairCatalogue(run, self.others.known)
        self.listing = PairList(session.palette, self.catalogue, run.name, self.described)
        self.page = PairPage(session.palette, default_rendering(session.palette.used))
        self.listing.rendering = self.page.rendering
        self.page.display = False
        self.snippets: dict[Spot, ShownExample | None] = {}
        """The strongest example of each feature that was on the screen."""

    @property
    def reading(self) -> bool:
        """Whether a pair's page has the keys."""
        return bool(self.page.display)

    def run_of(self, held: HeldComparison | None) -> OpenRun | None:
        """Return the open run for None, else the other run if it has been opened."""
        return self.run if held is None else self.others.known(held)

    def described(self, held: HeldComparison | None, feature: int) -> PairFeature:
        """Return what is known of a feature."""
        run = self.run_of(held)
        if run is None:
            return PairFeature(feature)
        note, said = run.notes.get(feature), suggestion(run.explanations, feature)
        snippet = self.snippets.get((held, feature))
        return PairFeature(
            feature,
            printable(note.label) if note else "",
            said,
            snippet,
            float(run.store.columns.max_F[feature]),
            "" if snippet else top_token(run.store, feature),
        )

    def look_for_names(self) -> None:
        """Make room for names if any feature of an open run has a label or an explanation."""
        runs = [self.run, *filter(None, map(self.others.known, self.catalogue.held))]
        self.listing.named = any(
            run.explanations.features or any(note.label for note in run.notes.values()) for run in runs
        )

    def spots_in_sight(self) -> list[Spot]:
        """Return the features on the screen."""
        table, held = self.catalogue.table, self.catalogue.held
        found: list[Spot] = []
        for row in self.listing.in_sight:
            one = held[int(table.held_N[row])]
            mine, theirs = (None, one) if table.first_is_mine else (one, None)
            found.append((mine, int(table.first_N[row])))
            if table.second_N[row] != NO_PARTNER and table.each_NH is None:
                found.append((theirs, int(table.second_N[row])))
        return list(dict.fromkeys(found))
