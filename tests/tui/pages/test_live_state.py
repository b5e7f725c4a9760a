"""The state of the live model in words: what one waits for, and for how long."""

from __future__ import annotations

from pathlib import Path

import pytest

from monosem_tui.draw.seconds import since
from monosem_tui.live.model_client import ModelClient, Phase
from monosem_tui.pages.live_page import state
from store.live import wire


def test_waiting_shows_its_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [5.0]
    monkeypatch.setattr(ModelClient, "clock", staticmethod(lambda: now[0]))

    def start() -> ModelClient:
        raise AssertionError

    talk = ModelClient(Path("run"), start)  # type: ignore[arg-type]
    talk.phase = Phase.LOADING
    assert state(talk) == "starting its process"
    now[0] += 12.7
    assert state(talk) == "◐ starting its process · 12 s"
    talk.working = wire.Working(id=1, title="loading gpt2")
    now[0] += 1
    assert state(talk) == "◓ loading gpt2 · 13 s"
    talk.phase = Phase.LOADING  # the same: it goes on counting
    assert talk.waited == 13
    talk.phase = Phase.BUSY
    assert state(talk) == "loading gpt2"
    assert since("reading", 1) == "reading"
