"""Keys of Find: its own, and those of Browse that a page beside a list needs."""

from __future__ import annotations

from monosem_tui.keys.actions import Action, Where
from monosem_tui.keys.browse import BROWSE, FEATURES, NOTES
from monosem_tui.keys.panes import as_well

_WITH_A_PAGE = (
    "next",
    "previous",
    "heat",
    "log",
    "fires",
    "zoom",
    "wider",
    "narrower",
    "switch",
    "clamp",
    "inspect",
    "copy",
    "export",
)
FIND = (
    Action("find.pattern", "pattern", ("/",), "type a regular expression", Where.FIND, "type a pattern", "/ pattern"),
    Action(
        "find.tokens",
        "tokens",
        ("w",),
        "match running text, or single tokens",
        Where.FIND,
        "text, or tokens",
        "w words",
    ),
    Action(
        "find.last", "last", ("W",), "ask for whole matches, or for their last tokens", Where.FIND, "all, or the last"
    ),
    Action(
        "find.held-out",
        "held_out",
        ("v",),
        "choose on all contexts, or on half and measure on the others",
        Where.FIND,
        "held-out figures",
        "v held out",
    ),
    Action("find.by", "by", ("s",), "rank by F1, or by AUROC", Where.FIND, "by F1, or AUROC", "s sort"),
    Action("find.all", "all", ("a",), "show the ranking in Browse", Where.FIND, "all in Browse", "a all", FEATURES),
    *as_well((one for one in BROWSE if one.id.partition(".")[2] in _WITH_A_PAGE), Where.FIND, "find"),
    *as_well(NOTES, Where.FIND, "find"),
)
