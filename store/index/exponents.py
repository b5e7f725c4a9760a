"""Exponents of stored activations: a float16 times a power of two per feature.

A feature's activation is its stored float16 · 2^e. Where no exponent differs from 0, files have none, and schema
version 2; with exponents they have version 3, and with spans of text version 4. Shapes: F features, E entries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from store.files.array_rules import ArrayRule
from store.files.schema import EXPONENTS_VERSION, NEWEST_VERSION, SCHEMA_VERSION

Exponents = NDArray[np.int8]
MOST = 100
"""Largest exponent, either way: every stored value times its power of two is a float32 of full precision."""
EXPONENT_RULE = ArrayRule("i1", "F", low=-MOST, end=str(MOST + 1), optional=True)


def units(exponent_F: Exponents) -> NDArray[np.float32]:
    """Return the activation that a stored 1 stands for, by feature."""
    return np.ldexp(np.float32(1), exponent_F.astype(np.int32)).astype(np.float32)


def schema_version(exponent_F: Exponents | None, *, located: bool = False) -> int:
    """Return the schema version of an index file with these exponents; `located` with spans of its tokens' text."""
    if located:
        return NEWEST_VERSION
    return SCHEMA_VERSION if exponent_F is None else EXPONENTS_VERSION
