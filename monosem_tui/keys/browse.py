"""Keys of Browse: the list, a feature's page and document, notes, and the forms of an export."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where
from monosem_tui.keys.panes import leafing, rows, scrolling

_FOUND = Need.MATCHES
_list = KeyGroup(Where.LIST, "list", Need.FEATURES)
LIST = (
    _list("next", "move(1)", "j down", "next feature", "next, previous", "j/k move"),
    _list("previous", "move(-1)", "k up", "previous feature"),
    *leafing(_list),
    *rows(_list),
    _list("first", "end(-1)", "g home", "first feature", "first, last"),
    _list("last", "end(1)", "G end", "last feature"),
    _list("next-match", "move(1)", "n", "next feature that the filter or the pattern found", "next match", need=_FOUND),
    _list("match-before", "move(-1)", "N", "match before", need=_FOUND),
    _list("open", "open", "enter", "open the feature's page", "open its page", "⏎ page"),
)
_page = KeyGroup(Where.PAGE, "page")
PAGE = (
    *scrolling(_page),
    _page("next", "choose(1)", "n", "next example or feature", "choose next", "n/N choose"),
    _page("previous", "choose(-1)", "N", "previous example or feature"),
    _page("section", "section(1)", "}", "next section"),
    _page("section-before", "section(-1)", "{", "previous section"),
    _page(
        "open",
        "follow_chosen",
        "enter",
        "follow the feature, open the example's document, or take the explanation as label",
        "follow, back, on",
        "⏎ open",
        Need.CHOSEN,
    ),
    _page("back", "trail(-1)", "H backspace", "back to the feature before", need=Need.PAST),
    _page("forward", "trail(1)", "L", "forward again", need=Need.FUTURE),
    _page("twin", "twin", "~", "the other sign of the same latent", need=Need.TWIN),
    _page("more-text", "widen_text(1)", "+ =", "more text around examples", "text, examples", "+/- text"),
    _page("less-text", "widen_text(-1)", "-", "less text around examples"),
    _page("intervals", "intervals", "i", "4 or 12 intervals, by rank or by value"),
    _page("one", "one", "o", "one example a document, or a context"),
    _page("random", "draw", "r", "draw other random examples"),
)
_document = KeyGroup(Where.DOCUMENT, "document")
DOCUMENT = (
    *scrolling(_document),
    _document("next", "choose(1)", "n", "next token on which the feature fires", "next firing", "n/N firing"),
    _document("previous", "choose(-1)", "N", "firing token before"),
)
_browse = KeyGroup(Where.BROWSE, "browse")
BROWSE = (
    _browse("filter", "filter", "/", "filter the list", "filter the list", "/ filter"),
    _browse("next", "step(1)", "J", "next feature", "another feature", "J/K next", Need.FEATURES),
    _browse("previous", "step(-1)", "K", "previous feature", need=Need.FEATURES),
    _browse("sort", "sort", "s", "sort by the next column", "next sort column", "s sort"),
    _browse("reverse", "reverse", "S", "reverse the order", "reverse the order"),
    _browse("dead", "dead", "D", "show or hide dead features", "show, hide dead", "D dead", Need.DEAD),
    _browse("heat", "heat", "m", "another way to draw activations", "other heat style", "m heat"),
    _browse("log", "log", "h", "logarithmic histogram", "log histogram", "h log"),
    _browse(
        "fires",
        "fires",
        "f",
        "show or hide which n-grams the feature fires on",
        "what it fires on",
        "f fires on",
        Need.FEATURES,
    ),
    _browse("zoom", "zoom", "z", "one pane on the whole width", "the whole width", "z zoom", Need.ROOM),
    _browse("wider", "widen(4)", ">", "the list wider", "wider list", need=Need.ROOM),
    _browse("narrower", "widen(-4)", "<", "the list narrower", need=Need.ROOM),
    _browse("jump-back", "jump_back", "ctrl+o", "where you jumped from, again", "back from a jump", need=Need.JUMPED),
    _browse("switch", "switch", "tab shift+tab", "the other pane", "the other pane"),
    _browse("clamp", "clamp", "c", "put the feature into Live's tray", "clamp it", need=Need.FEATURES),
    _browse(
        "inspect",
        "inspect",
        "I",
        "the example's document through all features, in Live",
        "document in Live",
        need=Need.CHOSEN,
    ),
    _browse(
        "text", "own_text", "p", "a text of yours, painted by the feature, in Live", "your text", need=Need.FEATURES
    ),
    _browse("partners", "partners", "V", "its partners in other runs, in Compare", "in other runs", need=Need.FEATURES),
    _browse("copy", "copy", "y", "copy the page as text", "copy the page", "y copy", Need.FEATURES),
    _browse("export", "export", "e", "write the page to a file", "page to a file", need=Need.FEATURES),
)
_note = KeyGroup(Where.BROWSE, "note")
NOTES = (
    _note("label", "label", "l", "label the feature", "label it", "l label", Need.FEATURES),
    _note("bookmark", "bookmark", "b", "set or remove a bookmark", "bookmark it", "b ★", Need.FEATURES),
    _note("tags", "tags", "t", "tag the feature", "tag it", "t tag", Need.FEATURES),
    _note("comment", "comment", "C", "comment on the feature", "comment on it", need=Need.FEATURES),
    _note("explain", "explain", "E", "look for the rule that explains the feature", "explain it", need=Need.FEATURES),
    _note("undo", "undo", "u", "take back the last note of this session", "undo, redo a note"),
    _note("redo", "redo", "ctrl+r", "make the note again that was taken back last"),
)
_form = KeyGroup(Where.FORM, "export")
FORMS = (
    _form("markdown", "answer", "m", "the page as Markdown", "as Markdown", "m Markdown"),
    _form("html", "answer", "h", "the page as HTML", "as HTML", "h HTML"),
    _form("json", "answer", "j", "the page as JSON", "as JSON", "j JSON"),
    _form("svg", "answer", "s", "the page's plots as SVG", "plots as SVG", "s plots"),
    _form("leave", "leave", "escape ctrl+c", "write nothing", "nothing", "esc back"),
)
