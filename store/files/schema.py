"""The schema version of files; apart from their readers, so that lists of runs need neither numpy nor h5py."""

from __future__ import annotations

from pathlib import Path

from store.files.errors import MonosemError

SCHEMA_VERSION = 2
"""Version of what monosem writes, wherever version 2 can say it. Version 2 splits the ids of more than 65 536 features
into two columns (`store.index.feature_ids` reads both)."""
EXPONENTS_VERSION = 3
"""Version of index files whose activations have exponents (`store.index.exponents`)."""
NEWEST_VERSION = 4
"""The newest version that can be read: that of index files which know what each token covers of the original text
(`store.index.text_spans`)."""


def check_version(found: int, path: Path) -> None:
    """Refuse a file of a newer schema; every older version still opens."""
    if found > NEWEST_VERSION:
        raise MonosemError(
            f"{path} has schema version {found}; this monosem reads up to {NEWEST_VERSION}",
            "Upgrade monosem to open it.",
        )
