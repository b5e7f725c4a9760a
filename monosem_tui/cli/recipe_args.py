"""Recipes from a file and flags, and text piped in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from store.files.errors import MonosemError
from store.live.clamp import parse_clamp
from store.live.recipe import Recipe


def asked_recipe(path: Path | None, given: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a file, or a new one, with the given flags in place of its values.

    Raises:
        MonosemError: there is no prompt, or a clamp or a value is unsound.
    """
    changes = dict(given)
    if changes.get("clamps"):
        changes["clamps"] = [str(parse_clamp(clamp)) for clamp in changes["clamps"]]
    else:
        changes.pop("clamps", None)  # an option that may be repeated is an empty list where it was not given
    if path is None and "prompt" not in changes:
        changes["prompt"] = piped_text("--prompt")
    known = Recipe.load(path) if path is not None else Recipe(prompt="")
    return Recipe.of(known.as_json() | changes, "the flags")


def piped_text(flag: str) -> str:
    """All of stdin, without the line break at its end.

    Raises:
        MonosemError: nothing is piped in, or it is no UTF-8.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise MonosemError("there is no text", f"Give some with {flag}, or pipe it in.")
    try:
        return sys.stdin.buffer.read().decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise MonosemError(f"what is piped in is no UTF-8: {error.reason} at byte {error.start}") from None
