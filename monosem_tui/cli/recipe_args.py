"""What a person asks for in text: flags over a recipe, and text that is piped in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from store.files.errors import MonosemError
from store.live.clamp import parse_clamp, parse_sweep
from store.live.recipe import Recipe


def asked_recipe(path: Path | None, given: Mapping[str, Any]) -> Recipe:
    """The recipe of a file, if there is one, with what flags say in its place; clamps are read before models are.

    Raises:
        MonosemError: there is no prompt, or a clamp is none.
    """
    names = {field.name for field in fields(Recipe)}
    changes = {name: value for name, value in given.items() if name in names}
    if changes.get("clamps"):
        changes["clamps"] = tuple(str(parse_clamp(clamp)) for clamp in changes["clamps"])
    else:
        changes.pop("clamps", None)  # an option that may be repeated is an empty list where it was not given
    if changes.get("sweep"):
        parse_sweep(changes["sweep"])
    if path is not None:
        return replace(Recipe.load(path), **changes)
    if "prompt" not in changes:
        changes["prompt"] = piped_text("--prompt")
    return Recipe(**changes)


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
