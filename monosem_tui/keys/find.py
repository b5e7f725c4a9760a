"""Keys of Find: its own, and those of Browse that a page beside a list needs."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where
from monosem_tui.keys.browse import BROWSE, NOTES
from monosem_tui.keys.panes import as_well

_OF_THE_LIST = ("filter", "sort", "reverse", "dead")
"""Keys of Browse that order its list."""
_find = KeyGroup(Where.FIND, "find")
FIND = (
    _find("pattern", "pattern", "/", "type a regular expression", "type a pattern", "/ pattern"),
    _find("tokens", "tokens", "w", "match running text, or single tokens", "text, or tokens", "w words"),
    _find("last", "last", "W", "ask for whole matches, or for their last tokens", "all, or the last"),
    _find(
        "held-out",
        "held_out",
        "v",
        "choose on all contexts, or on half and measure on the others",
        "held-out figures",
        "v held out",
    ),
    _find("ordinary", "ordinary", "O", "count outlier tokens, or ordinary ones only", "without outliers"),
    _find("by", "by", "s", "rank by F1, or by AUROC", "by F1, or AUROC", "s sort"),
    _find("all", "all", "a", "show the ranking in Browse", "all in Browse", "a all", Need.FEATURES),
    *as_well((one for one in BROWSE if one.id.partition(".")[2] not in _OF_THE_LIST), Where.FIND, "find"),
    *as_well(NOTES, Where.FIND, "find"),
)
