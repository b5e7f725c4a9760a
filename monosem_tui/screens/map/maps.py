"""The maps of the open run: looked for while Map is shown, chosen one after another, and made by a child process."""

from __future__ import annotations

from functools import partial

from monosem_tui.draw.numbers import duration
from monosem_tui.draw.safe_text import printable
from monosem_tui.model.map_child import MapChild, MapStage
from monosem_tui.model.map_points import density_points, map_points
from monosem_tui.screens.file_watch import FileWatch
from monosem_tui.screens.map.colours import MapColours
from monosem_tui.screens.map.crosshair import MapCrosshair
from monosem_tui.screens.map.picture import MapPicture
from monosem_tui.screens.map.state import MapState
from monosem_tui.screens.part import ScreenPart, Way, WorkDone
from monosem_tui.screens.patience import Waiting
from store.files.errors import MonosemError
from store.map.feature_map import FeatureMap
from store.map.map_file import KeptMap, map_names
from store.rules.kind_file import index_digest
from store.settings.map import LIKENESSES, Likeness, MapSettings

FoundMaps = dict[str, FeatureMap | str]
"""Maps by name; a sentence in place of one that cannot be shown."""


class MapChoice(ScreenPart):
    """Keeps the points at density against maximum or at one of the maps, and has maps made."""

    def __init__(self, state: MapState, picture: MapPicture, crosshair: MapCrosshair, colours: MapColours) -> None:
        self._state, self._host = state, state.host
        self._picture, self._crosshair, self._colours = picture, crosshair, colours
        self.found: FoundMaps = {}
        self._kept: dict[str, KeptMap] = {}
        self._files = FileWatch(state.host, self._look, self._take)
        self._child: MapChild | None = None
        self._waiting = Waiting(state.host)
        self._wanted = ""
        """The map to show once it is there."""

    def resumed(self) -> None:
        """Look for maps."""
        self._files.look()

    def suspended(self) -> None:
        """Look no more; a map that is being made goes on."""
        self._files.suspended()
        self._waiting.end()

    def ended(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.cancel()

    def _look(self) -> FoundMaps:
        """Read the maps that there are; runs in a thread. Files that have not changed are not read again."""
        run = self._state.run
        found: FoundMaps = {}
        if not run.store.merged:
            return found
        digest = index_digest(run.store.path)
        for name in map_names(run.path):
            kept = self._kept.setdefault(name, KeptMap(run.path, name))
            try:
                drawn = kept.present()
            except MonosemError as error:
                found[name] = printable(error.what)
                continue
            if drawn is not None:
                of_this = drawn.summary.index_digest == digest and drawn.summary.features == run.store.d_sae
                found[name] = drawn if of_this else f"the map {name} is of another index: ctrl+g makes it anew"
        return found

    def _take(self, found: FoundMaps | MonosemError) -> None:
        """Take the maps that were found, and look again in a while."""
        if isinstance(found, MonosemError):
            self._host.tell(found.what)
            return
        before, self.found = self.found, found
        name = self._state.shown.name
        if self._wanted and isinstance(found.get(self._wanted), FeatureMap):
            name, self._wanted = self._wanted, ""
            self._show(name)
        elif name and found.get(name) is not before.get(name):
            self._show(name if isinstance(found.get(name), FeatureMap) else "")
        self._files.look_later(self._host.session.tuning.comparisons)

    def _show(self, name: str) -> None:
        """Show a map, or density against maximum for an empty name."""
        state, drawn = self._state, self.found.get(name)
        if isinstance(drawn, FeatureMap):
            state.show(map_points(name, drawn))
        else:
            state.show(density_points(state.run.store.columns, state.run.store.plan.noun.many))
        self._colours.choose()
        self._crosshair.fit()

    def action_other(self, step: int) -> None:
        """Show the next map; after the last, density against maximum."""
        sound = [name for name, drawn in self.found.items() if isinstance(drawn, FeatureMap)]
        choices = ["", *sound]
        now = choices.index(self._state.shown.name) if self._state.shown.name in choices else 0
        if len(choices) == 1:
            why = next((why for why in self.found.values() if isinstance(why, str)), "")
            self._host.tell(why or self._offer())
            return
        self._show(choices[(now + step) % len(choices)])
        self._host.tell()

    def _offer(self) -> str:
        return "no map of decoder directions yet: ctrl+g lays one out, in another process"

    # Making one

    def action_make(self) -> None:
        """Lay a map out in a child process, or stop that."""
        if self._child is not None:
            self._stop()
            return
        run = self._state.run
        if not run.store.merged:
            self._host.tell("a map needs a whole index: this one is still being written")
            return
        try:
            self._child = MapChild(run.path, self._next())
        except OSError as error:
            self._host.tell(f"the map cannot be laid out: {error}")
            return
        self._waiting.begin("laying out a map: loading PyTorch · ctrl+g stops")
        self._host.run_worker(partial(self._listen, self._child), thread=True, group="map", exit_on_error=False)

    def _next(self) -> Likeness:
        """Return what the next map is by: the first of which there is none, else as in the one that is shown."""
        missing = [by for by in LIKENESSES if not isinstance(self.found.get(MapSettings(by=by).called), FeatureMap)]
        shown = self.found.get(self._state.shown.name)
        return missing[0] if missing else shown.summary.by if isinstance(shown, FeatureMap) else LIKENESSES[0]

    def _listen(self, child: MapChild) -> None:
        """Hand over stages as they come; runs in a thread."""
        try:
            for stage in child.stages():
                self._host.post_message(WorkDone(partial(self._hear, child, stage)))
        except MonosemError as error:
            self._host.post_message(WorkDone(partial(self._hear, child, error)))

    def _hear(self, child: MapChild, stage: MapStage | MonosemError) -> None:
        if child is not self._child:
            return
        if isinstance(stage, MonosemError):
            self._child = None
            self._waiting.end()
            self._host.complain(stage)
        elif stage.name:
            self._waiting.end()
            self._child, self._wanted = None, stage.name
            if self._host.is_current:
                by_contexts = MapSettings(by="contexts").called
                more = "" if by_contexts in (stage.name, *self.found) else " · ctrl+g lays out one by contexts too"
                self._host.tell(f"the map is laid out, in {duration(stage.seconds)}{more}")
            self._files.look()
        elif self._host.is_current and not self._host.line.typing:
            self._waiting.begin(f"{stage.words()} · ctrl+g stops")

    def _stop(self) -> None:
        if self._child is not None:
            self._child.cancel()
            self._child = None
            self._waiting.end()
            self._host.tell("stopped: nothing was written")

    def interruption(self) -> Way | None:
        """Stop laying out."""
        return self._stop if self._child is not None else None
