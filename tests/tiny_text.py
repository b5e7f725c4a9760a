"""A small text with structure to learn, made from a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np

PEOPLE, PLACES, THINGS = (
    ("Tim", "Lily", "Mia", "Ben"),
    ("park", "sea", "house", "wood"),
    ("ball", "boat", "cake", "kite"),
)


def documents(count: int = 60, seed: int = 0) -> list[str]:
    """Stories of a few sentences with words that follow from one another."""
    rng = np.random.default_rng(seed)
    stories = []
    for _ in range(count):
        who, place, thing = (str(rng.choice(words)) for words in (PEOPLE, PLACES, THINGS))
        lines = [f"One day, {who} went to the {place}."]
        lines += [f"{who} saw a {thing}. {who} said, “I like the {thing}!”" for _ in range(int(rng.integers(1, 6)))]
        stories.append(" ".join([*lines, f"Then {who} went home from the {place}."]))
    return stories


def write_corpus(path: Path, count: int = 60) -> Path:
    """The documents in one file, separated by <|endoftext|>."""
    path.write_text("<|endoftext|>".join(documents(count)), encoding="utf-8")
    return path
