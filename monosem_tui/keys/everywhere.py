"""Keys that work on every screen."""

from __future__ import annotations

from monosem_tui.keys.actions import VIEWS, Action, Need, Where

_VIEWS = tuple(
    Action(
        f"view.{view.name}",
        f"view('{view.name}')",
        (view.key,),
        f"{view.title}: {view.purpose}",
        Where.EVERYWHERE,
        "" if number else "other screens",
        needs=() if view.name == "runs" else (Need.RUN,),
    )
    for number, view in enumerate(VIEWS)
)
GOTO = Action(
    "goto", "goto", (":",), "go to a feature by number, or run a command", Where.EVERYWHERE, "go to", ": go to"
)
EVERYWHERE = (
    *_VIEWS,
    Action(
        "theme",
        "theme",
        ("T",),
        "theme: dark, light or plain colours",
        Where.EVERYWHERE,
        "another theme",
        "",
        (Need.COLOURS,),
    ),
    Action("picture", "picture", ("P",), "the screen as a picture (SVG)", Where.EVERYWHERE, "screen as SVG"),
    Action("redraw", "redraw", ("ctrl+l",), "redraw the screen", Where.EVERYWHERE, "redraw"),
    Action("suspend", "suspend_process", ("ctrl+z",), "suspend; fg comes back", Where.EVERYWHERE, "suspend"),
    Action("commands", "commands", ("ctrl+p",), "find a command by its name", Where.EVERYWHERE, "find a command"),
    Action("back", "back", ("escape",), "back; never quits", Where.EVERYWHERE, "back", "esc back", (Need.BACK,)),
    Action("help", "help", ("?",), "show or hide the keys", Where.EVERYWHERE, "these keys", "? keys"),
    Action("quit", "quit", ("q", "ctrl+c"), "quit", Where.EVERYWHERE, "quit", "q quit"),
)
