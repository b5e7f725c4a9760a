"""The console script."""

from __future__ import annotations

import signal


def main() -> None:
    """Run `monosem`. Ctrl-C during the imports ends it silently."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from monosem_tui.cli.main import main as run

    run()
