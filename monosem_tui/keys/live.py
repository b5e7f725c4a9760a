"""Keys of Live: writing with clamps, and inspecting a text."""

from __future__ import annotations

from monosem_tui.keys.actions import Action, Need, Where

_CLAMPS, _READ = (Need.CLAMPS,), (Need.READ,)
WRITING = (
    Action("live.write", "write", ("ctrl+g",), "write, or stop", Where.WRITING, "write, stop", "ctrl+g write"),
    Action("live.step", "step", ("space",), "pause, or one token more", Where.WRITING, "pause, step", "space step"),
    Action("live.prompt", "prompt", ("p",), "type a prompt and write", Where.WRITING, "prompt", "p prompt"),
    Action(
        "live.stronger",
        "strength(1)",
        ("]", "+", "="),
        "the clamp under the cursor stronger",
        Where.WRITING,
        "stronger, weaker",
        "[ ] strength",
        _CLAMPS,
    ),
    Action(
        "live.weaker", "strength(-1)", ("[", "-"), "the clamp under the cursor weaker", Where.WRITING, needs=_CLAMPS
    ),
    Action("live.off", "off", ("0",), "the clamp off, or on again", Where.WRITING, "off, on", "0 off", _CLAMPS),
    Action("live.ablate", "ablate", ("x",), "ablate the feature, or not", Where.WRITING, "ablate", "x ablate", _CLAMPS),
    Action("live.drop", "drop", ("d",), "take the clamp out of the tray", Where.WRITING, "drop it", "d drop", _CLAMPS),
    Action("live.add", "add", ("a",), "add a clamp as it is written", Where.WRITING, "add a clamp", "a add"),
    Action("live.edit", "edit", ("enter",), "change the clamp as it is written", Where.WRITING, "edit it", "", _CLAMPS),
    Action("live.mode", "mode", ("m",), "max, set, add or scale", Where.WRITING, "its mode", "", _CLAMPS),
    Action(
        "live.place",
        "place",
        ("@",),
        "where it holds: response, everywhere, prompt; in a chat a turn",
        Where.WRITING,
        "where it holds",
        "@ where",
        _CLAMPS,
    ),
    Action("live.next", "move(1)", ("j", "down"), "next clamp", Where.WRITING, "next, previous", "", _CLAMPS),
    Action("live.previous", "move(-1)", ("k", "up"), "previous clamp", Where.WRITING, needs=_CLAMPS),
    Action(
        "live.left", "token(-1)", ("h", "left"), "the token before", Where.WRITING, "tokens", "h/l token", (Need.TEXT,)
    ),
    Action("live.right", "token(1)", ("l", "right"), "the next token", Where.WRITING, needs=(Need.TEXT,)),
    Action("live.far-left", "token(-10)", ("H",), "ten tokens back", Where.WRITING, "ten tokens", needs=(Need.TEXT,)),
    Action("live.far-right", "token(10)", ("L",), "ten tokens on", Where.WRITING, needs=(Need.TEXT,)),
    Action(
        "live.fork",
        "fork",
        ("f",),
        "the first token that differs",
        Where.WRITING,
        "first difference",
        "f fork",
        (Need.FORK,),
    ),
    Action(
        "live.branch",
        "branch",
        ("b",),
        "write on from the token",
        Where.WRITING,
        "branch here",
        "b branch",
        (Need.TOKEN,),
    ),
    Action("live.settings", "settings", ("g",), "how tokens are drawn", Where.WRITING, "temperature …", "g settings"),
    Action("live.sweep", "sweep", ("s",), "a row of strengths", Where.WRITING, "sweep", "s sweep", _CLAMPS),
    Action(
        "live.recipe",
        "recipe",
        ("w",),
        "keep the recipe: in the notes, or in a file",
        Where.WRITING,
        "keep recipe",
        "w keep",
    ),
    Action("live.recipes", "recipes", ("o",), "open a kept recipe", Where.WRITING, "open a recipe", "o recipes"),
    Action(
        "live.export", "export", ("e",), "export the texts as text or JSON", Where.WRITING, "export", "", (Need.TEXT,)
    ),
    Action("live.seed", "seed", ("r",), "another seed", Where.WRITING, "another seed", "r seed"),
    Action("live.chat", "chat", ("C",), "the prompt as a turn of a chat, or as it is", Where.WRITING, "chat, or not"),
    Action("live.system", "system", ("S",), "the system prompt of a chat", Where.WRITING, "system prompt"),
)
LIVE = (
    Action(
        "live.inspect", "inspect", ("i",), "any text through the features, or back", Where.LIVE, "inspect", "i inspect"
    ),
    Action("live.restart", "restart", ("R",), "restart the model's process", Where.LIVE, "restart model"),
)
INSPECT = (
    Action("inspect.text", "text", ("p",), "type or paste a text", Where.INSPECT, "a text", "p text"),
    Action(
        "inspect.document",
        "document",
        ("o",),
        "open a document of the corpus by its number",
        Where.INSPECT,
        "a document",
        "o document",
    ),
    Action("inspect.right", "look(1, 0)", ("l", "right"), "the next token", Where.INSPECT, "tokens", "h/l token"),
    Action("inspect.left", "look(-1, 0)", ("h", "left"), "the token before", Where.INSPECT),
    Action("inspect.far-right", "look(10, 0)", ("L",), "ten tokens on", Where.INSPECT, "ten tokens"),
    Action("inspect.far-left", "look(-10, 0)", ("H",), "ten tokens back", Where.INSPECT),
    Action("inspect.next", "look(0, 1)", ("j", "down"), "next feature", Where.INSPECT, "features", "j/k feature"),
    Action("inspect.previous", "look(0, -1)", ("k", "up"), "previous feature", Where.INSPECT),
    Action("inspect.open", "open", ("enter",), "open the feature in Browse", Where.INSPECT, "open it", "⏎ open", _READ),
    Action(
        "inspect.colour",
        "colour",
        ("space",),
        "colour the text by it",
        Where.INSPECT,
        "colour by it",
        "space colour",
        _READ,
    ),
    Action(
        "inspect.pick",
        "pick",
        ("v",),
        "pick the token: what explains several together",
        Where.INSPECT,
        "pick tokens",
        "v pick",
        _READ,
    ),
    Action("inspect.ablate", "effects", ("x",), "effects of ablation", Where.INSPECT, "effects", "x effects", _READ),
    Action(
        "inspect.clamp", "clamp", ("c",), "put the feature into the tray", Where.INSPECT, "clamp it", "c clamp", _READ
    ),
)
_KEPT = (Need.RECIPES,)
RECIPES = (
    Action(
        "recipe.next", "choose(1)", ("j", "down"), "next recipe", Where.RECIPES, "next, previous", "j/k move", _KEPT
    ),
    Action("recipe.previous", "choose(-1)", ("k", "up"), "previous recipe", Where.RECIPES, needs=_KEPT),
    Action("recipe.write", "replay", ("enter",), "write it again", Where.RECIPES, "write again", "⏎ write", _KEPT),
    Action("recipe.forget", "forget", ("d",), "take it away", Where.RECIPES, "take it away", "d take away", _KEPT),
    Action("recipe.file", "recipe_file", ("f",), "write a file's recipe", Where.RECIPES, "from a file", "f file"),
    Action("recipe.leave", "recipes", ("o",), "back to writing", Where.RECIPES, "back"),
)
