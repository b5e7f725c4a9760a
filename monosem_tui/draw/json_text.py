"""JSON that every reader accepts: ASCII, without NaN and infinity."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(value: Any, indent: int | None = None) -> str:
    """Return `value` as JSON in ASCII, NaN and infinities as null."""
    return json.dumps(_finite(value), allow_nan=False, indent=indent).replace("\x7f", "\\u007f")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
