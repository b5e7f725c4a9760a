"""Scripts, style sheets and data that pages hold inside: a browser that opens them from disk may fetch nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def asset(name: str) -> str:
    """Return the text of a script or style sheet of this package."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def script_json(value: Any) -> str:
    """Return JSON in ASCII that is safe in a `<script>`: nothing in it ends the element or starts a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\x7f", "\\u007f")
