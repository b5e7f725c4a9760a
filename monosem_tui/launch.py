"""Starts the terminal app: errors are raised here, as sentences, before the screen is taken over."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from monosem_tui.terminal import capabilities as terminal

if TYPE_CHECKING:
    from monosem_tui.model.open_run import OpenRun
    from monosem_tui.screens.session import Session, Tuning


def browse(
    path: Path | None,
    *,
    root: Path | None = None,
    followed: Path | None = None,
    color: str | None = None,
    mouse: bool | None = None,
    theme: str | None = None,
    attach: Path | None = None,
    tuning: Tuning | None = None,
) -> int:
    """Browse a run folder or a features.h5, or choose among runs, until the user quits.

    Args:
        path: the run; None starts with the list of runs.
        root: the folder of runs; None for the one that holds `path`.
        followed: a run in that folder whose training is shown first, where `path` is None.
        color: `auto`, `truecolor`, `256`, `16` or `none`; None takes $MONOSEM_COLOR, else `auto`.
        mouse: None means on locally and off over SSH.
        theme: `dark`, `light` or `plain`; None takes $MONOSEM_THEME, else the last session's choice.
        attach: socket of a model server (`monosem serve`), which outlives the terminal.
        tuning: seconds and amounts, for tests.

    Returns:
        The exit code.

    Raises:
        MonosemError: there is no terminal, nothing listens at the socket, or the run cannot be opened or read.
    """
    if attach is not None:
        from store.live.socket_file import connect

        connect(attach).close()  # a missing server is reported on the command line
    chosen = terminal.decide(os.environ, color, mouse, theme)
    _prepare(chosen)
    gc.disable()
    # Imported after the settings, which numpy and textual read at import.
    from monosem_tui.model.open_run import open_run

    run: OpenRun | None = None
    session: Session | None = None
    try:
        run = open_run(path) if path is not None else None
        session = _session(run, root, chosen, attach, tuning)
        session.followed = followed
        return _show(session, mouse=chosen.mouse)
    finally:
        gc.enable()
        last = run if session is None else session.run  # another run may have been opened meanwhile
        if last is not None:
            last.store.close()


def _prepare(chosen: terminal.Terminal) -> None:
    """Set what numpy and textual read when they are imported."""
    settings = chosen.settings()
    if terminal.in_browser(os.environ):
        settings = {
            name: value for name, value in settings.items() if value is not None
        }  # keep the size of the browser's page
    else:
        terminal.require_terminal(os.environ)
    terminal.apply(settings)


def _session(
    run: OpenRun | None,
    root: Path | None,
    chosen: terminal.Terminal,
    attach: Path | None,
    tuning: Tuning | None,
) -> Session:
    """Return the session of a run, or of the list of runs, in the colours that are asked for or were used last."""
    from monosem_tui.draw.palette import Palette
    from monosem_tui.model.session_state import Memory, recall
    from monosem_tui.screens.session import Session, Tuning

    memory = recall(run.path) if run is not None else Memory()
    palette = Palette(colors=chosen.colors).themed(chosen.theme)
    if not chosen.asked:
        palette = palette.themed(memory.theme)
    beside = run.path.parent if run is not None else Path()
    return Session(run, root or beside, palette, memory, chosen.asked, attach, tuning=tuning or Tuning())


def _show(session: Session, *, mouse: bool) -> int:
    """Run the app until the user quits, and return its exit code."""
    from monosem_tui.app import MonosemApp
    from monosem_tui.terminal.textual_patches import end_threads, forgive

    forgive()
    app = MonosemApp(session, on_start=terminal.leave_on_signals, on_shown=_keep_loaded)
    try:
        app.run(mouse=mouse)
    finally:
        end_threads(app)
        app.keep()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _keep_loaded() -> None:
    """Search for garbage again, but not among what the screens shown so far have loaded.

    A search among all of that takes 40 ms, in which no key is answered, and finds nothing. Imports are a tenth faster
    without any.
    """
    gc.freeze()
    gc.enable()
