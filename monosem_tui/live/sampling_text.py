"""Sampling settings as typed and as shown: `t=0.8 p=0.95 k=40 max=200 seed=1`, `greedy`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from store.files.errors import MonosemError
from store.live.sampling import Sampling
from store.settings.generate import GenerateSettings

DEFAULT = Sampling(max_new=200)
"""Longer than a recipe's default: a text on the screen can be stopped at any token."""
_WORD = re.compile(r"[^\s,]+")
_NAMES = {"t": "temperature", "p": "top_p", "k": "top_k", "max": "max_new", "seed": "seed"}
_EXAMPLE = "Write t=0.8 p=0.95 k=40 max=200 seed=1, or greedy."


def written(sampling: Sampling) -> str:
    """Return all settings as they are typed."""
    s = sampling
    return f"t={s.temperature:g} p={s.top_p:g} k={s.top_k} max={s.max_new} seed={s.seed}"


def in_words(sampling: Sampling) -> str:
    """Return `greedy`, or `t 0.8 · top-p 0.95 · seed 3`."""
    if sampling.temperature == 0:
        return "greedy"
    parts = [f"t {sampling.temperature:g}"]
    parts += [f"top-p {sampling.top_p:g}"] if sampling.top_p < 1 else []
    parts += [f"top-k {sampling.top_k}"] if sampling.top_k else []
    return " · ".join([*parts, f"seed {sampling.seed}"])


def changed(sampling: Sampling, text: str) -> Sampling:
    """Return `sampling` with the settings that `text` names.

    Raises:
        MonosemError: a word names no setting, or its number is out of range.
    """
    for found in _WORD.finditer(text):
        word, at = found[0], found.start()
        name, _, value = word.partition("=")
        if word == "greedy":
            sampling = replace(sampling, temperature=0.0)
            continue
        if name not in _NAMES:
            raise MonosemError(_unknown(name, value), _EXAMPLE, at)
        try:
            number = float(value) if name in "tp" else int(value)
        except ValueError:
            raise MonosemError(f"{word!r}: {value!r} is not a number", _EXAMPLE, at) from None
        change: dict[str, Any] = {_NAMES[name]: GenerateSettings.checked(_NAMES[name], number)}
        sampling = replace(sampling, **change)
    return sampling


def _unknown(name: str, value: str) -> str:
    """Name the setting whose name begins alike, where there is one."""
    alike = next((short for short, long in _NAMES.items() if name and long.startswith(name)), "")
    return f"unknown setting {name}" + (f"; try {alike}={value or 1}" if alike else "")
