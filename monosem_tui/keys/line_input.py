"""Keys while a line of text is typed: a filter, a pattern, a command, a note, something for the live model."""

from __future__ import annotations

from monosem_tui.keys.actions import KeyGroup, Where

_filter, _number = KeyGroup(Where.INPUT, "filter"), KeyGroup(Where.NUMBER, "number")
_pattern, _command = KeyGroup(Where.PATTERN, "pattern"), KeyGroup(Where.COMMAND, "command")
_live, _note = KeyGroup(Where.LIVE_TEXT, "live-text"), KeyGroup(Where.NOTE, "note")
TYPING = (
    _filter("keep", "keep", "enter", "keep the filter", "keep it", "⏎ keep"),
    _filter("leave", "leave", "escape ctrl+c", "back to where you were", "back", "esc back"),
    _filter("complete", "complete", "tab", "complete the word; again, the next one", "complete it", "tab …"),
    _filter("complete-back", "complete_back", "shift+tab", "the completion before"),
    _filter("next", "next", "down ctrl+n", "next feature", "next, previous"),
    _filter("previous", "previous", "up ctrl+p", "previous feature"),
    _number("go", "keep", "enter", "go to the number, or run the command", "do it", "⏎ go"),
    _number("complete", "complete", "tab", "complete the command's name", "complete it", "tab …"),
    _number("leave", "leave", "escape ctrl+c", "stay here", "stay here", "esc back"),
    _pattern("find", "keep", "enter", "search for it", "search for it", "⏎ find"),
    _pattern("leave", "leave", "escape ctrl+c", "leave it as it was", "leave", "esc back"),
    _pattern("complete", "complete", "tab", "a pattern asked before, or an example", "one asked before", "tab …"),
    _pattern("complete-back", "complete_back", "shift+tab", "the one before"),
    _pattern("older", "previous", "up ctrl+p", "the pattern before", "older, newer", "↑ before"),
    _pattern("newer", "next", "down ctrl+n", "the next pattern"),
    _command("run", "keep", "enter", "go to what was found, or run the command", "go to it", "⏎ go"),
    _command("leave", "leave", "escape ctrl+c", "leave", "leave", "esc back"),
    _command("next", "next", "down ctrl+n", "next one found", "next, previous"),
    _command("previous", "previous", "up ctrl+p", "previous one found"),
    _live("keep", "keep", "enter ctrl+g", "keep it", "keep it", "⏎ keep"),
    _live("leave", "leave", "escape ctrl+c", "leave it as it was", "as it was", "esc back"),
    _note("keep", "keep", "enter", "keep the note", "keep it", "⏎ keep"),
    _note("complete", "complete", "tab", "complete the tag", "complete a tag"),
    _note("complete-back", "complete_back", "shift+tab", "the completion before"),
    _note("leave", "leave", "escape ctrl+c", "leave it as it was", "as it was", "esc back"),
)
