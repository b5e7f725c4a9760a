"""Running the command line: in this process for speed, in a fresh one where exit codes and bytes matter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
ENTRY = "from monosem_tui.entry import main; main()"
_OURS = ("MONOSEM", "NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLUMNS", "LINES", "SSH_", "TMUX")


def clean_environment(**changes: str) -> dict[str, str]:
    """The environment without anything of the person's who runs the tests that changes what is printed."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    return {**kept, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **changes}


def monosem(*arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`monosem ARGUMENTS` in a fresh process, its output as bytes."""
    return subprocess.run(
        [sys.executable, "-c", ENTRY, *arguments],
        capture_output=True,
        cwd=cwd or ROOT,
        env=clean_environment(**environment),
        timeout=PATIENCE,
        check=False,
    )
