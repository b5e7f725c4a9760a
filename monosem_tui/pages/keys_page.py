"""docs/keys.md, made from the table of actions by `make keys` (`python -m monosem_tui.pages.keys_page FILE`)."""

from __future__ import annotations

import sys
from pathlib import Path

from monosem_tui.keys.actions import Action, Where, shown_key
from monosem_tui.keys.table import ACTIONS, at
from monosem_tui.model.command_line import ENTRIES

_HEAD = """\
# Keys of `monosem tui`

Made from `monosem_tui/keys/` by `make keys`; do not edit. In the app, `?` explains what the cursor is on, a second `?`
shows the keys of what has the focus, and `ctrl+p` finds a command by its name. A key that can do nothing says why in
the bottom line.

A number before a motion counts: `5j` goes down five rows, `3n` to the third example, `42G` to row, line or token 42.
A digit alone shows a screen, a third of a second later, or at once if a key follows that is no motion; `esc` drops a
number. `z` waits as long for `zz`, `zt` and `zb`.

`q` closes what stands over something else (keys, panels, a document, a page in place of its list) and quits where
nothing does. `ctrl+c` leaves the line that is typed, or stops what runs, or quits when pressed twice.

The mouse, where it is on (`--mouse`): the screens in the first line, the keys in the last, and the features on a page
take one click; rows, examples and groups are chosen by one and opened by two. The wall between list and page is
dragged, two clicks put it back. A click into the line that is typed moves its cursor.
"""
_COMMANDS = """
## Commands after :

On every screen. `tab` completes a name, and as much of it is enough as no other command begins with.
"""


def keys_page() -> str:
    """Return the whole page."""
    places = [place for place in Where if any(action.where is place for action in ACTIONS)]
    tables = "".join(f"\n## {place.value.capitalize()}\n\n{_table(at(place))}" for place in places)
    return _HEAD + tables + _commands()


def _table(actions: list[Action]) -> str:
    rows = ["| keys | does | name |", "|---|---|---|"]
    for action in actions:
        keys = ", ".join(f"`{shown_key(key)}`" for key in action.keys)
        rows.append(f"| {keys} | {action.title} | {action.id} |")
    return "\n".join(rows) + "\n"


def _commands() -> str:
    rows = ["| typed | does |", "|---|---|", "| `:412` | go to a feature |"]
    for entry in ENTRIES:
        words = f" ({', '.join(entry.words)})" if entry.words else ""
        rows.append(f"| `:{entry.usage}` | {entry.purpose}{words} |")
    return f"{_COMMANDS}\n" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(keys_page(), encoding="utf-8")
