"""Keys of Browse: the list, a feature's page and document, notes, and the forms of an export."""

from __future__ import annotations

from monosem_tui.keys.actions import Action, Need, Where
from monosem_tui.keys.panes import scrolling

FEATURES = (Need.FEATURES,)

LIST = (
    Action("list.next", "move(1)", ("j", "down"), "next feature", Where.LIST, "next, previous", "j/k move", FEATURES),
    Action("list.previous", "move(-1)", ("k", "up"), "previous feature", Where.LIST, needs=FEATURES),
    Action("list.half-down", "turn(0.5)", ("ctrl+d",), "half a screen down", Where.LIST, "half a screen", "", FEATURES),
    Action("list.half-up", "turn(-0.5)", ("ctrl+u",), "half a screen up", Where.LIST, needs=FEATURES),
    Action(
        "list.page-down",
        "turn(1)",
        ("pagedown", "space", "ctrl+f"),
        "a screen down",
        Where.LIST,
        "a whole screen",
        needs=FEATURES,
    ),
    Action("list.page-up", "turn(-1)", ("pageup",), "a screen up", Where.LIST, needs=FEATURES),
    Action("list.first", "end(-1)", ("g", "home"), "first feature", Where.LIST, "first, last", needs=FEATURES),
    Action("list.last", "end(1)", ("G", "end"), "last feature", Where.LIST, needs=FEATURES),
    Action("list.open", "open", ("enter",), "open the feature's page", Where.LIST, "open its page", "⏎ page", FEATURES),
)
PAGE = (
    *scrolling(Where.PAGE, "page"),
    Action("page.next", "choose(1)", ("n",), "next example or feature", Where.PAGE, "choose next", "n/N choose"),
    Action("page.previous", "choose(-1)", ("N",), "previous example or feature", Where.PAGE),
    Action("page.section", "section(1)", ("}",), "next section", Where.PAGE),
    Action("page.section-before", "section(-1)", ("{",), "previous section", Where.PAGE),
    Action(
        "page.open",
        "follow_chosen",
        ("enter",),
        "follow the feature, or open the example's document",
        Where.PAGE,
        "follow, back, on",
        "⏎ open",
        (Need.CHOSEN,),
    ),
    Action("page.back", "trail(-1)", ("H", "backspace"), "back to the feature before", Where.PAGE, needs=(Need.PAST,)),
    Action("page.forward", "trail(1)", ("L",), "forward again", Where.PAGE, needs=(Need.FUTURE,)),
    Action(
        "page.more-text",
        "widen_text(1)",
        ("+", "="),
        "more text around examples",
        Where.PAGE,
        "text, examples",
        "+/- text",
    ),
    Action("page.less-text", "widen_text(-1)", ("-",), "less text around examples", Where.PAGE),
    Action("page.intervals", "intervals", ("i",), "4 or 12 quantile intervals", Where.PAGE),
    Action("page.one", "one", ("o",), "one example a document, or a context", Where.PAGE),
    Action("page.random", "draw", ("r",), "draw other random examples", Where.PAGE),
)
DOCUMENT = scrolling(Where.DOCUMENT, "document")
BROWSE = (
    Action("browse.filter", "filter", ("/",), "filter the list", Where.BROWSE, "filter the list", "/ filter"),
    Action("browse.next", "step(1)", ("J",), "next feature", Where.BROWSE, "another feature", "J/K next", FEATURES),
    Action("browse.previous", "step(-1)", ("K",), "previous feature", Where.BROWSE, needs=FEATURES),
    Action("browse.sort", "sort", ("s",), "sort by the next column", Where.BROWSE, "next sort column", "s sort"),
    Action("browse.reverse", "reverse", ("S",), "reverse the order", Where.BROWSE, "reverse the order"),
    Action(
        "browse.dead",
        "dead",
        ("d",),
        "show or hide dead features",
        Where.BROWSE,
        "show, hide dead",
        "d dead",
        (Need.DEAD,),
    ),
    Action(
        "browse.heat", "heat", ("m",), "another way to draw activations", Where.BROWSE, "other heat style", "m heat"
    ),
    Action("browse.log", "log", ("h",), "logarithmic histogram", Where.BROWSE, "log histogram", "h log"),
    Action(
        "browse.fires",
        "fires",
        ("f",),
        "show or hide which n-grams the feature fires on",
        Where.BROWSE,
        "what it fires on",
        "f fires on",
        FEATURES,
    ),
    Action(
        "browse.zoom",
        "zoom",
        ("z",),
        "one pane on the whole width",
        Where.BROWSE,
        "the whole width",
        "z zoom",
        (Need.ROOM,),
    ),
    Action("browse.wider", "widen(4)", (">",), "the list wider", Where.BROWSE, "wider list", needs=(Need.ROOM,)),
    Action("browse.narrower", "widen(-4)", ("<",), "the list narrower", Where.BROWSE, needs=(Need.ROOM,)),
    Action("browse.switch", "switch", ("tab", "shift+tab"), "the other pane", Where.BROWSE, "the other pane"),
    Action("browse.clamp", "clamp", ("c",), "put the feature into Live's tray", Where.BROWSE, "clamp it", "", FEATURES),
    Action(
        "browse.inspect",
        "inspect",
        ("I",),
        "the example's document through all features, in Live",
        Where.BROWSE,
        "document in Live",
        "",
        (Need.CHOSEN,),
    ),
    Action("browse.copy", "copy", ("y",), "copy the page as text", Where.BROWSE, "copy the page", "y copy", FEATURES),
    Action("browse.export", "export", ("e",), "write the page to a file", Where.BROWSE, "page to a file", "", FEATURES),
)
NOTES = (
    Action("note.label", "label", ("l",), "label the feature", Where.BROWSE, "label it", "l label", FEATURES),
    Action(
        "note.bookmark", "bookmark", ("b",), "set or remove a bookmark", Where.BROWSE, "bookmark it", "b ★", FEATURES
    ),
    Action("note.tags", "tags", ("t",), "tag the feature", Where.BROWSE, "tag it", "t tag", FEATURES),
    Action("note.comment", "comment", ("C",), "comment on the feature", Where.BROWSE, "comment on it", "", FEATURES),
    Action("note.undo", "undo", ("u",), "take back the last note of this session", Where.BROWSE, "undo a note"),
)
FORMS = (
    Action("export.markdown", "answer", ("m",), "the page as Markdown", Where.FORM, "as Markdown", "m Markdown"),
    Action("export.html", "answer", ("h",), "the page as HTML", Where.FORM, "as HTML", "h HTML"),
    Action("export.json", "answer", ("j",), "the page as JSON", Where.FORM, "as JSON", "j JSON"),
    Action("export.leave", "leave", ("escape", "ctrl+c"), "write nothing", Where.FORM, "nothing", "esc back"),
)
