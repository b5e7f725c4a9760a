"""Expand a grid of settings into trainings: every combination, each of them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from store.files.errors import MonosemError
from store.run.new_folders import filename
from store.settings.architectures import known_architecture
from store.settings.train import AXES, TrainGrid, TrainSettings

PREFIXES = {"layer": "layer", "d_sae": "f", "expansion": "x", "k": "k", "l1": "l1_", "seed": "seed", "layer_out": "to"}
"""Prefix of a value in a run's name."""


@dataclass(frozen=True)
class Variant:
    """One training of a sweep."""

    settings: TrainSettings
    """One value each."""
    marks: dict[str, str]
    """Differences from the other trainings: `{"arch": "topk", "k": "k16"}`; empty where it is the only one."""

    @property
    def ending(self) -> str:
        """The differences as the end of a folder's name: `-topk-k16`."""
        return filename("".join(f"-{mark}" for mark in self.marks.values()))


def variants(grid: TrainGrid) -> list[Variant]:
    """Return every combination of the lists of a grid.

    k and l1 go to the architectures whose sparsity they can decide; to one that either can, k. Where there are several
    seeds, the order of text and batches is drawn from the first, unless `data_seed` is given.

    Raises:
        MonosemError: an architecture is unknown, or no architecture has a use for k or l1.
    """
    lists: dict[str, tuple[Any, ...]] = {name: tuple(dict.fromkeys(getattr(grid, name))) for name in AXES}
    lists = {name: values for name, values in lists.items() if values}
    shared = grid.settings
    if len(lists.get("seed", ())) > 1 and "data_seed" not in shared.given:
        shared = shared.changed(data_seed=grid.seed[0])
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for values in product(*lists.values()):
        one = _fitting(dict(zip(lists, values, strict=True)), lists)
        found.setdefault(tuple(sorted(one.items())), one)
    for name in ("k", "l1"):
        if name in lists and not any(name in one for one in found.values()):
            names = ", ".join(lists.get("arch", (TrainSettings.arch,)))
            raise MonosemError(f"`{name}` has no meaning for {names}", f"Leave `{name}` out.")
    varying = [name for name in lists if len({one.get(name) for one in found.values()}) > 1]
    return [Variant(shared.changed(**one), _marks(one, varying)) for one in found.values()]


def _fitting(one: dict[str, Any], lists: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Without k or l1 where the architecture is one of several and has no use for it."""
    if len(lists.get("arch", ())) < 2:
        return one
    wanted = [name for name in known_architecture(one["arch"]).steered_by if name in one][:1]
    return {name: value for name, value in one.items() if name not in ("k", "l1") or name in wanted}


def _marks(one: Mapping[str, Any], varying: Sequence[str]) -> dict[str, str]:
    return {name: f"{PREFIXES.get(name, '')}{one[name]:{_form(one[name])}}" for name in varying if name in one}


def _form(value: Any) -> str:
    return "g" if isinstance(value, float) else ""
