"""The app on the small run with a pretended model, and waiting for what it says."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from monosem_tui.live.model_client import Phase
from monosem_tui.live.process import ModelProcess
from monosem_tui.screens.live.connection import ModelConnection
from monosem_tui.screens.live.screen import LiveScreen
from tests.tui.screens import settle, until

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).parent / "fake_model.py"


def fake(*behaviour: str) -> Callable[[Path], list[str]]:
    """A command that starts the pretended model."""
    return lambda _log: [sys.executable, str(FAKE), *behaviour]


def pretend(monkeypatch: pytest.MonkeyPatch, *behaviour: str) -> None:
    """Live screens start the pretended model."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(ModelConnection, "command", staticmethod(fake(*behaviour)))


async def live(pilot: Pilot[None]) -> LiveScreen:
    """To the Live screen."""
    if not isinstance(pilot.app.screen, LiveScreen):
        await settle(pilot)
        await pilot.press("3")
    screen = pilot.app.screen
    assert isinstance(screen, LiveScreen)
    await pilot.pause()
    return screen


async def write(pilot: Pilot[None], prompt: str = "the sea") -> LiveScreen:
    """Type a prompt, and wait until the text is complete."""
    screen = await live(pilot)
    await pilot.press("p", *keys(prompt), "enter")
    await until(
        pilot, lambda: screen.connection.talk.phase is Phase.RESTING and screen.connection.talk.writing.complete
    )
    return screen


def keys(text: str) -> list[str]:
    """Keys that type a text."""
    named = {
        " ": "space",
        "=": "equals_sign",
        "*": "asterisk",
        "@": "at",
        ".": "full_stop",
        "+": "plus",
        ",": "comma",
        "-": "minus",
        "/": "slash",
        ":": "colon",
        ">": "greater_than_sign",
    }
    return [named.get(letter, letter) for letter in text]


def process_of(screen: LiveScreen) -> ModelProcess:
    """The present life of the process."""
    process = screen.connection.talk._process
    assert isinstance(process, ModelProcess)
    return process
