"""The terminal app: it composes the screens, keeps them alive, and opens the run that they show."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

from textual import events, work
from textual.app import App
from textual.message import Message
from textual.timer import Timer
from textual.worker import WorkerFailed

from monosem_tui.model.command_line import FilterBy
from monosem_tui.model.open_run import OpenRun, open_run
from monosem_tui.model.session_state import Memory, recall
from monosem_tui.model.session_state import keep as remember
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.browse import BrowseScreen
from monosem_tui.screens.commands import CommandLine, ThemeChoice
from monosem_tui.screens.lookup import ThingLookup
from monosem_tui.screens.output_files import PictureFile
from monosem_tui.screens.session import (
    DocumentWanted,
    FeaturesChosen,
    FeatureWanted,
    FilterWanted,
    PartnersWanted,
    PlaceWanted,
    RecipeWanted,
    RunChosen,
    Session,
    TextWanted,
    ViewWanted,
)
from store.files.errors import MonosemError

if TYPE_CHECKING:
    from monosem_tui.screens.compare.screen import CompareScreen
    from monosem_tui.screens.live.screen import LiveScreen

SCREENS = {
    "browse": "monosem_tui.screens.browse:BrowseScreen",
    "find": "monosem_tui.screens.find:FindScreen",
    "live": "monosem_tui.screens.live.screen:LiveScreen",
    "health": "monosem_tui.screens.health:HealthScreen",
    "runs": "monosem_tui.screens.runs:RunsScreen",
    "compare": "monosem_tui.screens.compare.screen:CompareScreen",
    "map": "monosem_tui.screens.map.screen:MapScreen",
}
"""Module and class of each of `VIEWS`, imported when first shown."""


Start = Callable[[asyncio.AbstractEventLoop, Callable[[int], object]], None]


@dataclass
class RunOpened(Message):
    """A run has been opened, or could not be."""

    run: OpenRun | MonosemError


class MonosemApp(App[None]):
    """The screens on one open run, and the list of the others."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    TITLE = "monosem"

    def __init__(
        self, session: Session, on_start: Start | None = None, on_shown: Callable[[], object] = lambda: None
    ) -> None:
        """Prepare the app.

        Args:
            session: what all screens share; without a run, the list of runs comes first.
            on_start: called once with the running loop and a function that exits the app with a code.
            on_shown: called when a screen is there for the first time.
        """
        # The built-in ANSI themes leave every colour that is not set to the terminal.
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark" if session.palette.dark else "ansi-light"
        self.animation_level = "none"
        self.session, self._on_start, self._on_shown = session, on_start, on_shown
        self._kept, self._keeping = session.memory, cast(Timer | None, None)
        self.views: dict[str, MonosemScreen] = {}
        """The screens shown so far, by the names of `VIEWS`: kept, so that returning is instant and exact."""
        self.failure: MonosemError | None = None
        """The reason that the app cannot go on, such as a damaged file; for the command line to print."""

    def _view(self, name: str) -> MonosemScreen:
        if name not in self.views:
            module, _, kind = SCREENS[name].partition(":")
            self.views[name] = screen = getattr(import_module(module), kind)(self.session)
            theme = ThemeChoice(screen)
            screen.parts += (theme, CommandLine(screen, theme), ThingLookup(screen), PictureFile(screen))
            self.install_screen(screen, f"{name} {id(screen)}")
            screen.call_after_refresh(self._on_shown)
        return self.views[name]

    def _handle_exception(self, error: Exception) -> None:
        """End with a sentence for what no screen has caught; Textual shows a traceback of anything else."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if not isinstance(cause, MonosemError):
            super()._handle_exception(error)
        elif self.failure is None:
            self.failure = cause
            self.exit(return_code=cause.exit_code)

    async def on_event(self, event: events.Event) -> None:
        """Pass each key and each paste to the screen in order; Textual handles the rest."""
        if isinstance(event, events.Key) and not event.is_forwarded:
            self._keep_soon()
            if isinstance(self.screen, MonosemScreen) and await self.screen.take_key(event):
                return
        if isinstance(event, events.Paste) and not event.is_forwarded and isinstance(self.screen, MonosemScreen):
            self.screen.line.paste(event.text)
            return
        await super().on_event(event)

    def on_app_blur(self, event: events.AppBlur) -> None:
        """Repaint nothing when another window has the keyboard: nothing looks different for it."""
        event.prevent_default()

    async def on_mount(self) -> None:
        """Show Browse, or the list of runs where none is open.

        From then on, redraw whenever the shell returns the terminal.
        """
        await self.push_screen(self._view("browse" if self.session.run else "runs"))
        self.app_resume_signal.subscribe(self, lambda _: self.refresh())
        if self._on_start is not None:
            self._on_start(asyncio.get_running_loop(), lambda code: self.exit(return_code=code))

    # Screens

    async def action_view(self, name: str) -> None:
        """Show another screen, and wait until it is there: the keys that follow go to it."""
        await self.switch_screen(self._view(name))

    async def on_view_wanted(self, message: ViewWanted) -> None:
        """Show another screen."""
        await self.action_view(message.name)

    async def on_features_chosen(self, message: FeaturesChosen) -> None:
        """Show some features in Browse."""
        await self.action_view("browse")
        cast(BrowseScreen, self.screen).choose(message.selection, message.feature, page=message.page)

    async def on_feature_wanted(self, message: FeatureWanted) -> None:
        """Show one feature in Browse."""
        await self.action_view("browse")
        cast(BrowseScreen, self.screen).visit(message.feature)

    async def on_filter_wanted(self, message: FilterWanted) -> None:
        """Show the features that pass a filter in Browse."""
        await self.action_view("browse")
        cast(BrowseScreen, self.screen).obey(FilterBy(message.text))

    async def on_document_wanted(self, message: DocumentWanted) -> None:
        """Show one document in Live."""
        await self.action_view("live")
        cast("LiveScreen", self.screen).open_place(message.place, message.feature)

    async def on_text_wanted(self, message: TextWanted) -> None:
        """Show a typed text in Live."""
        await self.action_view("live")
        cast("LiveScreen", self.screen).open_text(message.text, message.feature)

    async def on_place_wanted(self, message: PlaceWanted) -> None:
        """Show one document in Browse."""
        await self.action_view("browse")
        cast(BrowseScreen, self.screen).open_document(message.place)

    async def on_recipe_wanted(self, message: RecipeWanted) -> None:
        """Show one recipe in Live."""
        await self.action_view("live")
        cast("LiveScreen", self.screen).open_recipe(message.name)

    async def on_partners_wanted(self, message: PartnersWanted) -> None:
        """Show a feature's partners in other runs in Compare."""
        await self.action_view("compare")
        cast("CompareScreen", self.screen).show_partners(message.feature, message.origin)

    # From one session to the next

    def keep(self) -> None:
        """Write the session state of all screens, if it has changed."""
        store, memory = self.session.folder, self.session.memory
        for screen in self.views.values():
            memory = screen.remembered(memory)
        if store is not None and memory != self._kept:
            self._kept = self.session.memory = memory
            remember(store, memory)

    def _take_memory(self, memory: Memory) -> None:
        """Take the state kept of a run; a theme chosen in this session stays."""
        session = self.session
        if session.memory.theme:
            memory = replace(memory, theme=session.memory.theme)
        elif not session.theme_said:
            session.palette = session.palette.themed(memory.theme)
        self._kept = session.memory = memory

    def _keep_soon(self) -> None:
        """Write the state once the keys have rested: a lost connection then loses nothing."""
        if self._keeping is not None:
            self._keeping.stop()
        self._keeping = self.set_timer(self.session.tuning.keep, self.keep)

    # Runs

    def on_run_chosen(self, message: RunChosen) -> None:
        """Open a run in a thread."""
        self._open(message.path)

    @work(thread=True, exclusive=True, group="open", exit_on_error=False)
    def _open(self, path: Path) -> None:
        try:
            self.post_message(RunOpened(open_run(path)))
        except MonosemError as error:
            self.post_message(RunOpened(error))

    async def on_run_opened(self, message: RunOpened) -> None:
        """Show the features of the run on new screens, and close the run that was open."""
        if isinstance(message.run, MonosemError):
            cast(MonosemScreen, self.screen).complain(message.run)
            return
        self.keep()
        before, self.session.run = self.session.run, message.run
        self.session.tray = self.session.found = self.session.lookup = None
        self._take_memory(recall(message.run.path))
        gone = [self.views.pop(name) for name in list(self.views) if name != "runs"]
        await self.action_view("browse")
        for screen in gone:
            self.uninstall_screen(screen)
            await screen.remove()
        if before is not None:
            before.store.close()
