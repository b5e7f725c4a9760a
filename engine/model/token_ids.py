"""Ids in a tokenizer's files, checked before it is built: the library counts through all ids up to the last."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from store.files.errors import MonosemError

FILES = ("tokenizer.json", "vocab.json", "added_tokens.json", "tokenizer_config.json")
UNUSED = 1 << 20
"""Ids without a token, beside eight for each token, up to which a vocabulary is believed."""
_LARGE = re.compile(rb"\d{8}")


def check_token_ids(folder: Path) -> None:
    """Refuse a tokenizer with an id far beyond the number of its tokens.

    Raises:
        MonosemError: there is one, or a file cannot be read.
    """
    for path in (folder / name for name in FILES):
        try:
            if path.is_file() and _LARGE.search(content := path.read_bytes()):
                ids = list(_ids(json.loads(content), whole=path.name in ("vocab.json", "added_tokens.json")))
            else:
                continue
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise MonosemError(f"{path} cannot be read: {error}", "Fetch or copy it again.") from error
        if ids and max(ids) > UNUSED + 8 * len(ids):
            raise MonosemError(
                f"{path} has {len(ids):,} tokens, but one with the id {max(ids):,}", "Fetch or copy it again."
            )


def _ids(value: Any, *, whole: bool = False) -> Iterator[int]:
    """Yield the ids in a JSON value; `whole` says that it is a vocabulary itself."""
    if isinstance(value, list):
        for inner in value:
            yield from _ids(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, int):
                yield from [inner] if whole or name == "id" else []
            else:
                yield from (int(key) for key in inner if key.isdecimal()) if name == "added_tokens_decoder" else ()
                yield from _ids(inner, whole=name == "vocab")
