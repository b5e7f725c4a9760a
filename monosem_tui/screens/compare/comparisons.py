"""The comparisons of the open run: looked for while Compare is shown, one or all of them chosen, other runs opened."""

from __future__ import annotations

from dataclasses import replace

from monosem_tui.keys.actions import Need
from monosem_tui.model.comparisons import ComparisonWatch, FoundComparisons, HeldComparison
from monosem_tui.model.feature_card import ShownExample
from monosem_tui.model.pair_catalogue import PairView
from monosem_tui.model.snippets import read_snippet
from monosem_tui.screens.compare.pairs import PairOrder
from monosem_tui.screens.compare.state import CompareState, Spot
from monosem_tui.screens.file_watch import FileWatch
from monosem_tui.screens.output_files import unreadable
from monosem_tui.screens.part import ScreenPart
from store.files.errors import MonosemError

KEPT = 4096
"""Examples of rows that are kept."""


class ComparisonChoice(ScreenPart):
    """Keeps the list at the comparisons that there are."""

    def __init__(self, state: CompareState, order: PairOrder) -> None:
        self._state, self._host, self._order = state, state.host, order
        watch = ComparisonWatch(state.run, state.roots[0])
        self.files = FileWatch(state.host, watch.poll, self._take)
        self.looked = False
        """Whether the first look is over."""
        self.needs = {Need.OTHER_RUNS: lambda: len(state.catalogue.held) > 1}

    def resumed(self) -> None:
        """Look whether there are other comparisons now."""
        self.files.look()

    def suspended(self) -> None:
        """Look no more."""
        self.files.suspended()

    def ended(self) -> None:
        """Close the other runs."""
        self._state.others.close()

    def _take(self, found: FoundComparisons | MonosemError) -> None:
        """Show what was found, and look again in a while."""
        if isinstance(found, MonosemError):
            self._host.tell(found.what)
            return
        state = self._state
        if found != state.found or not self.looked:
            kept = self._chosen_path()
            state.found = found
            paths = [held.path for held in found.held]
            view = self._order.ordering.view
            which = paths.index(kept) if kept in paths else 0 if len(paths) == 1 else None
            tree = view.tree and which is not None
            self._order.take(found.held, replace(view, which=which, tree=tree, mine=view.mine or which is None))
            self.looked = True
            self._say_troubles()
        self.files.look_later(self._host.session.tuning.comparisons)

    def _chosen_path(self) -> object:
        held, which = self._state.catalogue.held, self._order.ordering.view.which
        return held[which].path if which is not None and which < len(held) else None

    def _say_troubles(self) -> None:
        if self._state.found.troubles:
            self._state.listing.trouble = self._state.found.troubles[0]
            self._state.listing.refresh()

    def action_other(self, step: int) -> None:
        """Show the comparison with the next other run; after the last, all of them together."""
        state, view = self._state, self._order.ordering.view
        choices: list[int | None] = [*range(len(state.catalogue.held)), None]
        which = choices[(choices.index(view.which) + step) % len(choices)]
        self._order.show_view(PairView(which, mine=view.mine or which is None, tree=view.tree and which is not None))

    # Reading the rows in sight

    def read_in_sight(self) -> None:
        """Read the examples of the features that have come onto the screen."""
        wanted = [spot for spot in self._state.spots_in_sight() if spot not in self._state.snippets]
        if wanted:
            self._host.away(lambda: self._read(wanted), self._show, "snippets")

    def _read(self, wanted: list[Spot]) -> tuple[dict[Spot, ShownExample | None], str]:
        """Return the examples, and what is wrong with a run that cannot be read; runs in a thread."""
        found: dict[Spot, ShownExample | None] = {}
        troubles: dict[HeldComparison | None, str] = {}
        for held, feature in wanted:
            if held in troubles:
                continue
            try:
                run = self._state.run if held is None else self._state.others.of(held)
                found[held, feature] = read_snippet(run.store, feature)
            except MonosemError as error:
                troubles[held] = error.what
            except Exception as error:  # a file that was written over may hold anything
                troubles[held] = unreadable(error).what
        return found, next(iter(troubles.values()), "")

    def _show(self, result: tuple[dict[Spot, ShownExample | None], str]) -> None:
        state, (found, trouble) = self._state, result
        while len(state.snippets) > KEPT:
            del state.snippets[next(iter(state.snippets))]
        state.snippets |= found
        state.listing.trouble = trouble or (state.found.troubles[0] if state.found.troubles else "")
        state.look_for_names()
        state.listing.refresh()
        self._order.refilter()
