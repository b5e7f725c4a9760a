"""The theme, and commands by name: `:` takes a number, or a command and its word."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from monosem_tui.keys.actions import Need
from monosem_tui.model.command_line import (
    Answer,
    Command,
    Quit,
    ShowKeys,
    ShowScreen,
    Themed,
    completed,
    read_command,
    suggestion,
)
from monosem_tui.screens.base import MonosemScreen
from monosem_tui.screens.part import ScreenPart
from monosem_tui.widgets.line_input import Typed
from store.files.errors import MonosemError


class ThemeChoice(ScreenPart):
    """Changes the palette of all screens."""

    def __init__(self, host: MonosemScreen) -> None:
        self._host = host
        self.needs = {Need.COLOURS: lambda: bool(host.session.palette.colors)}

    def action_theme(self) -> None:
        """Take the next theme."""
        self.choose("")

    def choose(self, name: str) -> None:
        """Take a theme; the next one where it has no name."""
        host, palette = self._host, self._host.session.palette
        if not palette.colors:
            host.tell(Need.COLOURS.value)
            return
        palette = palette.themed(name) if name else palette.following()
        host.session.palette = palette
        host.session.memory = replace(host.session.memory, theme=palette.name)
        host.repaint(palette)
        host.tell("plain theme" if palette.plain else f"colours for a {palette.name} terminal")


class CommandLine(ScreenPart):
    """The line after `:`."""

    def __init__(self, host: MonosemScreen, theme: ThemeChoice) -> None:
        self._host, self._theme = host, theme

    def action_goto(self) -> None:
        """Type a number, or a command and its argument."""
        self._type("")

    def _type(self, text: str) -> None:
        self._host.line.open(":", text, self._command_typed, lambda: suggestion(self._host.input.text))

    def _command_typed(self, typed: Typed) -> None:
        host, text = self._host, self._host.input.text
        if typed is Typed.COMPLETE:
            host.input.replace(completed(text))
        if typed in (Typed.COMPLETE, Typed.CHANGED):
            host.tell()
        elif typed is Typed.LEAVE or not text.strip():
            self._close()
        elif typed is Typed.KEEP:
            try:
                command = read_command(text)
            except MonosemError as error:
                host.line.reject(error)
            else:
                self._close()
                self._run(*command, text)

    def _close(self) -> None:
        self._host.line.close()
        self._host.tell()

    def _run(self, command: Command, view: str, text: str) -> None:
        host = self._host
        if isinstance(command, Quit):
            host.app.exit()
        elif isinstance(command, ShowKeys):
            host.action_help()
        elif isinstance(command, Answer):
            host.tell(command.said)
        elif isinstance(command, Themed):
            self._theme.choose(command.name)
        elif view == host.VIEW:
            self._obey(command, text)
        elif host.session.run is None and view != "runs":
            host.tell(Need.RUN.value)
        else:
            # The app runs both before it takes the next key, so keys of one packet find the screen.
            host.app.call_next(host.app.run_action, f"view('{view}')")
            if not isinstance(command, ShowScreen):
                host.app.call_next(self._obey_there, command, text)

    def _obey(self, command: Command, text: str) -> None:
        try:
            self._host.obey(command)
        except MonosemError as error:
            self._type(text)
            self._host.line.reject(error)

    def _obey_there(self, command: Command, text: str) -> None:
        """Do what was typed on the screen that is shown now."""
        screen = cast(MonosemScreen, self._host.app.screen)
        next(part for part in screen.parts if isinstance(part, CommandLine))._obey(command, text)
