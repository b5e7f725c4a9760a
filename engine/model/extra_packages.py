"""Packages that some ways of loading a model take: asked for before torch is imported."""

from __future__ import annotations

from importlib.util import find_spec
from typing import get_args

from store.files.errors import MonosemError
from store.settings.subject import FULL, SPREAD, Weights


def check_placing(weights: str, device: str) -> None:
    """Refuse weights and devices that cannot be had here.

    Raises:
        MonosemError: a package is missing, there are no such weights, or the two do not go together.
    """
    if weights not in get_args(Weights):
        raise MonosemError(f"no weights are called {weights!r}", f"Use {', '.join(get_args(Weights))}.")
    if device == SPREAD:
        _need("accelerate", "a model spread over devices takes", "spread")
    if weights != FULL:
        _need("torchao", f"{weights} weights take", "weights")
        if device == SPREAD:
            raise MonosemError(f"{weights} weights lie on one device", "Leave out `weights` or `device=spread`.")


def _need(package: str, use: str, extra: str) -> None:
    if find_spec(package) is None:
        raise MonosemError(f"{use} the package {package}, which is not installed", f"pip install 'monosem[{extra}]'")
