"""What is still readable in a damaged HDF5 file, found out in a process of its own.

HDF5 trusts what a file says about its own layout: where that was changed it may crash or never return, and no
exception tells. So the process that asks only listens, and the one that looks reports each dataset before the next.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py

from store.files.sealed_hdf5 import dataset_states

SECONDS, BYTES_PER_SECOND = 20, 20_000_000
"""How long a look may take: to start, and for each byte of a slow disk."""


def survey(path: Path) -> dict[str, bool]:
    """Whether the content of each dataset that can still be found in a file is what was written. Reads all of it."""
    package = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-P", "-m", "store.verify.damage_probe", str(path.resolve())]
    seconds = SECONDS + path.stat().st_size / BYTES_PER_SECOND
    try:
        told = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": package, "PYTHONFAULTHANDLER": ""},
            timeout=seconds,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as stuck:
        told = stuck.stdout or b""
    whole_lines = told[: told.rfind(b"\n") + 1].splitlines()
    return dict(json.loads(line) for line in whole_lines)


def main(path: Path) -> None:
    """Report each dataset as a line of JSON: its name, and whether its content is what was written."""
    with h5py.File(path, "r", locking=False) as file:
        for state in dataset_states(file):
            sys.stdout.write(json.dumps(state) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
