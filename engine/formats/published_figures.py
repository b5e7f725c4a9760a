"""Figures that others measured of an autoencoder, in files beside it.

eval_results.json is what dictionary_learning's evaluation writes; SAEBench's core evaluation, which Neuronpedia shows,
ends in the same words, NAME_eval_results.json. Both are measured on text: unlike a k or a target, they can be compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.formats.foreign_sae import Foreign, Stated
from engine.formats.untrusted_files import figure, read_object

FILES = "*eval_results.json"
_EXPLAINED = (("frac_variance_explained",), ("eval_result_metrics", "reconstruction_quality", "explained_variance"))
_L0 = (("l0",), ("eval_result_metrics", "sparsity", "l0"))


def with_figures_beside(foreign: Foreign) -> Foreign:
    """Return the autoencoder with what a file beside it states, where its own files state no explained variance.

    Raises:
        MonosemError: such a file cannot be read.
    """
    source = Path(foreign.source)
    folder = source if source.is_dir() else source.parent
    for file in sorted(folder.glob(FILES)):
        values = read_object(file)
        explained, l0 = (_first(values, paths) for paths in (_EXPLAINED, _L0))
        if explained is None or foreign.stated.explained_variance is not None:
            continue
        stated = (
            Stated(explained_variance=explained, l0=l0) if l0 else replace(foreign.stated, explained_variance=explained)
        )
        return replace(foreign, stated=stated, notes=(*foreign.notes, f"figures to compare with are from {file.name}"))
    return foreign


def _first(values: Mapping[str, Any], paths: tuple[tuple[str, ...], ...]) -> float | None:
    for path in paths:
        found: Any = values
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        if (known := figure(found)) is not None:
            return known
    return None
