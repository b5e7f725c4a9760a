"""Lists of settings to the trainings they stand for: every combination, each of them once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from engine.jobs.train_settings import TrainSettings
from engine.sae.registry import architecture
from store.files.errors import MonosemError

AXES = ("site", "layer", "site_out", "layer_out", "arch", "d_sae", "expansion", "k", "l1", "seed")
"""Settings that may be lists, in the order in which names give them."""
PREFIXES = {"layer": "layer", "d_sae": "f", "expansion": "x", "k": "k", "l1": "l1_", "seed": "seed", "layer_out": "to"}
"""What stands before a value in a run's name."""


@dataclass(frozen=True)
class Variant:
    """One training of a sweep."""

    given: dict[str, Any]
    """The settings that the user set, one value each."""
    marks: dict[str, str]
    """What tells it from the others, by setting: `{"arch": "topk", "k": "k16"}`; empty where it is the only one."""


def variants(given: Mapping[str, Any]) -> list[Variant]:
    """Every combination of the lists (tuples) in `given`.

    k and l1 go to the architectures whose sparsity they can decide; to one that either can, k. Where there are several
    seeds, the order of text and batches is drawn from the first, unless `data_seed` says otherwise.

    Raises:
        MonosemError: an architecture is unknown, or no architecture has a use for k or l1.
    """
    lists = {name: _distinct(given[name]) for name in AXES if name in given}
    shared = {name: value for name, value in given.items() if name not in lists}
    if len(lists.get("seed", ())) > 1:
        shared.setdefault("data_seed", lists["seed"][0])
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for values in product(*lists.values()):
        one = _fitting(dict(zip(lists, values, strict=True)), lists)
        found.setdefault(tuple(sorted(one.items())), one)
    for name in ("k", "l1"):
        if name in lists and not any(name in one for one in found.values()):
            names = ", ".join(lists.get("arch", (TrainSettings.arch,)))
            raise MonosemError(f"--{name} has no meaning for {names}", "Leave the flag out.")
    varying = [name for name in lists if len({one.get(name) for one in found.values()}) > 1]
    return [Variant(shared | one, _marks(one, varying)) for one in found.values()]


def _distinct(value: Any) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(value)) if isinstance(value, tuple) else (value,)


def _fitting(one: dict[str, Any], lists: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Without k or l1 where the architecture is one of several and has no use for it."""
    if len(lists.get("arch", ())) < 2:
        return one
    wanted = [name for name in architecture(one["arch"]).steered_by if name in one][:1]
    return {name: value for name, value in one.items() if name not in ("k", "l1") or name in wanted}


def _marks(one: Mapping[str, Any], varying: Sequence[str]) -> dict[str, str]:
    return {name: f"{PREFIXES.get(name, '')}{one[name]:{_form(one[name])}}" for name in varying if name in one}


def _form(value: Any) -> str:
    return "g" if isinstance(value, float) else ""
