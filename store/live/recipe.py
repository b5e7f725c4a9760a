"""A recipe: all that a text under clamps was written with, as JSON, to be written again exactly."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from store.files.atomic import json_text
from store.files.errors import MonosemError
from store.files.output_file import write_output
from store.files.typed_json import JsonError, decode
from store.live.clamp import parse_clamp, parse_sweep

VERSION = 1
_WRITTEN_BY = "monosem generate --save FILE writes one."


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What `monosem generate` was asked for, every default filled in."""

    prompt: str
    chat: bool = False
    system: str = ""
    """Of a chat; empty for none."""
    clamps: tuple[str, ...] = ()
    """As they are written (store.live.clamp)."""
    sweep: str = ""
    """One feature's row of strengths; empty for none."""
    max_new: int = 100
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int = 0
    samples: int = 1
    """How often, with seeds `seed`, `seed` + 1, …"""
    dictionary: str = ""
    """SHA-256 of the sae.h5 it was made with."""

    def as_json(self) -> dict[str, Any]:
        """What is written of it."""
        return {"recipe": VERSION} | asdict(self)

    def save(self, path: Path) -> None:
        """Write it, all or nothing.

        Raises:
            MonosemError: something that is not a recipe is there, or it cannot be written.
        """
        write_output(path, json_text(self.as_json()), "recipe", _is_recipe)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read what `save` wrote.

        Raises:
            MonosemError: there is no recipe, or something in it is not what it should be.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise MonosemError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise MonosemError(f"{path} is no recipe: {error}", _WRITTEN_BY) from error
        return cls.of(data, str(path))

    @classmethod
    def of(cls, data: Any, where: str) -> Recipe:
        """Read what `as_json` gave; `where` is named in errors.

        Raises:
            MonosemError: it is no recipe, or something in it is not what it should be.
        """
        if not isinstance(data, dict) or "recipe" not in data:
            raise MonosemError(f"{where} is no recipe", _WRITTEN_BY)
        if data["recipe"] != VERSION:
            raise MonosemError(
                f"{where} is a recipe of version {json.dumps(data['recipe'])}, and this monosem reads {VERSION}",
                "A newer monosem may read it.",
            )
        try:
            recipe = decode(cls, data)
        except JsonError as error:
            raise MonosemError(f"{where}: {error}") from None
        for clamp in recipe.clamps:
            parse_clamp(clamp)
        if recipe.sweep:
            parse_sweep(recipe.sweep)
        return recipe


def _is_recipe(path: Path) -> bool:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "recipe" in data
