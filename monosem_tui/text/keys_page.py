"""docs/keys.md, from the table of actions. `python -m monosem_tui.text.keys_page FILE` writes it; `make keys` does."""

from __future__ import annotations

import sys
from pathlib import Path

from monosem_tui.actions import ACTIONS, Action, Where, at, shown_key

_HEAD = """\
# Keys of `monosem tui`

Made from `monosem_tui/actions.py` by `make keys`; do not edit. In the app, `?` shows the keys of what has the focus and
`ctrl+p` finds a command by its name. A key that can do nothing says why in the bottom line.
"""


def keys_page() -> str:
    """The whole page."""
    places = [place for place in Where if any(action.where is place for action in ACTIONS)]
    return _HEAD + "".join(f"\n## {place.value.capitalize()}\n\n{_table(at(place))}" for place in places)


def _table(actions: list[Action]) -> str:
    rows = ["| keys | does | name |", "|---|---|---|"]
    for action in actions:
        keys = ", ".join(f"`{shown_key(key)}`" for key in action.keys)
        rows.append(f"| {keys} | {action.title} | {action.id} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(keys_page(), encoding="utf-8")
