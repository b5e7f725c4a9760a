"""Ranks that end badly or not at all, without torch: `python -m tests.engine.ranks.ending HOW FOLDER`."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from monosem_tui.cli.output import complain
from tests.patience import PATIENCE, eventually

if __name__ == "__main__":
    how, folder, rank = sys.argv[1], Path(sys.argv[2]), os.environ["RANK"]
    sys.stderr.write(f"rank {rank} is here\n")
    sys.stderr.flush()
    if rank == "1" and how != "never":
        eventually((folder / "0").exists)
    if rank == "1" and how == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if rank == "1" and how in ("1", "2"):
        complain("the text is wrong", "Right it.")
        sys.exit(int(how))
    (folder / f"{rank}.tmp").write_text(str(os.getpid()))
    (folder / f"{rank}.tmp").rename(folder / rank)
    time.sleep(PATIENCE)
