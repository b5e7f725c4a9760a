"""Recipes from a file and flags, and text piped in."""

from __future__ import annotations

import sys
from pathlib import Path

from store.files.errors import MonosemError
from store.live.clamp import parse_clamp
from store.live.recipe import Recipe
from store.settings.generate import GenerateSettings

LARGEST_TEXT = 16 << 20
"""Bytes of a text that is piped in."""


def asked_recipe(path: Path | None, asked: GenerateSettings) -> Recipe:
    """Return the recipe of a file, or a new one, with the given settings in place of its values.

    Raises:
        MonosemError: there is no prompt, or a clamp or a value is unsound.
    """
    changes = {name: getattr(asked, name) for name in asked.given}
    if asked.clamps:
        changes["clamps"] = [str(parse_clamp(clamp)) for clamp in asked.clamps]
    if path is None and asked.prompt is None:
        changes["prompt"] = piped_text("--prompt")
    known = Recipe.load(path) if path is not None else Recipe(prompt="")
    return Recipe.of(known.as_json() | changes, "the flags")


def piped_text(flag: str) -> str:
    """Return all of stdin without the line break at its end.

    Raises:
        MonosemError: nothing is piped in, it is not UTF-8, or longer than `LARGEST_TEXT`.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise MonosemError("there is no text", f"Give some with {flag}, or pipe it in.")
    content = sys.stdin.buffer.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise MonosemError(f"the piped text has more than {LARGEST_TEXT >> 20} MiB")
    try:
        return content.decode("utf-8").removesuffix("\n")
    except UnicodeDecodeError as error:
        raise MonosemError(f"the piped text is not UTF-8: {error.reason} at byte {error.start}") from None
