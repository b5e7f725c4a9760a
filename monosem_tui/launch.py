"""From a path to a running terminal app: what can fail fails here, as a sentence, before the screen is taken."""

from __future__ import annotations

import os
from pathlib import Path

from monosem_tui import terminal


def browse(path: Path, *, color: str | None = None, mouse: bool | None = None) -> int:
    """Browse a run folder or a features.h5 until the person quits.

    Args:
        path: the run.
        color: `auto`, `truecolor`, `256`, `16` or `none`; None takes $MONOSEM_COLOR, else `auto`.
        mouse: None means on locally and off over SSH.

    Returns:
        The exit code.

    Raises:
        MonosemError: this is no terminal, or the run cannot be opened.
    """
    terminal.require_terminal(os.environ)
    chosen = terminal.decide(os.environ, color, mouse)
    terminal.apply(chosen.settings())
    # Imported behind the settings, which numpy and textual read as they are imported.
    from monosem_tui.text.opened import open_run

    run = open_run(path)
    try:
        _ = run.store.columns  # the list's: read here, where an error is still a sentence on the command line
        from monosem_tui.app import MonosemApp
        from monosem_tui.screens.session import Session
        from monosem_tui.text.palette import Palette

        session = Session(run, path.resolve().parent, Palette(chosen.dark, chosen.colors))
        app = MonosemApp(session, on_start=terminal.leave_on_signals)
        app.run(mouse=chosen.mouse)
        return app.return_code or 0
    finally:
        run.store.close()
