"""Real models and texts for tests, when they are at hand: $MONOSEM_SHARED, else ../shared/data from the root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("MONOSEM_SHARED", Path(__file__).parents[2] / "shared" / "data"))


def shared_path(name: str) -> Path:
    """A file or folder of the shared data; the test is skipped where it is missing."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"needs the shared test data: {path} is missing")
    return path
