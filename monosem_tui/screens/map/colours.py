"""The colours of the features: by what there is to tell them apart."""

from __future__ import annotations

from collections.abc import Callable

from monosem_tui.model import map_colours
from monosem_tui.model.comparisons import ComparisonWatch, FoundComparisons
from monosem_tui.model.map_colours import Colouring
from monosem_tui.model.map_names import shown_level
from monosem_tui.screens.map.picture import MapPicture
from monosem_tui.screens.map.state import MapState
from monosem_tui.screens.part import ScreenPart
from store.files.errors import MonosemError


class MapColours(ScreenPart):
    """Chooses the colours."""

    def __init__(self, state: MapState, picture: MapPicture) -> None:
        self._state, self._host, self._picture = state, state.host, picture
        self._comparisons = FoundComparisons()
        self._watch = ComparisonWatch(state.run, state.host.session.root)
        self._name = ""
        """The colours asked for last; of a name that is not there now, the first are taken."""

    def resumed(self) -> None:
        """Look for comparisons, and take kinds, notes and the last search as they are now."""
        self._host.away(self._watch.poll, self._take, "comparisons", fail=lambda _: None)
        self.choose()

    def _take(self, found: FoundComparisons) -> None:
        self._comparisons = found
        self.choose()

    def choose(self) -> None:
        """Take the colours anew."""
        before, made = self._state.colouring, self._made()
        name = self._name if self._name in made else next(iter(made))
        self._state.colouring = made[name]()
        if not before.same(self._state.colouring):
            self._picture.redraw()

    def _made(self) -> dict[str, Callable[[], Colouring]]:
        """Return what colours can be made now, by name, the most telling first."""
        state = self._state
        run, shown = state.run, state.shown
        columns, d_sae = run.store.columns, run.store.d_sae
        found: dict[str, Callable[[], Colouring]] = {}
        if shown.map is not None:
            drawn = shown.map
            found["cluster"] = lambda: map_colours.by_cluster(drawn, shown_level(drawn))
        if (kinds := run.kinds) is not None:
            found["kind"] = lambda: map_colours.by_kind(kinds)
        found["crowd"] = lambda: map_colours.crowd(d_sae)
        found["density"] = lambda: map_colours.by_density(columns)
        found["max"] = lambda: map_colours.by_max(columns)
        if run.notes or run.explanations.features:
            found["label"] = lambda: map_colours.by_note(run.notes, run.explanations.features, d_sae)
        if any(note.tags for note in run.notes.values()):
            found["tag"] = lambda: map_colours.by_tag(run.notes, d_sae)
        if (searched := self._host.session.found) is not None:
            found["find"] = lambda: map_colours.by_score("F1", f"F1 for {searched.pattern}", searched.f1_of(d_sae))
        for held in self._comparisons.held:
            side, name = held.side(), f"r with {held.name}"
            found[name] = lambda side=side, name=name: map_colours.by_score(  # type: ignore[misc]
                "partner", name, map_colours.judged(side.r_F, side.judged_F)
            )
        found["plain"] = lambda: map_colours.plain(d_sae)
        return found

    def action_colour_map(self, step: int) -> None:
        """Colour by the next of what there is."""
        names = list(self._made())
        now = self._name if self._name in names else names[0]
        self._name = names[(names.index(now) + step) % len(names)]
        try:
            self.choose()
        except MonosemError as error:
            self._host.mention(error)
            return
        self._host.tell(f"coloured by {self._said()}")

    def _said(self) -> str:
        title = self._state.colouring.title
        return title or "nothing: a dot a feature"
