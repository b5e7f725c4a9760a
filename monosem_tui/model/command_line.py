"""Commands typed after `:`: a feature's number or words that are said of it, or a command with its argument.

A name may be abbreviated while only one command starts with it; tab completes it. Text that begins like no command is
looked for in labels and explanations.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from monosem_tui.draw.palette import THEMES
from monosem_tui.draw.safe_text import cut, printable
from monosem_tui.keys.actions import VIEWS
from store.files.errors import MonosemError
from store.query.feature_order import SORT_KEYS, SortKey
from store.query.filter_parser import parse_filter

HERE = ""
"""View of commands that stay on the present screen."""


@dataclass(frozen=True)
class GoTo:
    """Put the cursor on a feature."""

    feature: int


@dataclass(frozen=True)
class GoToSaid:
    """Put the cursor on the feature whose label or explanation contains a text; list them where there are several."""

    text: str


@dataclass(frozen=True)
class SortBy:
    """Order the list by a column."""

    key: SortKey
    descending: bool


@dataclass(frozen=True)
class FilterBy:
    """Show features that pass a filter, or all of them for an empty one."""

    text: str


@dataclass(frozen=True)
class ShowDead:
    """Show dead features, or hide them."""


@dataclass(frozen=True)
class FindPattern:
    """Rank features by a regular expression; an empty one opens the line to type it."""

    pattern: str


@dataclass(frozen=True)
class Themed:
    """Switch to a theme, or to the next one for an empty name."""

    name: str


@dataclass(frozen=True)
class Quit:
    """Quit the app."""


@dataclass(frozen=True)
class ShowKeys:
    """Show or hide the keys."""


@dataclass(frozen=True)
class Answer:
    """Nothing to do; say why."""

    said: str


@dataclass(frozen=True)
class ShowScreen:
    """Show a screen."""


Command = GoTo | GoToSaid | SortBy | FilterBy | ShowDead | FindPattern | Themed | Quit | ShowKeys | Answer | ShowScreen


class TypedCommand(NamedTuple):
    """A command and the screen that obeys it."""

    command: Command
    view: str = HERE


class CommandEntry(NamedTuple):
    """A command as it is listed and completed."""

    name: str
    argument: str
    """Placeholder of the argument; empty without one."""
    purpose: str
    words: tuple[str, ...]
    """Allowed arguments; empty where any is allowed."""
    read: Callable[[str], TypedCommand]

    @property
    def usage(self) -> str:
        """The command with its placeholder: `sort COLUMN`."""
        return f"{self.name} {self.argument}".rstrip()


def _sort(said: str) -> TypedCommand:
    name = said.removeprefix("-")
    key = next((key for key in SORT_KEYS if key == name), None)
    if key is None:
        raise MonosemError(f"sort by one of {', '.join(SORT_KEYS)}; - in front turns the order round")
    return TypedCommand(SortBy(key, (key != "id") != said.startswith("-")), "browse")


def _filter(said: str) -> TypedCommand:
    parse_filter(said)
    return TypedCommand(FilterBy(said), "browse")


def _find(said: str) -> TypedCommand:
    from store.index.regular_expression import compile_pattern  # Browse, the first screen, does without

    compile_pattern(said)
    return TypedCommand(FindPattern(said), "find")


def _theme(said: str) -> TypedCommand:
    if said and said not in THEMES:
        raise MonosemError(f"the themes are {', '.join(THEMES)}")
    return TypedCommand(Themed(said))


def _shown(view: str) -> Callable[[str], TypedCommand]:
    return lambda _: TypedCommand(ShowScreen(), view)


_FOUND = "find"
ENTRIES = (
    CommandEntry("sort", "COLUMN", "order the list; `-max` the other way round", SORT_KEYS, _sort),
    CommandEntry(
        "filter",
        "EXPR",
        "show the features that pass a filter",
        (),
        _filter,
    ),
    CommandEntry("dead", "", "show or hide dead features", (), lambda _: TypedCommand(ShowDead(), "browse")),
    CommandEntry(
        _FOUND,
        "REGEX",
        "rank features by a regular expression",
        (),
        _find,
    ),
    CommandEntry("theme", "NAME", "dark, light or plain colours", THEMES, _theme),
    *(
        CommandEntry(view.name, "", f"{view.title}: {view.purpose}", (), _shown(view.name))
        for view in VIEWS
        if view.name != _FOUND
    ),
    CommandEntry("help", "", "show or hide the keys", (), lambda _: TypedCommand(ShowKeys())),
    CommandEntry("quit", "", "quit", (), lambda _: TypedCommand(Quit())),
)
"""In the order in which they are listed."""
_QUIT_WORDS = ("q!", "qa", "qa!", "quit!", "wq", "wq!", "x", "exit")
"""Other words that editors and shells have for quitting."""
_WRITE_WORDS = ("w", "w!", "wa", "write")


def read_command(text: str) -> TypedCommand:
    """Read a typed command.

    Raises:
        MonosemError: there is no such command, or it does not accept the argument.
    """
    text = text.strip()
    if re.fullmatch(r"\d{1,12}", text):
        return TypedCommand(GoTo(int(text)), "browse")
    name, _, said = text.partition(" ")
    if text in _QUIT_WORDS:
        name = "quit"
    if text in _WRITE_WORDS:
        return TypedCommand(Answer("notes are written as they are taken: there is nothing to save"))
    found = _beginning(name)
    if not found and any(map(str.isalpha, text)):
        return TypedCommand(GoToSaid(text.strip('"')), "browse")
    if len(found) != 1:
        names = ", ".join(entry.name for entry in found or ENTRIES)
        what = f":{cut(printable(name), 20)} may be {names}" if found else f"a feature's number, or one of {names}"
        raise MonosemError(what)
    entry, start, said = found[0], len(text) - len(said), said.strip()
    if said and not entry.argument:
        raise MonosemError(f":{entry.name} takes no argument", at=start)
    try:
        return entry.read(said)
    except MonosemError as error:
        raise MonosemError(error.what, error.hint, start + (error.at or 0)) from None


def completed(text: str) -> str:
    """Complete the word being typed as far as it is unambiguous."""
    name, space, said = text.lstrip().partition(" ")
    said = said.lstrip()
    if not space:
        return _extended(name, [entry.name for entry in ENTRIES], text)
    found = _beginning(name)
    if len(found) != 1 or not found[0].words:
        return text
    sign = "-" if said.startswith("-") else ""
    return f"{found[0].name} {sign}{_extended(said.removeprefix('-'), list(found[0].words), '').rstrip()}"


def suggestion(text: str) -> str:
    """Return what could be typed next: names that start this way, or the command's argument."""
    name, space, said = text.lstrip().partition(" ")
    if name.isdecimal():
        return ""
    if not text:
        return " ".join(["NUMBER", "WORDS", *(entry.name for entry in ENTRIES)])
    found = _beginning(name)
    if not found and any(map(str.isalpha, text)):
        return "in labels and explanations"
    if space and len(found) == 1:
        words = [word for word in found[0].words if word.startswith(said.strip().removeprefix("-"))]
        return "|".join(words) or found[0].argument
    return found[0].usage if len(found) == 1 else " ".join(entry.name for entry in found)


def _beginning(name: str) -> list[CommandEntry]:
    exact = [entry for entry in ENTRIES if entry.name == name]
    return exact or [entry for entry in ENTRIES if entry.name.startswith(name)]


def _extended(word: str, words: list[str], otherwise: str) -> str:
    """Return the longest prefix shared by all words that start with `word`, and a space after a unique one."""
    found = [one for one in words if one.startswith(word)]
    if not found:
        return otherwise or word
    shared = found[0]
    while not all(one.startswith(shared) for one in found):
        shared = shared[:-1]
    return shared + " " * (len(found) == 1)
