"""Recipes saved by name in notes.jsonl, beside the notes on features.

A line is `{"recipe": 1, "name": NAME, …, "time": T}`, the keys of store.live.recipe between; of one name the last line
wins, and `{"recipe": null, "name": NAME}` takes it away. Notes pass these lines over, as they speak of no feature.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from store.files.errors import MonosemError
from store.files.regular_file import read_stream
from store.live.recipe import Recipe
from store.notes.note_file import Notes
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


def kept_recipes(path: Path) -> list[KeptRecipe]:
    """Return all recipes in a notes.jsonl, the last one first; lines that are not readable as recipes are skipped.

    Raises:
        MonosemError: the file is there but may not be read.
    """
    try:
        with read_stream(path) as stream:
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MonosemError(f"cannot read {path}: {error.strerror}") from error
    found: dict[str, KeptRecipe] = {}
    for line in lines:
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


def forget_recipe(notes: Notes, name: str) -> None:
    """Take the recipe of a name away.

    Raises:
        MonosemError: the notes may not be written.
    """
    _append(notes, name, {"recipe": None})


def _append(notes: Notes, name: str, said: dict[str, Any]) -> None:
    texts = {key: valid_text(value) if isinstance(value, str) else value for key, value in said.items()}
    notes.append_line(json_line({**texts, "name": valid_text(name), "time": round(time.time(), 3)}))


def _said(line: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    sound = isinstance(said, dict) and "feature" not in said and "recipe" in said and isinstance(said.get("name"), str)
    return said if sound else None


def _kept(name: str, said: dict[str, Any]) -> KeptRecipe | None:
    written = said.get("time")
    try:
        recipe = Recipe.of(said, name)
    except MonosemError:
        return None
    return KeptRecipe(name, recipe, float(written) if isinstance(written, int | float) else 0.0)
