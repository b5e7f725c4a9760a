"""Keys that work on every screen."""

from __future__ import annotations

from monosem_tui.keys.actions import VIEWS, KeyGroup, Need, Where

_key = KeyGroup(Where.EVERYWHERE)
_VIEWS = tuple(
    _key(
        f"view.{view.name}",
        f"view('{view.name}')",
        view.key,
        f"{view.title}: {view.purpose}",
        "" if number else "other screens",
        need=None if view.name == "runs" else Need.RUN,
    )
    for number, view in enumerate(VIEWS)
)
GOTO = _key("goto", "goto", ":", "go to a feature by number, or run a command", "go to", ": go to")
EVERYWHERE = (
    *_VIEWS,
    _key("theme", "theme", "T", "theme: dark, light or plain colours", "another theme", need=Need.COLOURS),
    _key("picture", "picture", "P", "the screen as a picture (SVG)", "screen as SVG"),
    _key("redraw", "redraw", "ctrl+l", "redraw the screen", "redraw"),
    _key("suspend", "suspend_process", "ctrl+z", "suspend; fg comes back", "suspend"),
    _key(
        "commands",
        "commands",
        "ctrl+p",
        "find features, runs, recipes, documents and commands by words",
        "find anything",
    ),
    _key("back", "back", "escape", "back; never quits", "back", "esc back", Need.BACK),
    _key("help", "help", "?", "explain what the cursor is on; again, list the keys", "explain, keys", "? help"),
    _key("quit", "close", "q", "quit, or first close what is open", "close, or quit", "q quit"),
    _key("interrupt", "interrupt", "ctrl+c", "stop what runs; where nothing does, twice quits", "stop; twice quits"),
)
