"""Keys of Live: writing with clamps, and inspecting a text."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where

_write, _live = KeyGroup(Where.WRITING, "live"), KeyGroup(Where.LIVE, "live")
_clamp = KeyGroup(Where.WRITING, "live", Need.CLAMPS)
WRITING = (
    _write("write", "write", "ctrl+g", "write, or stop", "write, stop", "ctrl+g write"),
    _write("step", "step", "space", "pause, or one token more", "pause, step", "space step"),
    _write("prompt", "prompt", "p", "type a prompt and write", "prompt", "p prompt"),
    _clamp(
        "stronger", "strength(1)", "] + =", "the clamp under the cursor stronger", "stronger, weaker", "[ ] strength"
    ),
    _clamp("weaker", "strength(-1)", "[ -", "the clamp under the cursor weaker"),
    _clamp("off", "off", "0", "the clamp off, or on again", "off, on", "0 off"),
    _clamp("ablate", "ablate", "x", "ablate the feature, or not", "ablate", "x ablate"),
    _clamp("drop", "drop", "d", "take the clamp out of the tray", "drop it", "d drop"),
    _write("add", "add", "a", "add a clamp as it is written", "add a clamp", "a add"),
    _clamp("edit", "edit", "enter", "change the clamp as it is written", "edit it"),
    _clamp("mode", "mode", "m", "max, set, add or scale", "its mode"),
    _clamp(
        "place",
        "place",
        "@",
        "where it holds: response, everywhere, prompt; in a chat a turn",
        "where it holds",
        "@ where",
    ),
    _write("next", "move(1)", "j down", "next clamp, or feature of the prompt", "next, previous", need=Need.ROWS),
    _write("previous", "move(-1)", "k up", "previous clamp, or feature of the prompt", need=Need.ROWS),
    _write("clamp", "take_up", "c", "clamp the prompt's feature under the cursor", "clamp it", "c clamp", Need.OFFERED),
    _write("left", "token(-1)", "h left", "the token before", "tokens", "h/l token", Need.TEXT),
    _write("right", "token(1)", "l right", "the next token", need=Need.TEXT),
    _write("far-left", "token(-10)", "H", "ten tokens back", "ten tokens", need=Need.TEXT),
    _write("far-right", "token(10)", "L", "ten tokens on", need=Need.TEXT),
    _write("fork", "fork", "f", "the first token that differs", "first difference", "f fork", Need.FORK),
    _write("paint", "paint", "v", "paint the texts by KL, by a feature, or not", "paint", "v paint", Need.TEXT),
    _write("paint-by", "paint_by", "V", "paint the texts by any feature", "by a feature", need=Need.TEXT),
    _write("branch", "branch", "b", "write on from the token", "branch here", "b branch", Need.TOKEN),
    _write("settings", "settings", "g", "how tokens are drawn", "temperature …", "g settings"),
    _clamp("sweep", "sweep", "s", "a row of strengths", "sweep", "s sweep"),
    _write("recipe", "recipe", "w", "keep the recipe: in the notes, or in a file", "keep recipe", "w keep"),
    _write("recipes", "recipes", "o", "open a kept recipe", "open a recipe", "o recipes"),
    _write("export", "export", "e", "export the texts as text or JSON", "export", need=Need.TEXT),
    _write("seed", "seed", "r", "another seed", "another seed", "r seed"),
    _write("chat", "chat", "C", "the prompt as a turn of a chat, or as it is", "chat, or not"),
    _write("system", "system", "S", "the system prompt of a chat", "system prompt"),
)
LIVE = (
    _live("inspect", "inspect", "i", "any text through the features, or back", "inspect", "i inspect"),
    _live("restart", "restart", "R", "restart the model's process", "restart model"),
)
_inspect, _firing = KeyGroup(Where.INSPECT, "inspect"), KeyGroup(Where.INSPECT, "inspect", Need.READ)
INSPECT = (
    _inspect("text", "text", "p", "type or paste a text", "a text", "p text"),
    _inspect("chat", "as_chat", "C", "the text as a chat: a user's turn or JSON messages; or as it is", "chat, or not"),
    _inspect("document", "document", "o", "open a document of the corpus by its number", "a document", "o document"),
    _inspect("right", "look(1, 0)", "l right", "the next token", "tokens", "h/l token"),
    _inspect("left", "look(-1, 0)", "h left", "the token before"),
    _inspect("far-right", "look(10, 0)", "L", "ten tokens on", "ten tokens"),
    _inspect("far-left", "look(-10, 0)", "H", "ten tokens back"),
    _inspect("next", "look(0, 1)", "j down", "next feature", "features", "j/k feature"),
    _inspect("previous", "look(0, -1)", "k up", "previous feature"),
    _firing("open", "open", "enter", "open the feature in Browse", "open it", "⏎ open"),
    _firing("colour", "colour", "space", "colour the text by it", "colour by it", "space colour"),
    _firing("pick", "pick", "v", "pick the token: what explains several together", "pick tokens", "v pick"),
    _firing("ablate", "effects", "x", "effects of ablation", "effects", "x effects"),
    _firing("clamp", "clamp", "c", "put the feature into the tray", "clamp it", "c clamp"),
)
_recipe, _kept = KeyGroup(Where.RECIPES, "recipe"), KeyGroup(Where.RECIPES, "recipe", Need.RECIPES)
RECIPES = (
    _kept("next", "choose(1)", "j down", "next recipe", "next, previous", "j/k move"),
    _kept("previous", "choose(-1)", "k up", "previous recipe"),
    _kept("write", "replay", "enter", "write it again", "write again", "⏎ write"),
    _kept("forget", "forget", "d", "take it away", "take it away", "d take away"),
    _recipe("unforget", "unforget", "u", "bring back the recipe taken away last", "bring back", need=Need.TAKEN_AWAY),
    _recipe("file", "recipe_file", "f", "write a file's recipe", "from a file", "f file"),
    _recipe("leave", "recipes", "o", "back to writing", "back"),
)
