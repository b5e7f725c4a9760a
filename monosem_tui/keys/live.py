"""Keys of Live: writing with clamps, and inspecting a text."""

from __future__ import annotations

from monosem_tui.actions import Action, Need, Where

_CLAMPS, _READ = (Need.CLAMPS,), (Need.READ,)
WRITING = (
    Action("live.write", "screen.write", ("ctrl+g",), "write, or stop", Where.WRITING, "write, stop", "ctrl+g write"),
    Action(
        "live.step", "screen.step", ("space",), "pause, or one token more", Where.WRITING, "pause, step", "space step"
    ),
    Action("live.prompt", "screen.prompt", ("p",), "type a prompt and write", Where.WRITING, "prompt", "p prompt"),
    Action(
        "live.stronger",
        "screen.strength(1)",
        ("]", "+", "="),
        "the clamp under the cursor stronger",
        Where.WRITING,
        "stronger, weaker",
        "[ ] strength",
        _CLAMPS,
    ),
    Action(
        "live.weaker",
        "screen.strength(-1)",
        ("[", "-"),
        "the clamp under the cursor weaker",
        Where.WRITING,
        needs=_CLAMPS,
    ),
    Action("live.off", "screen.off", ("0",), "the clamp off, or on again", Where.WRITING, "off, on", "0 off", _CLAMPS),
    Action(
        "live.ablate",
        "screen.ablate",
        ("x",),
        "ablate the feature, or not",
        Where.WRITING,
        "ablate",
        "x ablate",
        _CLAMPS,
    ),
    Action(
        "live.drop",
        "screen.drop",
        ("d",),
        "take the clamp out of the tray",
        Where.WRITING,
        "drop it",
        "d drop",
        _CLAMPS,
    ),
    Action("live.add", "screen.add", ("a",), "add a clamp as it is written", Where.WRITING, "add a clamp", "a add"),
    Action(
        "live.edit",
        "screen.edit",
        ("enter",),
        "change the clamp as it is written",
        Where.WRITING,
        "edit it",
        "",
        _CLAMPS,
    ),
    Action("live.mode", "screen.mode", ("m",), "max, set, add or scale", Where.WRITING, "its mode", "", _CLAMPS),
    Action("live.next", "screen.move(1)", ("j", "down"), "next clamp", Where.WRITING, "next, previous", "", _CLAMPS),
    Action("live.previous", "screen.move(-1)", ("k", "up"), "previous clamp", Where.WRITING, needs=_CLAMPS),
    Action(
        "live.left",
        "screen.token(-1)",
        ("h", "left"),
        "the token before",
        Where.WRITING,
        "tokens",
        "h/l token",
        (Need.TEXT,),
    ),
    Action("live.right", "screen.token(1)", ("l", "right"), "the token behind", Where.WRITING, needs=(Need.TEXT,)),
    Action(
        "live.branch",
        "screen.branch",
        ("b",),
        "write on from the token",
        Where.WRITING,
        "branch here",
        "b branch",
        (Need.TOKEN,),
    ),
    Action(
        "live.settings", "screen.settings", ("g",), "how tokens are drawn", Where.WRITING, "temperature …", "g settings"
    ),
    Action("live.sweep", "screen.sweep", ("s",), "a row of strengths", Where.WRITING, "sweep", "s sweep", _CLAMPS),
    Action(
        "live.recipe", "screen.recipe", ("w",), "save the recipe to a file", Where.WRITING, "save recipe", "w recipe"
    ),
    Action(
        "live.export",
        "screen.export",
        ("e",),
        "export the texts as text or JSON",
        Where.WRITING,
        "export",
        "",
        (Need.TEXT,),
    ),
    Action("live.seed", "screen.seed", ("r",), "another seed", Where.WRITING, "another seed", "r seed"),
)
LIVE = (
    Action(
        "live.inspect", "inspect", ("i",), "any text through the features, or back", Where.LIVE, "inspect", "i inspect"
    ),
    Action("live.restart", "restart", ("R",), "start the model's process anew", Where.LIVE, "model anew"),
)
INSPECT = (
    Action("inspect.text", "screen.text", ("p",), "type or paste a text", Where.INSPECT, "a text", "p text"),
    Action(
        "inspect.right", "screen.look(1, 0)", ("l", "right"), "the token behind", Where.INSPECT, "tokens", "h/l token"
    ),
    Action("inspect.left", "screen.look(-1, 0)", ("h", "left"), "the token before", Where.INSPECT),
    Action(
        "inspect.next", "screen.look(0, 1)", ("j", "down"), "next feature", Where.INSPECT, "features", "j/k feature"
    ),
    Action("inspect.previous", "screen.look(0, -1)", ("k", "up"), "previous feature", Where.INSPECT),
    Action(
        "inspect.open",
        "screen.open",
        ("enter",),
        "open the feature in Browse",
        Where.INSPECT,
        "open it",
        "⏎ open",
        _READ,
    ),
    Action(
        "inspect.colour",
        "screen.colour",
        ("space",),
        "colour the text by it",
        Where.INSPECT,
        "colour by it",
        "space colour",
        _READ,
    ),
    Action(
        "inspect.ablate", "screen.effects", ("x",), "effects of ablation", Where.INSPECT, "effects", "x effects", _READ
    ),
    Action(
        "inspect.clamp",
        "screen.clamp",
        ("c",),
        "put the feature into the tray",
        Where.INSPECT,
        "clamp it",
        "c clamp",
        _READ,
    ),
)
