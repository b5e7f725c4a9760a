"""Save a recipe as a file, and export both texts as text or JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from monosem_tui.live.transcript import Transcript
from store.files.atomic import json_text
from store.files.errors import MonosemError
from store.files.output_file import write_output
from store.index.vocabulary import Vocabulary
from store.live.model_outputs import DrawnToken
from store.live.recipe import Recipe
from store.run.weights import sae_digest


def free_name(stem: str, taken: Sequence[str]) -> str:
    """Return `STEM-1`, or the first such name that is not taken."""
    number = 1
    while f"{stem}-{number}" in taken:
        number += 1
    return f"{stem}-{number}"


def free_file(folder: Path, stem: str, ending: str) -> str:
    """Return `STEM-1ENDING`, or the first such name not in `folder`."""
    number = 1
    while (folder / f"{stem}-{number}{ending}").exists():
        number += 1
    return f"{stem}-{number}{ending}"


def save_recipe(path: Path, recipe: Recipe, sae: Path) -> None:
    """Write a recipe, with the digest of its dictionary; reads all of `sae`.

    Raises:
        MonosemError: the file is there already, or cannot be written.
    """
    _refuse(path)
    replace(recipe, dictionary=sae_digest(sae)).save(path)


def export(path: Path, recipe: Recipe, writing: Transcript, vocabulary: Vocabulary) -> None:
    """Write both texts: JSON as of `monosem generate --json` where the name ends with .json, else text.

    Raises:
        MonosemError: the file is there already, or cannot be written.
    """
    _refuse(path)
    as_file = json_text(as_json(recipe, writing, vocabulary)) if path.suffix == ".json" else None
    write_output(path, as_text(recipe, writing, vocabulary) if as_file is None else as_file)


def as_text(recipe: Recipe, writing: Transcript, vocabulary: Vocabulary) -> str:
    """Return both texts, each after the prompt, and their recipe."""
    sampling = recipe.sampling
    head = [
        f"clamps: {' '.join(recipe.clamps) or 'none'}",
        f"temperature {sampling.temperature:g}, seed {sampling.seed}",
    ]
    base, clamped = (recipe.prompt + vocabulary.text(_ids(part)) for part in (writing.base, writing.clamped))
    return "\n".join([*head, "", "base", base, "", "clamped", clamped, ""])


def as_json(recipe: Recipe, writing: Transcript, vocabulary: Vocabulary) -> dict[str, Any]:
    """Return the keys of `monosem generate --json`."""
    return {
        "prompt": recipe.prompt,
        "seed": recipe.sampling.seed,
        "clamps": list(recipe.clamps),
        "base": _text(writing.base, writing.base_end, vocabulary),
        "clamped": _text(writing.clamped, writing.clamped_end, vocabulary),
        "kl": [_finite(kl) for kl in writing.kl],
        "tok_s": {"base": writing.base_speed, "clamped": writing.speed},
    }


def _text(tokens: Sequence[DrawnToken], end: str | None, vocabulary: Vocabulary) -> dict[str, Any]:
    ids = _ids(tokens)
    return {
        "text": vocabulary.text(ids[:-1] if end == "eos" else ids),
        "tokens": vocabulary.strings(ids),
        "ids": ids,
        "logprobs": [_finite(token.logprob) for token in tokens],
        "end": end,
    }


def _ids(tokens: Sequence[DrawnToken]) -> list[int]:
    return [token.token for token in tokens]


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _refuse(path: Path) -> None:
    if path.exists():
        raise MonosemError(f"{path} is there already", "Give another name.")
