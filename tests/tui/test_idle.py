"""Every screen writes nothing while no key is pressed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from store.run.folder import RunFolder
from tests.sample_run import build_sample
from tests.tui.conftest import train
from tests.tui.live_app import ROOT
from tests.tui.pty_bytes import PtyApp

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs pseudo-terminals and /proc")
SECONDS = 10.0
"""Longer than any of the app's looks at what lies on disk."""
SECOND = 80
"""Most bytes a second while a model is loaded."""
SCREENS: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "browse": (),
    "document": ((b"\tn\r", b"document"),),
    "filtered": ((b"/sea", b"found"),),
    "commands": ((b"\x10", b"go to"), (b"sea", b"sea")),
    "find": ((b":find sea|she\r", b"together"),),
    "live": ((b"cjc3pthe sea\x07", b"(limit)"),),
    "inspect": ((b"3ipthe sea and she\r", b"token"),),
    "loading": ((b"3pthe sea\x07", b"reading weights"),),
    "health": ((b"4", b"DENSITY"),),
    "runs": ((b"5", b"dictionary"),),
    "compare": ((b"6", b"monosem compare"),),
}
"""Keys that lead to each of them, and what is there when it has come."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    made = build_sample(tmp_path_factory.mktemp("idle") / "sample", n_features=200, n_contexts=60)
    train(made.run, 20)
    return made.run


@pytest.fixture
def apps(run: RunFolder) -> Iterator[dict[str, PtyApp]]:
    """All of them side by side, so that they are waited for together."""
    with ExitStack() as stack:
        there = {}
        for name in (*SCREENS, "list of runs"):
            environ = {"PYTHONPATH": str(ROOT), "FAKE_MODEL": "slow" if name == "loading" else "quick"}
            place = run.path.parent if name == "list of runs" else run.path
            there[name] = stack.enter_context(PtyApp(place, 200, 50, TERM="xterm-256color", **environ))
        yield there


def test_no_screen_writes_anything_at_rest(apps: dict[str, PtyApp]) -> None:
    start = apps["list of runs"].read_until(b"dictionary") + apps["list of runs"].rest()
    assert len(start) <= 60_000
    for name, steps in SCREENS.items():
        apps[name].read_until(b"PROMOTES")
        apps[name].rest()
        for keys, awaited in steps:
            os.write(apps[name].master, keys)
            apps[name].read_until(awaited)
        apps[name].rest()
    time.sleep(SECONDS)
    written = {name: app.read(0) for name, app in apps.items()}
    assert 0 < len(written.pop("loading")) <= SECOND * SECONDS  # who waits is shown the seconds
    assert written == dict.fromkeys(written, b"")
    assert apps["browse"].press(b"j")  # it could have
