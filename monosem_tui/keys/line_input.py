"""Keys while a line of text is typed: a filter, a pattern, a command, a note, something for the live model."""

from __future__ import annotations

from monosem_tui.keys.actions import Action, Where

TYPING = (
    Action("filter.keep", "keep", ("enter",), "keep the filter", Where.INPUT, "keep it", "⏎ keep"),
    Action("filter.clear", "leave", ("escape", "ctrl+c"), "clear the filter", Where.INPUT, "clear it", "esc clear"),
    Action("filter.next", "next", ("down", "ctrl+n"), "next feature", Where.INPUT, "next, previous"),
    Action("filter.previous", "previous", ("up", "ctrl+p"), "previous feature", Where.INPUT),
    Action("number.go", "keep", ("enter",), "go to the number, or run the command", Where.NUMBER, "do it", "⏎ go"),
    Action(
        "number.complete", "complete", ("tab",), "complete the command's name", Where.NUMBER, "complete it", "tab …"
    ),
    Action("number.leave", "leave", ("escape", "ctrl+c"), "stay here", Where.NUMBER, "stay here", "esc back"),
    Action("pattern.find", "keep", ("enter",), "search for it", Where.PATTERN, "search for it", "⏎ find"),
    Action("pattern.leave", "leave", ("escape", "ctrl+c"), "leave it as it was", Where.PATTERN, "leave", "esc back"),
    Action(
        "pattern.older", "previous", ("up", "ctrl+p"), "the pattern before", Where.PATTERN, "older, newer", "↑ before"
    ),
    Action("pattern.newer", "next", ("down", "ctrl+n"), "the next pattern", Where.PATTERN),
    Action("command.run", "keep", ("enter",), "run the command", Where.COMMAND, "run it", "⏎ run"),
    Action("command.leave", "leave", ("escape", "ctrl+c"), "leave", Where.COMMAND, "leave", "esc back"),
    Action("command.next", "next", ("down", "ctrl+n"), "next command", Where.COMMAND, "next, previous"),
    Action("command.previous", "previous", ("up", "ctrl+p"), "previous command", Where.COMMAND),
    Action("live-text.keep", "keep", ("enter", "ctrl+g"), "keep it", Where.LIVE_TEXT, "keep it", "⏎ keep"),
    Action(
        "live-text.leave", "leave", ("escape", "ctrl+c"), "leave it as it was", Where.LIVE_TEXT, "as it was", "esc back"
    ),
    Action("note.keep", "keep", ("enter",), "keep the note", Where.NOTE, "keep it", "⏎ keep"),
    Action("note.leave", "leave", ("escape", "ctrl+c"), "leave it as it was", Where.NOTE, "as it was", "esc back"),
)
