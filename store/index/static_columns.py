"""Columns that need no text, read back from an index of the same weights: another index need not compute them again."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from store.files.errors import MonosemError
from store.files.hdf5_arrays import reading
from store.index.index_file import IndexFile
from store.index.segment import IndexPlan, StaticColumns


def known_columns(features: Path, plan: IndexPlan) -> StaticColumns | None:
    """Return the columns of a features.h5 that need no text, without exponents, which depend on it.

    Args:
        features: an index.
        plan: of the index that is to be made.

    Returns:
        None where there is no such file, it cannot be read, lacks a column, or is of another autoencoder or model.
    """
    if not features.is_file() or not plan.model_digest:
        return None
    try:
        with IndexFile.open(features, "features") as file, reading(features):
            known = IndexPlan.from_json(file.file.attrs["plan"])
            if (known.sae_digest, known.model_digest) != (plan.sae_digest, plan.model_digest):
                return None
            names = {field.name: f"feature/{field.name.rsplit('_', 1)[0]}" for field in fields(StaticColumns)}
            del names["exponent_F"]
            found = {field: file.whole(name) for field, name in names.items() if name in file.names}
    except MonosemError:
        return None
    listed = found["logit_top_id_FT"].shape[1]
    return StaticColumns(**found) if not listed or "logit_histogram_FB" in found else None
