"""Sentences for the bottom line when a note is taken or undone."""

from __future__ import annotations

from collections.abc import Sequence

from monosem_tui.draw.numbers import count
from monosem_tui.draw.safe_text import cut, printable
from store.notes.editor import Undone
from store.notes.note_file import FeatureNotes

SHOWN = 60
"""Most cells of a label or comment in a sentence."""
AGAIN = " · u undoes it"
_CALLED = {"tag": "tags", "untag": "tags"}


def labelled(feature: int, note: FeatureNotes) -> str:
    """Return the sentence for a label that was set or removed."""
    return (f"labelled {feature} “{_short(note.label)}”" if note.label else f"label of {feature} removed") + AGAIN


def commented(feature: int, note: FeatureNotes) -> str:
    """Return the sentence for a comment."""
    return (f"commented {feature}" if note.comment else f"comment of {feature} removed") + AGAIN


def marked(feature: int, on: bool) -> str:
    """Return the sentence for a bookmark."""
    return (f"bookmarked {feature}" if on else f"bookmark of {feature} removed") + AGAIN


def tagged(feature: int, note: FeatureNotes) -> str:
    """Return the sentence for tags."""
    return f"tagged {feature}: {_tags(note)}{AGAIN}"


def undone(done: Undone, note: FeatureNotes) -> str:
    """Return the sentence for an undo; `note` is the present state of its feature."""
    return "nothing to undo in this session" if done.outcome == "nothing" else _restored("undone", done, note)


def redone(done: Undone, note: FeatureNotes) -> str:
    """Return the sentence for an undo that was taken back."""
    return (
        "nothing to redo: no note was taken back last" if done.outcome == "nothing" else _restored("redone", done, note)
    )


def _restored(what: str, done: Undone, note: FeatureNotes) -> str:
    name = _CALLED.get(done.name, done.name)
    if done.outcome == "changed elsewhere":
        return f"the {name} of {done.feature} changed in another terminal since: left as it is"
    if name == "bookmark":
        return f"{what}: bookmark of {done.feature} · {'set' if note.bookmark else 'none'}"
    if name == "tags":
        return f"{what}: tags of {done.feature} · {_tags(note)}"
    text = note.label if name == "label" else note.comment
    return f"{what}: {name} of {done.feature} · {f'“{_short(text)}”' if text else 'none'}"


def passed_over(damaged: Sequence[int]) -> str:
    """Return the sentence about unreadable lines of notes.jsonl, which stay in the file."""
    lines = ", ".join(map(str, damaged[:8])) + (", …" if len(damaged) > 8 else "")
    what = "1 damaged line" if len(damaged) == 1 else f"{count(len(damaged))} damaged lines"
    return f"{what} in the notes ignored and left in the file (line {lines})"


def _tags(note: FeatureNotes) -> str:
    return cut(" ".join(f"#{printable(tag)}" for tag in note.tags) or "no tags", SHOWN)


def _short(text: str) -> str:
    return cut(printable(text[: 4 * SHOWN]), SHOWN)
