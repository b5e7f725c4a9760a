"""The console script."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run `monosem`. Ctrl-C during the imports ends it silently; a standard stream that is closed discards."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115
    from monosem_tui.cli.main import main as run

    run()
