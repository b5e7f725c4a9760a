"""The console script."""

from __future__ import annotations

import signal


def main() -> None:
    """Run `monosem`. Ctrl-C during the imports ends it without a word; nothing could be said about it yet."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from monosem_tui.cli.main import main as run

    run()
