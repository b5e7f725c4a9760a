"""JSON that every reader takes: ASCII, without nan and infinity."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any, indent: int | None = None) -> str:
    """`value` as JSON in ASCII; what JSON cannot say (nan, infinity) becomes null."""
    return json.dumps(_finite(value), allow_nan=False, indent=indent).replace("\x7f", "\\u007f")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
