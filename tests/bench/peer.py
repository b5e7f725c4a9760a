"""Running other libraries: one process a measurement, in an environment of their own, that prints one JSON line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engine import SET_FOR_TORCH

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "peers"
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
PATIENCE = 1200.0
"""Seconds after which a measurement counts as failed."""
LISTED = Path(__file__).parent / "peers.txt"
SURROUNDINGS = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "WANDB_MODE": "disabled"}


class PeerFailed(Exception):
    """A peer gave no figure; the message is one line for the table."""


def ask(script: str, *args: object, python: Path = PYTHON, patience: float = PATIENCE) -> dict[str, Any]:
    """Output of a script in `peers/`.

    Raises:
        PeerFailed: it is not installed, failed, took too long, or printed no JSON line.
    """
    if not python.is_file():
        raise PeerFailed("not installed; make bench does it")
    command = [str(python), str(SCRIPTS / script), *map(str, args)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=patience, env=_surroundings(os.environ)
        )
    except subprocess.TimeoutExpired:
        raise PeerFailed(f"no answer within {patience:.0f} s") from None
    if done.returncode:
        raise PeerFailed(f"exit code {done.returncode}: {_last_line(done.stderr)}")
    return answer(done.stdout)


def answer(output: str) -> dict[str, Any]:
    """The last line of a peer's output that is a JSON object; libraries print what they like before it.

    Raises:
        PeerFailed: there is none.
    """
    for line in reversed(output.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    raise PeerFailed(f"no JSON line: {_last_line(output)}")


def pinned(package: str, listed: Path = LISTED) -> str:
    """The version of a package that the peers' environment is made with."""
    names = dict(line.split("==") for line in listed.read_text(encoding="utf-8").splitlines() if "==" in line)
    return names[package]


def threads() -> int:
    """Threads that every contender gets."""
    return min(2, os.cpu_count() or 1)


def _surroundings(given: Mapping[str, str]) -> dict[str, str]:
    """The environment of a peer's process: without our modules before its own, or what engine sets for itself."""
    kept = {name: value for name, value in given.items() if name not in ("PYTHONPATH", *SET_FOR_TORCH)}
    return kept | SURROUNDINGS | {"OMP_NUM_THREADS": str(threads())}


def _last_line(text: str) -> str:
    lines: Sequence[str] = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"
