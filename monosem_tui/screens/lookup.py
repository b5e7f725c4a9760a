"""Lookup: features, runs, recipes, documents and commands by some of their words, with a preview."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from textual.message import Message
from textual.timer import Timer

from monosem_tui.keys.actions import Where
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart
from monosem_tui.screens.session import FeatureWanted, PlaceWanted, RecipeWanted, RunChosen, ViewWanted
from monosem_tui.widgets.line_input import Typed

if TYPE_CHECKING:
    from monosem_tui.draw.spans import Line
    from monosem_tui.model.command_search import Offer
    from monosem_tui.model.lookup import Finding, Found
    from monosem_tui.model.lookup_sources import LookupCatalogue

READING = "reading names"


class ThingLookup(ScreenPart):
    """Searches in threads; an answer to words that have changed since is dropped."""

    def __init__(self, host: MonosemScreen) -> None:
        self._host = host
        self._offers: list[Offer] = []
        self._asked = self._read = 0
        """Numbers of the last search, and of the last reading."""
        self._answered: str | None = None
        """The words that the panel answers."""
        self._reading = False
        self._rest: Timer | None = None

    @property
    def _catalogue(self) -> LookupCatalogue:
        session = self._host.session
        if session.lookup is None:
            from monosem_tui.model.lookup_sources import LookupCatalogue

            session.lookup = LookupCatalogue(session.root)
        return session.lookup

    def action_commands(self) -> None:
        """Type some words of what is looked for."""
        from monosem_tui.model.command_search import Offer

        host = self._host
        # Keys that move a pane's cursor are known to who looks for a command: they come after the screen's.
        reach = sorted(host.reach, key=lambda action: action.where not in (host.PLACE, Where.EVERYWHERE))
        self._offers = [Offer(action, host.why_not(action)) for action in reach if action.id != "commands"]
        host.line.open(">", "", self._typed)
        host.panel.open(host.size)
        self._begin_reading()
        self._search_at_once()

    def _typed(self, typed: Typed) -> None:
        host, panel = self._host, self._host.panel
        if typed is Typed.CHANGED:
            self._search()
        elif typed in (Typed.NEXT, Typed.PREVIOUS):
            panel.step(1 if typed is Typed.NEXT else -1)
            self._preview_later()
        elif typed in (Typed.KEEP, Typed.LEAVE):
            if typed is Typed.KEEP and self._answered != host.input.text:
                self._search_at_once()  # keys of one packet: enter is about the words before it
            chosen = panel.chosen if typed is Typed.KEEP else None
            self._close()
            if chosen is not None:
                self._go_to(chosen)

    def _close(self) -> None:
        self._asked += 1
        self._read += 1
        self._reading = False
        if self._rest is not None:
            self._rest.stop()
        self._host.panel.close()
        self._host.line.close()
        self._host.tell()

    # Reading and searching

    def _begin_reading(self) -> None:
        self._read += 1
        mine, run, catalogue = self._read, self._host.session.run, self._catalogue
        self._reading = True

        def read() -> bool:
            return _unless_superseded(lambda: catalogue.read(run, lambda: self._read == mine))

        def take(_: object) -> None:
            if self._read == mine:
                self._reading = False
                self._search()

        self._host.away(read, take, "lookup names")

    def _search(self) -> None:
        """Search in a thread, in place of the search before."""
        self._asked += 1
        mine, text = self._asked, self._host.input.text
        answer = self._asking(text, lambda: self._asked == mine)

        def take(found: Found | None) -> None:
            if found is not None and self._asked == mine:
                self._show(text, found)

        self._host.away(answer, take, "lookup")

    def _search_at_once(self) -> None:
        self._asked += 1
        text = self._host.input.text
        found = self._asking(text, lambda: True)()
        if found is not None:
            self._show(text, found)

    def _asking(self, text: str, wanted: Callable[[], bool]) -> Callable[[], Found | None]:
        from monosem_tui.model.lookup import search
        from monosem_tui.model.word_index import Superseded

        sources, offers = self._catalogue.sources, self._offers

        def ask() -> Found | None:
            try:
                return search(sources, offers, text, wanted)
            except Superseded:
                return None

        return ask

    def _show(self, text: str, found: Found) -> None:
        self._answered = text
        self._host.panel.show(found, READING if self._reading else "")
        self._preview_later()

    # Preview

    def _preview_later(self) -> None:
        if self._rest is not None:
            self._rest.stop()
        self._rest = self._host.set_timer(self._host.session.tuning.rest, self._preview)

    def _preview(self) -> None:
        from monosem_tui.pages.lookup_lines import PreviewSource

        host, chosen = self._host, self._host.panel.chosen
        if not host.panel.display:
            return
        if chosen is None:
            host.panel.preview(())
            return
        source, cells = PreviewSource(host.session.run, self._catalogue), max(8, host.size.width - 4)

        def take(lines: list[Line]) -> None:
            if host.panel.chosen is chosen:
                host.panel.preview(lines)

        host.away(lambda: source.lines(chosen, cells), take, "lookup preview", fail=lambda _: host.panel.preview(()))

    # Going there

    def _go_to(self, found: Finding) -> None:
        from monosem_tui.model.lookup import Kind

        host = self._host
        if found.offer is not None:
            if found.offer.why_not:
                host.tell(f"{found.name}: {found.offer.why_not}")
            else:
                host.call_next(host.run_owned, found.offer.action)
        elif found.kind is Kind.RUN:
            self._open_run(str(found.key))
        else:
            messages: dict[Kind, Callable[[], Message]] = {
                Kind.FEATURE: lambda: FeatureWanted(int(found.key)),
                Kind.RECIPE: lambda: RecipeWanted(str(found.key)),
                Kind.DOCUMENT: lambda: PlaceWanted(int(found.key)),
            }
            host.post_message(messages[found.kind]())

    def _open_run(self, path: str) -> None:
        host, state = self._host, self._catalogue.runs.states[path]
        if host.session.folder == state.path.resolve():
            host.post_message(ViewWanted("browse"))
        elif state.working and not state.browsable:
            host.tell(f"{state.row.name} is still training; browsable once indexing starts")
        else:
            host.tell(f"opening {state.row.name}")
            host.post_message(RunChosen(Path(path)))


def _unless_superseded(work: Callable[[], object]) -> bool:
    """Do some work; return whether it has come to its end."""
    from monosem_tui.model.word_index import Superseded

    try:
        work()
    except Superseded:
        return False
    return True
