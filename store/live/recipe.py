"""Recipes: everything a text was generated with, as JSON, so that it can be generated again exactly."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from store.files.atomic import json_text
from store.files.errors import MonosemError
from store.files.output_file import check_output, write_output
from store.files.typed_json import JsonError, decode
from store.live.clamp import parse_clamp, parse_sweep
from store.live.sampling import Sampling

VERSION = 1
_WRITTEN_BY = "monosem generate --save FILE writes one."


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The settings of one generation, every default filled in."""

    prompt: str
    chat: bool = False
    """Whether the prompt is a user's turn, put into the tokenizer's chat template."""
    system: str = ""
    """System prompt of a chat; empty for none."""
    clamps: tuple[str, ...] = ()
    """As written (store.live.clamp)."""
    sweep: str = ""
    """Strengths of one feature, such as `412=0,5,10`; empty for none."""
    sampling: Sampling = field(default_factory=Sampling)
    samples: int = 1
    """Number of texts, with seeds `seed`, `seed` + 1, …"""
    dictionary: str = ""
    """SHA-256 of the sae.h5 it was made with."""

    def as_json(self) -> dict[str, Any]:
        """Return the keys of a recipe file; those of the sampling stand between the others."""
        values = asdict(self)
        sampling, samples, dictionary = (values.pop(name) for name in ("sampling", "samples", "dictionary"))
        return {"recipe": VERSION, **values, **sampling, "samples": samples, "dictionary": dictionary}

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write it, all or nothing.

        Raises:
            MonosemError: something that is not a recipe is there, without `overwrite`, or it cannot be written.
        """
        write_output(path, json_text(self.as_json()), "recipe", _is_recipe, overwrite=overwrite)

    @staticmethod
    def check_place(path: Path, *, overwrite: bool = False) -> None:
        """Refuse a file that `save` would refuse.

        Raises:
            MonosemError: something that is not a recipe is there, without `overwrite`, or its folder is missing.
        """
        check_output(path, "recipe", _is_recipe, overwrite=overwrite)

    @classmethod
    def load(cls, path: Path) -> Recipe:
        """Read a file that `save` wrote.

        Raises:
            MonosemError: the file is not a recipe, or a value in it is unsound.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise MonosemError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise MonosemError(f"{path} is not a recipe: {error}", _WRITTEN_BY) from error
        return cls.of(data, str(path))

    @classmethod
    def of(cls, data: Any, where: str) -> Recipe:
        """Read what `as_json` returned; `where` is named in errors.

        Raises:
            MonosemError: `data` is not a recipe, or a value in it is unsound.
        """
        if not isinstance(data, dict) or "recipe" not in data:
            raise MonosemError(f"{where} is not a recipe", _WRITTEN_BY)
        if data["recipe"] != VERSION:
            raise MonosemError(
                f"{where} is a recipe of version {json.dumps(data['recipe'])}, and this monosem reads {VERSION}",
                "A newer monosem may read it.",
            )
        try:
            sampling = decode(Sampling, data)
            recipe = replace(decode(cls, data | {"sampling": {}}), sampling=sampling)
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
