"""Keys of Compare: the list of pairs, the page of one, a study's tables."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Need, Where
from monosem_tui.keys.panes import scrolling

_pair = KeyGroup(Where.PAIR, "pair")
PAIR = (
    *scrolling(_pair),
    _pair("next-passage", "choose(1)", "n", "next passage", "choose next", "n/N choose"),
    _pair("passage-before", "choose(-1)", "N", "previous passage"),
    _pair("section", "section(1)", "}", "next section"),
    _pair("section-before", "section(-1)", "{", "previous section"),
    _pair("next", "next_pair(1)", "J", "next pair of the list", "another pair", "J/K next"),
    _pair("previous", "next_pair(-1)", "K", "previous pair of the list"),
    _pair("browse", "browse", "enter", "the feature's own page, in Browse", "in Browse", "⏎ Browse", Need.CHOSEN),
)
_study = KeyGroup(Where.STUDY, "study")
STUDY = (
    *scrolling(_study),
    _study("close", "study", "T", "the list of pairs again", "the list again", "T list"),
)
_compare = KeyGroup(Where.COMPARE, "compare")
COMPARE = (
    _compare("filter", "filter", "/", "filter the pairs", "filter the pairs", "/ filter"),
    _compare("other", "other(1)", "o", "the next other run, or all together", "other run", "o run", Need.OTHER_RUNS),
    _compare("other-before", "other(-1)", "O", "the other run before", need=Need.OTHER_RUNS),
    _compare("swap", "swap", "x", "list the features of the other run", "the other side", "x side", Need.ONE_OTHER),
    _compare(
        "tree",
        "tree",
        "t",
        "what the features of the smaller dictionary become",
        "splitting tree",
        "t tree",
        Need.ONE_OTHER,
    ),
    _compare("sort", "sort", "s", "sort by the next column", "next sort column", "s sort"),
    _compare("reverse", "reverse", "S", "reverse the order", "reverse the order"),
    _compare(
        "partners", "partners", "V", "the feature's partners in all runs", "in all runs", "V all runs", Need.FEATURES
    ),
    _compare("study", "study", "T", "the tables of the study that the run belongs to", "study", "T study", Need.STUDY),
    _compare("heat", "heat", "m", "another way to draw activations", "other heat style"),
)
