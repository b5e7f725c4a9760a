"""The version of everything that monosem writes, and what happens when a file is not of this version."""

from __future__ import annotations

from pathlib import Path

from store.files.errors import MonosemError

SCHEMA_VERSION = 2


def check_version(found: int, path: Path) -> None:
    """Refuse a file of a newer schema; every older version still opens.

    Version 2 splits the ids of more than 65 536 features into two columns (`store.index.feature_ids` reads both).
    """
    if found > SCHEMA_VERSION:
        raise MonosemError(
            f"{path} has schema version {found}; this monosem reads up to {SCHEMA_VERSION}",
            "Upgrade monosem to open it.",
        )
