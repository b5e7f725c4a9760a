"""The origin of an imported run in words: format, model and place, file or release, verdict of its self-check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from store.run.folder import RunRecord

_IN_CACHE = re.compile(r"models--(.+?)--(.+?)/snapshots/[^/]+(/.+)?$")
"""A file of a release in the Hugging Face hub's cache."""
KEPT = 3
"""Last parts of a file's path that a head of one line shows."""


def imported_from(record: RunRecord | None) -> list[str]:
    """Return phrases on where an imported run came from; none for a run trained here."""
    source = _import_of(record)
    if not source:
        return []
    trained = " ".join(part for part in (_text(source, "model"), _text(source, "hook")) if part)
    found = [_text(source, "format"), trained, _release(_text(source, "source"))]
    check = source.get("check")
    if isinstance(check, Mapping) and isinstance(check.get("verdict"), str):
        found.append(f"self-check: {check['verdict']}")
    return [part for part in found if part]


def origin(record: RunRecord | None) -> str:
    """Return it as a phrase for a page's head, `from SAELens, …/gpt2-l8/sae_weights.safetensors`; empty for others."""
    source = _import_of(record)
    if not source:
        return ""
    file = _release(_text(source, "source"))
    parts = PurePath(file).parts
    short = file if file.startswith("hf:") or len(parts) <= KEPT else "/".join(["…", *parts[-KEPT:]])
    return "from " + ", ".join(part for part in (_text(source, "format"), short) if part)


def _import_of(record: RunRecord | None) -> Mapping[str, Any]:
    source = record.config.get("import") if record is not None else None
    return source if isinstance(source, Mapping) else {}


def _text(source: Mapping[str, Any], name: str) -> str:
    value = source.get(name)
    return value if isinstance(value, str) else ""


def _release(source: str) -> str:
    """Return `hf:OWNER/NAME/FILE` for a file in the hub's cache, other paths as they are."""
    found = _IN_CACHE.search(source)
    return f"hf:{found[1]}/{found[2]}{found[3] or ''}" if found else source
