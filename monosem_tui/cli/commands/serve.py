"""`monosem serve`: keep a run's model open for `monosem tui --attach`, whatever becomes of the line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from monosem_tui.cli import options as o
from store.settings.subject import ReopenSettings


def serve(
    run: o.Run,
    *,
    socket: Annotated[
        Path, typer.Option("--socket", metavar="PATH", help="Where to listen, in a folder that is yours alone.")
    ],
    idle: Annotated[
        float,
        typer.Option("--idle", metavar="HOURS", parser=o.positive, help="End after so long without a request."),
    ] = 24.0,
    log: Annotated[
        Path | None, typer.Option("--log", metavar="FILE", help="Where to write what goes wrong [PATH.log].")
    ] = None,
    settings: Annotated[ReopenSettings, o.Flags("model device dtype weights", from_file=False)],
    runs_dir: o.RunsDir = None,
) -> None:
    """Keep a run's model open for `monosem tui --attach`, whatever becomes of the line."""
    from engine.jobs.refusals import check_again
    from store.run.folder import find_run, runs_root

    folder = find_run(run, runs_root(runs_dir))
    check_again(folder, settings)
    from engine.live.server import serve_at
    from monosem_tui.cli import output
    from store.live.wire import Load

    place = socket.expanduser().absolute()
    asked = {name: getattr(settings, name) for name in settings.given}
    load = Load(id=0, run=str(folder.path), **asked)
    ready = f"serving {folder.path}: monosem tui {folder.path} --attach {socket}"
    serve_at(place, load, log or place.with_name(place.name + ".log"), idle * 3600, output.narrate, ready)
