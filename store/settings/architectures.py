"""The table of architectures: where each is implemented, and what help may say about it without importing torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from store.files.errors import MonosemError

Sparsity = Literal["k", "l1"]
"""The settings that decide how sparse features are."""


@dataclass(frozen=True)
class Architecture:
    """One architecture of sparse autoencoders."""

    name: str
    module: str
    """Module in engine.sae that implements it."""
    class_name: str
    steered_by: tuple[Sparsity, ...]
    """Settings that decide its L0, the default first."""
    transcodes: bool = False
    """Whether it can explain one site by features of another."""


_ALL = (
    Architecture("topk", "topk", "TopKSae", ("k",), transcodes=True),
    Architecture("batchtopk", "batchtopk", "BatchTopKSae", ("k",), transcodes=True),
    Architecture("jumprelu", "jumprelu", "JumpReluSae", ("k", "l1"), transcodes=True),
    Architecture("matryoshka", "matryoshka", "MatryoshkaSae", ("k",), transcodes=True),
    Architecture("gated", "gated", "GatedSae", ("l1",)),
    Architecture("l1-norm", "relu", "L1NormSae", ("l1",)),
    Architecture("relu", "relu", "ReluSae", ("l1",)),
)

TABLE = {one.name: one for one in _ALL}
"""Every architecture by its name, the default first."""


def known_architecture(name: str) -> Architecture:
    """Return the entry of an architecture.

    Raises:
        MonosemError: there is none of that name.
    """
    if name not in TABLE:
        raise MonosemError(f"unknown architecture {name!r}", f"Choose one of: {listed()}.")
    return TABLE[name]


def listed(setting: Sparsity | None = None, *, transcodes: bool = False) -> str:
    """List the architectures that `setting` steers (None for all) and that transcode if asked for: `topk, relu`."""
    fitting = [one for one in _ALL if (setting is None or setting in one.steered_by) and one.transcodes >= transcodes]
    return ", ".join(one.name for one in fitting)
