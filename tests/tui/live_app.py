"""The app on the small run with a pretended model, and waiting for what it says."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from monosem_tui.live.model_client import Phase
from monosem_tui.live.process import ModelProcess
from monosem_tui.screens.live.connection import ModelConnection
from monosem_tui.screens.live.screen import LiveScreen
from tests.tui.screens import screen_text, settle

ROOT = Path(__file__).parents[2]
FAKE = Path(__file__).parent / "fake_model.py"


def fake(*behaviour: str) -> Callable[[Path], list[str]]:
    """A command that starts the pretended model."""
    return lambda _log: [sys.executable, str(FAKE), *behaviour]


def pretend(monkeypatch: pytest.MonkeyPatch, *behaviour: str) -> None:
    """Live screens start the pretended model."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(ModelConnection, "command", staticmethod(fake(*behaviour)))


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    for _ in range(3000):
        await pilot.pause(0.01)
        if holds():
            await pilot.pause()
            return
    raise AssertionError(screen_text(pilot))


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


def alive(pid: int) -> bool:
    """Whether a process runs: not if it is a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
