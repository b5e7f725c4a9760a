"""Recipes saved by name in notes.jsonl, beside the notes on features.

A line is `{"recipe": 1, "name": NAME, …, "time": T}`, the keys of store.live.recipe between; of one name the last line
wins, and `{"recipe": null, "name": NAME}` takes it away. Notes pass these lines over, as they speak of no feature.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.files.errors import MonosemError
from store.files.regular_file import read_whole
from store.files.typed_json import JsonError, decode, parse
from store.live.recipe import Recipe
from store.notes.note_file import LARGEST_NOTES, Notes
from store.notes.statements import json_line, valid_text

LONGEST_NAME = 80
"""Characters."""


@dataclass(frozen=True)
class KeptRecipe:
    """A recipe under a name."""

    name: str
    recipe: Recipe
    time: float = 0.0
    """Seconds since the epoch; 0 where unknown."""


@dataclass(frozen=True)
class _Time:
    time: float = 0.0


def kept_recipes(path: Path) -> list[KeptRecipe]:
    """Return all recipes in a notes.jsonl, the last one first; lines that are not readable as recipes are skipped.

    Raises:
        MonosemError: the file is there but may not be read.
    """
    found: dict[str, KeptRecipe] = {}
    for line in read_whole(path, LARGEST_NOTES).split(b"\n") if path.exists() else ():
        said = _said(line) if b'"recipe"' in line else None
        if said is None:
            continue
        name = str(said["name"])
        found.pop(name, None)
        if said["recipe"] is not None and (kept := _kept(name, said)):
            found[name] = kept
    return list(found.values())[::-1]


def keep_recipe(notes: Notes, name: str, recipe: Recipe) -> None:
    """Keep a recipe under a name; one that had the name gives way.

    Raises:
        MonosemError: the name is empty or too long, or the notes may not be written.
    """
    if not name.strip() or len(name) > LONGEST_NAME:
        raise MonosemError(f"a recipe's name has 1 to {LONGEST_NAME} letters")
    _append(notes, name, recipe.as_json())


def restore_recipe(notes: Notes, kept: KeptRecipe) -> None:
    """Keep a recipe that was taken away again, with the time of its first keeping.

    Raises:
        MonosemError: its name has been given to another since, or the notes may not be read or written.
    """
    if any(one.name == kept.name for one in kept_recipes(notes.path)):
        raise MonosemError(f"{kept.name} is the name of another recipe since", "Take that one away first.")
    _append(notes, kept.name, kept.recipe.as_json(), kept.time)


def forget_recipe(notes: Notes, name: str) -> None:
    """Take the recipe of a name away.

    Raises:
        MonosemError: the notes may not be written.
    """
    _append(notes, name, {"recipe": None})


def _append(notes: Notes, name: str, said: dict[str, Any], at: float | None = None) -> None:
    seconds = round(time.time() if at is None else at, 3)
    texts = {key: valid_text(value) if isinstance(value, str) else value for key, value in said.items()}
    notes.append_line(json_line({**texts, "name": valid_text(name), "time": seconds}))


def _said(line: bytes) -> dict[str, Any] | None:
    try:
        said = parse(line.decode("utf-8", "replace"))
    except JsonError:
        return None
    sound = isinstance(said, dict) and "feature" not in said and "recipe" in said and isinstance(said.get("name"), str)
    return said if sound else None


def _kept(name: str, said: dict[str, Any]) -> KeptRecipe | None:
    try:
        return KeptRecipe(name, Recipe.of(said, name), decode(_Time, said, lenient=True).time)
    except MonosemError:
        return None
