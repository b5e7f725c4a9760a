"""Find what is still readable in a damaged HDF5 file, in a process of its own.

HDF5 trusts a file's own description of its layout: where that was changed, it may crash or never return, without an
exception. So a child process reads the file, and reports each dataset before it reads the next.
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
"""Time limit of the child: to start, and per byte on a slow disk."""


def survey(path: Path) -> dict[str, bool]:
    """Return whether each dataset still found in a file has the content that was written. Reads all of the file."""
    package = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-P", "-m", "store.verify.damage_probe", str(path.resolve())]
    seconds = SECONDS + path.stat().st_size / BYTES_PER_SECOND
    try:
        output = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": package, "PYTHONFAULTHANDLER": ""},
            timeout=seconds,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as timeout:
        output = timeout.stdout or b""
    whole_lines = output[: output.rfind(b"\n") + 1].splitlines()
    return dict(json.loads(line) for line in whole_lines)


def main(path: Path) -> None:
    """Print a line of JSON for each dataset: its name, and whether its content is what was written."""
    with h5py.File(path, "r", locking=False) as file:
        for state in dataset_states(file):
            sys.stdout.write(json.dumps(state) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
